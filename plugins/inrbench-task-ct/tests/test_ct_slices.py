import sys

import numpy as np
import pytest
from inrbench_task_ct.plugin import CtSpec
from inrbench_task_ct.slices import load_slice
from inrbench_task_ct.thorax import thorax
from PIL import Image
from pydantic import ValidationError

from inrbench_core import DataError


@pytest.fixture
def ramp():
    return np.arange(20 * 24).reshape(20, 24)


def test_thorax_is_the_same_slice_at_every_size():
    small, large = thorax(64), thorax(128)
    assert np.array_equal(small, thorax(64))
    assert (small.min(), small.dtype) == (0.0, np.float32)
    assert 0.7 < small.max() <= 1.0
    shrunk = large.reshape(64, 2, 64, 2).mean(axis=(1, 3))
    assert np.abs(shrunk - small).mean() < 0.01


def test_named_slices_have_their_sizes():
    assert load_slice(CtSpec()).pixels.shape == (256, 256, 1)
    assert load_slice(CtSpec(size=40)).pixels.shape == (40, 40, 1)
    assert load_slice(CtSpec(source="shepp_logan")).pixels.shape == (400, 400, 1)
    assert load_slice(CtSpec(source="shepp_logan", size=64)).pixels.max() <= 1


def test_hounsfield_units_start_at_air(tmp_path, ramp, write_dicom):
    picture = load_slice(CtSpec(source=write_dicom(tmp_path / "a.dcm", ramp * 4, slope=2.0, intercept=-2000.0)))
    values = (ramp * 8 - 2000.0).clip(-1000)
    expected = (values + 1000) / (values.max() + 1000)
    np.testing.assert_allclose(picture.pixels[2:22, :, 0], expected, atol=1e-6)
    assert picture.record["unit"] == "HU"
    assert picture.record["value_at_minus_1"] == -1000
    assert picture.record["value_at_plus_1"] == values.max()
    assert picture.record["file_pixel_mm"] == 0.7


def test_what_is_not_square_gets_air_on_both_sides(tmp_path, ramp):
    np.save(tmp_path / "a.npy", ramp + 5)
    pixels = load_slice(CtSpec(source=str(tmp_path / "a.npy"))).pixels
    assert pixels.shape == (24, 24, 1)
    assert not pixels[:2].any()
    assert not pixels[22:].any()
    np.testing.assert_allclose(pixels[2:22, :, 0], ramp / ramp.max(), atol=1e-6)


@pytest.mark.parametrize("name", ["a.png", "a.tif"])
def test_pictures_are_read_as_grey(tmp_path, name):
    values = np.random.default_rng(0).integers(0, 255, (20, 20), dtype=np.uint8)
    Image.fromarray(values).save(tmp_path / name)
    pixels = load_slice(CtSpec(source=str(tmp_path / name))).pixels
    np.testing.assert_allclose(pixels[..., 0], values / 255, atol=1e-6)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.where(np.eye(20) > 0, np.nan, 1.0), "20 of 400 values are not finite"),
        (np.ones((1, 1)) * 0.5, "1 x 1 pixels; a slice has at least 16"),
        (np.zeros((20, 20), int), "nothing in it but air"),
        (np.zeros((20, 20)), "nothing in it but air"),
        (np.zeros((4, 20, 20)), "shape \\(4, 20, 20\\) of float64"),
        (np.array([["a"] * 20] * 20), "rows and columns of numbers"),
        (np.zeros((0, 20)), "has no pixels"),
        (np.array([[{}]]), "cannot be read"),
    ],
)
def test_bad_arrays_are_told_in_one_line(tmp_path, values, message):
    np.save(tmp_path / "bad.npy", values, allow_pickle=True)
    with pytest.raises(DataError, match=message) as caught:
        load_slice(CtSpec(source=str(tmp_path / "bad.npy")))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["bad.dcm", "bad.npy", "bad.png", "bad.tif"])
def test_broken_files_are_told_in_one_line(tmp_path, name):
    (tmp_path / name).write_bytes(b"nonsense")
    with pytest.raises(DataError, match=name) as caught:
        load_slice(CtSpec(source=str(tmp_path / name)))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["wide.png", "wide.npy", "wide.tif", "wide.dcm"])
def test_a_slice_that_declares_too_many_pixels_is_not_decoded(tmp_path, name, monkeypatch, write_dicom):
    pixels = np.zeros((16, 4097), np.uint16)
    if name == "wide.npy":
        np.save(tmp_path / name, pixels)
    elif name == "wide.dcm":
        write_dicom(tmp_path / name, pixels)
    else:
        Image.fromarray(pixels.astype(np.uint8)).save(tmp_path / name)
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", lambda image: pytest.fail("decoded"))
    monkeypatch.setattr("pydicom.dataset.Dataset.convert_pixel_data", lambda *_, **__: pytest.fail("decoded"))
    with pytest.raises(DataError, match=rf"{name}: 16 x 4097 pixels: at most 4,096 along a side are read"):
        load_slice(CtSpec(source=str(tmp_path / name)))


def test_the_size_of_a_slice_is_bounded():
    with pytest.raises(ValidationError, match="less than or equal to 4096"):
        CtSpec(size=4097)


def test_a_slice_is_one_frame(tmp_path, write_dicom):
    path = write_dicom(tmp_path / "a.dcm", np.arange(40 * 20).reshape(40, 20), frames=2)
    with pytest.raises(DataError, match=r"a\.dcm: 2 frames; a slice is one"):
        load_slice(CtSpec(source=path))


def test_a_black_picture_and_several_arrays_are_no_slice(tmp_path):
    Image.new("L", (20, 20)).save(tmp_path / "black.png")
    with pytest.raises(DataError, match=r"black\.png: nothing in it but air"):
        load_slice(CtSpec(source=str(tmp_path / "black.png")))
    np.savez(tmp_path / "several.npz", a=np.zeros(3))
    (tmp_path / "several.npz").rename(tmp_path / "several.npy")
    with pytest.raises(DataError, match=r"several\.npy: holds several arrays"):
        load_slice(CtSpec(source=str(tmp_path / "several.npy")))


def test_a_file_that_went_away_is_told(tmp_path):
    np.save(tmp_path / "a.npy", np.ones((20, 20)))
    spec = CtSpec(source=str(tmp_path / "a.npy"))
    (tmp_path / "a.npy").unlink()
    with pytest.raises(DataError, match="no such file"):
        load_slice(spec)


def test_sources_that_are_not_there_are_told_by_the_spec(tmp_path):
    for source, message in (("torax", "thorax"), ("no/such.dcm", "no such file"), (str(tmp_path), "is a folder")):
        with pytest.raises(ValidationError, match=message):
            CtSpec(source=source)


def test_a_missing_extra_is_named(tmp_path, ramp, monkeypatch, write_dicom):
    source = write_dicom(tmp_path / "a.dcm", ramp)
    monkeypatch.setitem(sys.modules, "pydicom", None)
    with pytest.raises(DataError, match=r"inrbench-task-ct\[dicom\]"):
        load_slice(CtSpec(source=source))


@pytest.mark.usefixtures("no_samples")
def test_a_missing_sample_is_named():
    with pytest.raises(ValidationError, match=r"inrbench-task-ct\[samples\]"):
        CtSpec(source="pancreas")


def test_pancreas_is_a_real_slice_in_hounsfield_units():
    try:
        picture = load_slice(CtSpec(source="pancreas"))
    except ValidationError as error:
        pytest.skip(str(error))
    assert picture.pixels.shape == (512, 512, 1)
    assert (picture.record["unit"], picture.record["value_at_plus_1"]) == ("HU", 1186)
