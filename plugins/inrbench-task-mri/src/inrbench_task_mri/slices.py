"""Loading a slice: drawn, of a volume in a package, or a file of the user's own."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
from inrbench_task_image.pictures import Picture, check_range, make_picture
from inrbench_task_image.scans import cached_slice, read_npy, slice_numbers, squared
from inrbench_task_image.spec import PictureSpec

from inrbench_core import DataError
from inrbench_core.api.sources import find_sample
from inrbench_core.api.text import one_line
from inrbench_task_mri.plugin import LARGEST, LARGEST_READ, NIFTI_EXTRA, SAMPLES, SMALLEST, MriSpec

Array = np.ndarray[Any, Any]

DRAWN_LICENCES = {"shepp_logan": "scikit-image, BSD; Shepp and Logan 1974"}
NIFTI_SUFFIXES = (".nii", ".nii.gz")
MOST_VOXELS = 1 << 28
# Axes of a volume whose voxels go to the right, to anterior and to superior.
AXES = {"sagittal": 0, "coronal": 1, "axial": 2}


def load_slice(spec: MriSpec) -> Picture:
    """The slice a spec asks for: square, (N, N, 1), magnitude from 0 to 1, its largest; cached if it was made before.

    Raises:
        DataError: if it is missing, unreadable, not finite, too small or too large, or has no such slice.
    """
    options = {"size": spec.size, "plane": spec.plane, "slice": spec.slice}
    return cached_slice(__name__, spec.source, options, lambda: make_slice(spec), drawn=DRAWN_LICENCES, samples=SAMPLES)


def make_slice(spec: MriSpec) -> Picture:
    """Draw or read a slice, pad it to a square, resize and scale it. Raises DataError if it cannot be used."""
    record: dict[str, str | int | float] = {"unit": "values of the file"}
    if spec.source in DRAWN_LICENCES:
        from skimage.data import shepp_logan_phantom

        values, record["unit"] = shepp_logan_phantom(), "relative magnitude"
    else:
        path = find_sample(spec.source, SAMPLES) if spec.source in SAMPLES else Path(spec.source)
        if path.name.lower().endswith(NIFTI_SUFFIXES):
            values, number = read_nifti(path, spec.plane, spec.slice)
            record |= {"plane": spec.plane, "slice": number}
        elif spec.slice is not None:
            raise DataError(f"{path}: slice {spec.slice} is asked for, but only nii files have several")
        else:
            values = _read_picture(path)
    square, place = squared(values, spec.size)
    if not SMALLEST <= len(square) <= LARGEST:
        raise DataError(
            f"{spec.source}: {len(square)} pixels along a side; a slice has {SMALLEST} to {LARGEST}: say `size`"
        )
    # Resizing may leave [0, largest] by rounding, and lowers the peaks.
    square = square.clip(0.0)
    peak = float(square.max())
    return Picture(
        np.ascontiguousarray(square[..., None] / peak, dtype=np.float32),
        {**record, **place, "value_at_minus_1": 0.0, "value_at_plus_1": peak, "size": len(square)},
    )


def _read_picture(path: Path) -> Array:
    if path.suffix.lower() == ".npy":
        return _magnitude(read_npy(path), path)
    picture = make_picture(path, PictureSpec(mode="grey"), LARGEST_READ)
    low, high = float(picture.record["value_at_minus_1"]), float(picture.record["value_at_plus_1"])
    return _magnitude(low + picture.pixels[..., 0].astype(np.float64) * (high - low), path)


def read_nifti(path: Path, plane: str, number: int | None) -> tuple[Array, int]:
    """A slice of a volume as radiographs show it: superior, or of an axial slice anterior, is up.

    Args:
        path: a NIfTI file, nii or nii.gz; by its affine the volume is turned so that its axes go to the right, to
            anterior and to superior, as far as quarter turns do that.
        plane: axial, coronal or sagittal.
        number: of the slice along that axis; None: the one in the middle.

    Returns:
        magnitudes, float64 (H, W), columns from left to right or from posterior to anterior; and its number.

    Raises:
        DataError: if it cannot be read, or has no such slice.
    """
    try:
        import nibabel
    except ImportError:
        raise DataError(f"{path}: nii files need nibabel: pip install '{NIFTI_EXTRA}'") from None
    try:
        image = nibabel.load(path)
        shape = image.shape
        if math.prod(shape) > MOST_VOXELS:
            raise DataError(f"{path}: {shape} voxels; at most {MOST_VOXELS // 10**6} million are read")
        if len(shape) < 3 or math.prod(shape[3:]) != 1:
            raise DataError(f"{path}: shape {shape}; a volume has three axes")
        volume = np.asanyarray(nibabel.as_closest_canonical(image).dataobj)
    except DataError:
        raise
    except Exception as error:
        # Files without a header, cut off, or of types that nibabel does not know.
        raise DataError(f"{path}: cannot be read: {one_line(str(error)) or type(error).__name__}") from None
    axis = AXES[plane]
    count = volume.shape[axis]
    number = count // 2 if number is None else number
    if number >= count:
        raise DataError(f"{path}: {plane} slices are numbered 0 to {count - 1}; there is no {number}")
    # Of the axes that are left the second one goes up, and rows go down.
    return _magnitude(volume.reshape(volume.shape[:3]).take(number, axis).T[::-1], path), number


def _magnitude(raw: Array, path: Path) -> Array:
    """Magnitudes, float64 (H, W), of real or complex values. Raises DataError if they are none."""
    raw = slice_numbers(raw, path, "buifc", LARGEST_READ)
    values = np.abs(raw) if raw.dtype.kind == "c" else raw.astype(np.float64)
    negative = int((values < 0.0).sum())
    if negative:
        raise DataError(f"{path}: {negative} of {raw.size} values are negative; magnitudes are not")
    peak = float(values.max())
    if peak == 0.0:
        raise DataError(f"{path}: nothing in it but air: all of it is 0")
    check_range(path, 0.0, peak)
    return values.astype(np.float64)
