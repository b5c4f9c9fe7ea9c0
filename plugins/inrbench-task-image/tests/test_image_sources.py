import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch
from inrbench_task_image.pictures import load_picture
from inrbench_task_image.plugin import ImageSpec
from inrbench_task_image.readers import read_picture
from inrbench_task_image.samples import SAMPLES, find_sample
from PIL import Image
from pydantic import ValidationError
from skimage import data
from skimage.transform import resize

from inrbench_core import DataError


def load(path, **options):
    return load_picture(ImageSpec(source=str(path), **options))


def write_png(path, pixels):
    """A 16-bit png, which Pillow cannot write in colour."""
    height, width, channels = pixels.shape
    colour_type = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)
    parts = [
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 16, colour_type, 0, 0, 0)),
        (b"IDAT", zlib.compress(rows)),
        (b"IEND", b""),
    ]
    chunks = [
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in parts
    ]
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(chunks))
    return path


@pytest.mark.parametrize("name", SAMPLES)
def test_every_sample_is_there_and_loads(name):
    assert find_sample(name).is_file()
    picture = load(name, crop=[0, 0, 20, 30])
    assert picture.pixels.shape[:2] == (20, 30)
    assert picture.record["licence"]


def test_samples_are_the_pixels_of_scikit_image():
    np.testing.assert_array_equal(np.rint(load("astronaut").pixels * 255), data.astronaut())
    np.testing.assert_array_equal(np.rint(load("camera").pixels[..., 0] * 255), data.camera())


def test_resizing_is_that_of_the_reference_fits():
    expected = resize(data.camera(), (128, 128), anti_aliasing=True)
    np.testing.assert_allclose(load("camera", size=128).pixels[..., 0], expected, atol=1e-6)


def test_a_changed_sample_is_refused(monkeypatch):
    monkeypatch.setattr("inrbench_task_image.pictures.find_sample", lambda name: find_sample("camera"))
    with pytest.raises(DataError, match="not the file that is known: sha256 b0793d"):
        load("astronaut")


def test_known_names_are_listed_and_near_ones_offered():
    with pytest.raises(
        ValidationError, match=r"unknown picture 'astronout'; did you mean 'astronaut'\? \(known: .*chelsea"
    ):
        ImageSpec(source="astronout")


def test_paths_are_relative_to_the_folder_of_the_spec(tmp_path, monkeypatch):
    Image.new("L", (3, 2)).save(tmp_path / "a.png")
    spec = ImageSpec.model_validate({"source": "a.png"}, context={"folder": str(tmp_path)})
    assert spec.source == str((tmp_path / "a.png").resolve())
    monkeypatch.chdir(tmp_path)
    assert ImageSpec(source="a.png") == spec
    with pytest.raises(ValidationError, match=r"no such file: .*b\.png"):
        ImageSpec(source="b.png")
    with pytest.raises(ValidationError, match="is a folder; a picture is one file"):
        ImageSpec(source=str(tmp_path))


def test_options_are_checked():
    for wrong in ({"size": 0}, {"size": [4]}, {"crop": [0, 0, 0, 4]}, {"held_out": 1.0}, {"mode": "sepia"}):
        with pytest.raises(ValidationError):
            ImageSpec(**wrong)


@pytest.mark.parametrize("channels", [1, 3])
def test_sixteen_bits_are_kept(tmp_path, channels):
    values = np.array([0, 1, 2, 257, 40000, 65535], np.uint16)
    pixels = np.repeat(values.reshape(2, 3, 1), channels, axis=-1)
    tif = tmp_path / "a.tif"
    tifffile.imwrite(tif, pixels.squeeze(), photometric="minisblack" if channels == 1 else "rgb")
    for path in (write_png(tmp_path / "a.png", pixels), tif):
        picture = load(path)
        np.testing.assert_allclose(picture.pixels * 65535, pixels, atol=0.01)
        assert picture.record["value_at_plus_1"] == 65535


def test_a_phones_jpg_is_its_first_picture(tmp_path):
    first, second = Image.new("RGB", (4, 2), (200, 100, 0)), Image.new("RGB", (2, 1))
    first.save(tmp_path / "a.jpg", format="MPO", save_all=True, append_images=[second])
    picture = load(tmp_path / "a.jpg")
    assert picture.pixels.shape == (2, 4, 3)
    np.testing.assert_allclose(picture.pixels[0, 0] * 255, [200, 100, 0], atol=3)


