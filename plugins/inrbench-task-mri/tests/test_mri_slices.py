import gzip
import struct
import sys

import numpy as np
import pytest
from inrbench_task_mri.plugin import MriSpec
from inrbench_task_mri.slices import load_slice
from PIL import Image
from pydantic import ValidationError
from skimage.data import shepp_logan_phantom

from inrbench_core import DataError

# A voxel's value tells its place: to the right, to anterior and to superior.
VOLUME = np.add.outer(np.add.outer(np.arange(18) * 10_000, np.arange(20) * 100), np.arange(22)).astype(np.float64)


def write_nifti(path, volume, axes=((1, 0, 0), (0, 1, 0), (0, 0, 1)), slope=0.0, kind="<"):
    """A NIfTI-1 file, written by its definition; `axes` says where the array's axes point to, in RAS."""
    header = bytearray(352)
    struct.pack_into(f"{kind}i", header, 0, 348)
    shape = [volume.ndim, *volume.shape, *[1] * (7 - volume.ndim)]
    struct.pack_into(f"{kind}8h", header, 40, *shape)
    struct.pack_into(f"{kind}2h", header, 70, 64, 64)
    struct.pack_into(f"{kind}8f", header, 76, *[1.0] * 8)
    struct.pack_into(f"{kind}3f", header, 108, 352.0, slope, 0.0)
    struct.pack_into(f"{kind}2h", header, 252, 0, 1)
    for row in range(3):
        struct.pack_into(f"{kind}4f", header, 280 + 16 * row, *[float(axis[row]) for axis in axes], 0.0)
    header[344:348] = b"n+1\0"
    content = bytes(header) + volume.astype(f"{kind}f8").tobytes(order="F")
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return str(path)


def load(path, **options):
    return load_slice(MriSpec(source=str(path), **{"size": None, **options}))


def file_values(picture):
    return picture.pixels[..., 0] * picture.record["value_at_plus_1"]


EXPECTED = {
    "axial": VOLUME[:, ::-1, 5].T,
    "coronal": VOLUME[:, 5, ::-1].T,
    "sagittal": VOLUME[5, :, ::-1].T,
}


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
@pytest.mark.parametrize("plane", EXPECTED)
def test_slices_of_a_volume_have_anterior_or_superior_up(tmp_path, name, plane):
    picture = load(write_nifti(tmp_path / name, VOLUME), plane=plane, slice=5)
    height, width = EXPECTED[plane].shape
    side = max(height, width)
    top, left = (side - height) // 2, (side - width) // 2
    assert picture.pixels.shape == (side, side, 1)
    values = file_values(picture)[top : top + height, left : left + width]
    np.testing.assert_allclose(values, EXPECTED[plane], rtol=1e-6, atol=0.1)
    assert picture.pixels.sum() == pytest.approx(picture.pixels[top : top + height, left : left + width].sum())
    record = picture.record
    assert (record["plane"], record["slice"], record["synthetic"]) == (plane, 5, False)
    assert (record["crop_top"], record["crop_left"], record["file_height"]) == (-top, -left, height)


@pytest.mark.parametrize("kind", ["<", ">"])
def test_a_volume_is_turned_by_its_affine(tmp_path, kind):
    """Stored from superior to inferior, then from left to right, then from anterior to posterior."""
    stored = VOLUME.transpose(2, 0, 1)[::-1, :, ::-1]
    path = write_nifti(tmp_path / "a.nii", stored, axes=((0, 0, -1), (1, 0, 0), (0, -1, 0)), slope=2.0, kind=kind)
    picture = load(path, plane="sagittal", slice=5)
    np.testing.assert_allclose(file_values(picture)[:, 1:21], 2 * EXPECTED["sagittal"], rtol=1e-6)


def test_the_slice_in_the_middle_is_the_default(tmp_path):
    path = write_nifti(tmp_path / "a.nii.gz", VOLUME)
    assert [load(path, plane=plane).record["slice"] for plane in EXPECTED] == [11, 10, 9]


def test_the_phantom_is_that_of_scikit_image():
    picture = load_slice(MriSpec(size=None))
    np.testing.assert_allclose(picture.pixels[..., 0], shepp_logan_phantom(), atol=1e-6)
    assert picture.record["synthetic"] is True
    small = load_slice(MriSpec())
    assert small.pixels.shape == (128, 128, 1)
    assert (small.pixels.min(), small.pixels.max()) == (0.0, 1.0)


def test_complex_arrays_give_their_magnitude(tmp_path):
    rng = np.random.default_rng(0)
    values = (rng.normal(size=(20, 16)) + 1j * rng.normal(size=(20, 16))).astype(np.complex64)
    np.save(tmp_path / "a.npy", values)
    picture = load(tmp_path / "a.npy")
    assert picture.pixels.shape == (20, 20, 1)
    np.testing.assert_allclose(file_values(picture)[:, 2:18], np.abs(values), rtol=1e-5)