def test_alpha_is_put_on_white(tmp_path):
    rgba = np.array([[[255, 0, 0, 255], [255, 0, 0, 0], [0, 0, 0, 51]]], np.uint8)
    Image.fromarray(rgba).save(tmp_path / "a.png")
    write_png(tmp_path / "b.png", rgba.astype(np.uint16) * 257)
    for name in ("a.png", "b.png"):
        picture = load(tmp_path / name)
        np.testing.assert_allclose(picture.pixels, [[[1, 0, 0], [1, 1, 1], [0.8, 0.8, 0.8]]], atol=1e-6)
        assert picture.record["alpha"] == "composited on white"
    Image.fromarray(rgba[..., 2:]).save(tmp_path / "c.png")
    assert load(tmp_path / "c.png").pixels[0, :, 0] == pytest.approx([0, 1, 0.8])


def test_other_kinds_of_pixels(tmp_path):
    Image.fromarray(np.array([[0, 255]], np.uint8)).convert("P").save(tmp_path / "palette.png")
    assert load(tmp_path / "palette.png").pixels.shape == (1, 2, 3)
    Image.fromarray(np.array([[False, True]])).save(tmp_path / "one_bit.png")
    assert load(tmp_path / "one_bit.png").pixels.ravel().tolist() == [0, 1]
    tifffile.imwrite(tmp_path / "unit.tif", np.array([[0.25, 0.5]], np.float32))
    assert load(tmp_path / "unit.tif").pixels.ravel().tolist() == [0.25, 0.5]
    tifffile.imwrite(tmp_path / "signed.tif", np.array([[-300, 0, 900]], np.int16))
    assert load(tmp_path / "signed.tif").pixels.ravel().tolist() == [0, 0.25, 1]
    tifffile.imwrite(tmp_path / "flat.tif", np.full((2, 2), 7.0, np.float32))
    assert load(tmp_path / "flat.tif").pixels.max() == 0
    tifffile.imwrite(tmp_path / "complex.tif", np.ones((2, 2), np.complex64))
    with pytest.raises(DataError, match="values of type complex64 are no picture"):
        load(tmp_path / "complex.tif")
    tifffile.imwrite(tmp_path / "wide.tif", np.array([[-10.0, 0.0, 30.0]], np.float32))
    wide = load(tmp_path / "wide.tif")
    assert wide.pixels.ravel().tolist() == [0, 0.25, 1]
    assert (wide.record["value_at_minus_1"], wide.record["value_at_plus_1"]) == (-10, 30)