@pytest.mark.parametrize("name", ["a.png", "a.tif"])
def test_pictures_are_read_as_grey_and_their_largest_value_is_1(tmp_path, name):
    values = np.random.default_rng(0).integers(0, 200, (20, 20), dtype=np.uint8)
    Image.fromarray(values).save(tmp_path / name)
    picture = load(tmp_path / name)
    np.testing.assert_allclose(picture.pixels[..., 0], values / values.max(), atol=1e-6)
    assert picture.record["value_at_plus_1"] == pytest.approx(values.max())


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.where(np.eye(20) > 0, np.nan, 1.0), "20 of 400 values are not finite"),
        (np.where(np.eye(20) > 0, -1.0, 1.0), "20 of 400 values are negative; magnitudes are not"),
        (np.ones((8, 8)), "8 pixels along a side; a slice has 16 to 512"),
        (np.ones((8, 513)), "513 pixels along a side; a slice has 16 to 512: say `size`"),
        (np.zeros((20, 20)), "nothing in it but air"),
        (np.zeros((4, 20, 20)), "shape \\(4, 20, 20\\) of float64"),
        (np.array([["a"] * 20] * 20), "rows and columns of numbers"),
        (np.zeros((0, 20)), "has no pixels"),
        (np.array([[{}]]), "cannot be read"),
        (np.broadcast_to(np.uint8(1), (16, 4097)), "16 x 4097 pixels: at most 4,096 along a side are read"),
    ],
)
def test_bad_arrays_are_told_in_one_line(tmp_path, values, message):
    np.save(tmp_path / "bad.npy", values, allow_pickle=True)
    with pytest.raises(DataError, match=message) as caught:
        load(tmp_path / "bad.npy")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("volume", "options", "message"),
    [
        (VOLUME, {"slice": 22}, "axial slices are numbered 0 to 21; there is no 22"),
        (VOLUME[..., None].repeat(2, -1), {}, r"shape \(18, 20, 22, 2\); a volume has three axes"),
        (VOLUME[..., 0], {}, r"shape \(18, 20\); a volume has three axes"),
        (VOLUME - 1e6, {}, "of 360 values are negative"),
    ],
)
def test_bad_volumes_are_told_in_one_line(tmp_path, volume, options, message):
    with pytest.raises(DataError, match=message):
        load(write_nifti(tmp_path / "a.nii", volume), **options)


def test_a_volume_that_declares_too_many_voxels_is_not_read(tmp_path):
    path = tmp_path / "a.nii"
    write_nifti(path, VOLUME)
    content = bytearray(path.read_bytes())
    struct.pack_into("<8h", content, 40, 3, 30_000, 30_000, 2, 1, 1, 1, 1)
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"a\.nii: \(30000, 30000, 2\) voxels; at most 268 million are read"):
        load(path)


@pytest.mark.parametrize("name", ["bad.nii", "bad.nii.gz", "bad.npy", "bad.png"])
def test_broken_files_are_told_in_one_line(tmp_path, name):
    (tmp_path / name).write_bytes(b"nonsense")
    with pytest.raises(DataError, match=name) as caught:
        load(tmp_path / name)
    assert "\n" not in str(caught.value)


def test_a_volume_that_is_cut_off_is_told_in_one_line(tmp_path):
    path = tmp_path / "a.nii"
    write_nifti(path, VOLUME)
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(DataError, match=r"a\.nii: cannot be read") as caught:
        load(path)
    assert "\n" not in str(caught.value)


def test_a_picture_has_no_slices(tmp_path):
    np.save(tmp_path / "a.npy", np.ones((20, 20)))
    with pytest.raises(DataError, match=r"a\.npy: slice 3 is asked for, but only nii files have several"):
        load(tmp_path / "a.npy", slice=3)


def test_sources_that_are_not_there_are_told_by_the_spec(tmp_path):
    for source, message in (
        ("shepp_logon", "shepp_logan"),
        ("no/such.nii", "no such file"),
        (str(tmp_path), "a folder"),
    ):
        with pytest.raises(ValidationError, match=message):
            MriSpec(source=source)


def test_a_missing_extra_is_named(tmp_path, monkeypatch):
    path = write_nifti(tmp_path / "a.nii", VOLUME)
    monkeypatch.setitem(sys.modules, "nibabel", None)
    with pytest.raises(DataError, match=r"inrbench-task-mri\[nifti\]"):
        load(path)


@pytest.mark.usefixtures("no_samples")
def test_a_missing_sample_is_named():
    with pytest.raises(ValidationError, match=r"inrbench-task-mri\[samples\]"):
        MriSpec(source="brain")


def test_the_brain_is_a_volume_of_1_mm():
    try:
        picture = load_slice(MriSpec(source="brain", size=None))
    except ValidationError as error:
        pytest.skip(str(error))
    assert picture.pixels.shape == (233, 233, 1)
    # Eight bits.
    assert picture.record["value_at_plus_1"] == 235
    assert (picture.record["slice"], picture.record["synthetic"]) == (94, False)
    # Air on both sides, symmetric by construction.
    assert not picture.pixels[:, :18].any()
    brain = picture.pixels[:, 18:215, 0]
    assert np.abs(brain - brain[:, ::-1]).mean() < 0.01