def test_photographs_are_turned_upright(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # the top of the picture is at the right of the file
    Image.new("RGB", (4, 2)).save(tmp_path / "a.jpg", exif=exif)
    assert load(tmp_path / "a.jpg").pixels.shape == (4, 2, 3)


def test_crop_comes_before_size_before_mode(tmp_path):
    cut = load("chelsea", crop=[10, 20, 30, 60], size=30, mode="grey")
    assert cut.pixels.shape == (15, 30, 1)
    whole = load("chelsea").pixels
    np.testing.assert_array_equal(load("chelsea", crop=[10, 20, 30, 60]).pixels, whole[10:40, 20:80])
    np.testing.assert_array_equal(load("chelsea", crop="square").pixels, whole[:, 75:375])
    assert load("camera", size=[8, 12], mode="colour").pixels.shape == (8, 12, 3)
    with pytest.raises(DataError, match=r"crop \[290, 0, 20, 20\] leaves the picture, which is 300 high"):
        load("chelsea", crop=[290, 0, 20, 20])


def test_what_is_not_finite_is_refused(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", np.array([[0.0, np.nan, np.inf]], np.float32))
    with pytest.raises(DataError, match="2 of 3 values are not finite"):
        load(tmp_path / "a.tif")


def broken_files(folder: Path):
    whole = find_sample("rocket").read_bytes()
    (folder / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    (folder / "cut.png").write_bytes(find_sample("camera").read_bytes()[:5000])
    deep = write_png(folder / "deep.png", np.arange(3000, dtype=np.uint16).reshape(20, 50, 3)).read_bytes()
    (folder / "deep.png").write_bytes(deep[: len(deep) // 2])
    (folder / "cut.tif").write_bytes(b"II*\0\x08\0\0\0\x05")
    (folder / "empty.png").write_bytes(b"")
    (folder / "text.png").write_text("not a picture")
    tifffile.imwrite(folder / "pages.tif", np.zeros((3, 4, 5), np.uint8), photometric="minisblack")
    tifffile.imwrite(folder / "deep_pages.tif", np.zeros((2, 4, 5, 3), np.float32), photometric="rgb")
    return ["cut.jpg", "cut.png", "deep.png", "cut.tif", "empty.png", "text.png", "pages.tif", "deep_pages.tif"]


def test_broken_files_are_one_line(tmp_path):
    for name in broken_files(tmp_path):
        with pytest.raises(DataError) as caught:
            load(tmp_path / name)
        assert "\n" not in str(caught.value)
        assert name in str(caught.value)


def saved(folder, name, **options):
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 50, 3), np.uint8))
    picture.save(folder / name, **options)
    return folder / name


def whole_files(folder):
    deep = np.random.default_rng(1).integers(0, 65_536, (40, 50, 3), np.uint16)
    tifffile.imwrite(folder / "deep.tif", deep, photometric="rgb")
    return [
        saved(folder, "a.png"),
        saved(folder, "a.jpg"),
        saved(folder, "progressive.jpg", progressive=True),
        saved(folder, "a.tif"),
        saved(folder, "packed.tif", compression="tiff_lzw"),
        saved(folder, "a.bmp"),
        saved(folder, "a.webp"),
        saved(folder, "a.gif"),
        saved(folder, "a.ppm"),
        write_png(folder / "deep.png", deep),
        folder / "deep.tif",
    ]


def test_no_part_of_a_file_is_taken_for_the_whole(tmp_path):
    for path in whole_files(tmp_path):
        pixels, content = read_picture(path), path.read_bytes()
        refused = []
        for length in [*range(0, len(content) - 1, len(content) // 60 + 1), len(content) - 1]:
            path.write_bytes(content[:length])
            try:
                read = read_picture(path)
            except DataError as error:
                refused.append(str(error))
            else:
                # What follows the last pixel, such as the mark of the end, may be missing.
                np.testing.assert_array_equal(read, pixels, err_msg=f"{path.name}, {length} bytes")
        assert len(refused) > 30
        assert all(path.name in message and "\n" not in message for message in refused)


POSTSCRIPT = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n"


def test_no_other_program_is_started(tmp_path, monkeypatch):
    started = tmp_path / "started"
    (tmp_path / "gs").write_text(f"#!/bin/sh\ntouch '{started}'\necho 10.0\n")
    (tmp_path / "gs").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setattr("PIL.EpsImagePlugin.gs_binary", None)
    (tmp_path / "drawing.png").write_bytes(
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n"
    )
    with pytest.raises(DataError, match=r"drawing\.png: not a picture that is readable \(png, jpeg, tiff"):
        load(tmp_path / "drawing.png")
    assert not started.exists()


def test_heic_is_told_from_what_is_no_picture(tmp_path):
    (tmp_path / "phone.jpg").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic")
    with pytest.raises(DataError, match=r"phone\.jpg: HEIC and AVIF .* not readable; convert it to png or jpg"):
        load(tmp_path / "phone.jpg")


def one_bit_png(path, height, width):
    """Black, and small whatever its size."""
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    data = zlib.compress(bytes(height * (1 + (width + 7) // 8)))
    parts = ((b"IHDR", header), (b"IDAT", data), (b"IEND", b""))
    chunks = [struct.pack(">I", len(b)) + kind + b + struct.pack(">I", zlib.crc32(kind + b)) for kind, b in parts]
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(chunks))
    return path


@pytest.mark.parametrize("size", [(9000, 9000), (12_800, 12_800), (1, 64_000_001)])
def test_a_picture_that_declares_too_many_pixels_is_not_decoded(tmp_path, size, monkeypatch):
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", lambda image: pytest.fail("decoded"))
    with pytest.raises(DataError, match=rf"large\.png: {size[0]} x {size[1]} pixels: at most 64 megapixels are read"):
        load(one_bit_png(tmp_path / "large.png", *size))


def test_other_bounds_on_the_size(tmp_path, monkeypatch):
    with pytest.raises(DataError, match="at most 64 megapixels"):
        load(one_bit_png(tmp_path / "huge.png", 20_000, 20_000))
    monkeypatch.setattr("inrbench_core.api.sources.MOST_PIXELS", 100)
    tifffile.imwrite(tmp_path / "half.tif", np.zeros((20, 30), np.float16))
    with pytest.raises(DataError, match=r"half\.tif: 20 x 30 pixels"):
        load(tmp_path / "half.tif")
    Image.new("L", (1, 1)).save(tmp_path / "a.png")
    with pytest.raises(DataError, match="size makes 60000 x 60000 pixels; at most 64 megapixels are made"):
        load(tmp_path / "a.png", size=60_000)


def test_values_beyond_single_precision_are_refused(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", np.array([[-1e308, 1e308]]))
    with pytest.raises(DataError, match=r"a\.tif: values from -1e\+308 to 1e\+308 are too far apart"):
        load(tmp_path / "a.tif")


def test_a_file_that_has_gone_since_validation(tmp_path):
    Image.new("L", (3, 2)).save(tmp_path / "a.png")
    spec = ImageSpec(source=str(tmp_path / "a.png"))
    (tmp_path / "a.png").unlink()
    with pytest.raises(DataError, match="no such file"):
        load_picture(spec)


def test_pixels_are_float32_and_torch_takes_them():
    assert torch.from_numpy(load("camera", size=5).pixels).dtype == torch.float32
