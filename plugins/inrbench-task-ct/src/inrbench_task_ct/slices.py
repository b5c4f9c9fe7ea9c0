"""Loading a slice: drawn, from a package, or a file of the user's own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from inrbench_task_image.pictures import Picture, check_range, make_picture
from inrbench_task_image.scans import cached_slice, read_npy, slice_numbers, squared
from inrbench_task_image.spec import PictureSpec
from skimage.data import shepp_logan_phantom

from inrbench_core import DataError
from inrbench_core.api.sources import check_pixels, find_sample
from inrbench_core.api.text import one_line
from inrbench_task_ct.plugin import DICOM_EXTRA, LARGEST, SAMPLES, SMALLEST, CtSpec
from inrbench_task_ct.thorax import thorax

Array = np.ndarray[Any, Any]
Record = dict[str, str | int | float]

# Licence, and whose they are.
DRAWN = {"thorax": "made for inrbench", "shepp_logan": "scikit-image, BSD; Shepp and Logan 1974"}
DRAWN_RECORD: Record = {"unit": "relative attenuation", "value_at_minus_1": 0.0, "value_at_plus_1": 1.0}
THORAX_SIZE = 256
AIR_HU = -1000.0


def load_slice(spec: CtSpec) -> Picture:
    """The slice a spec asks for: square, (N, N, 1), attenuation from 0 (air) to 1; cached if it was made before.

    Raises:
        DataError: if it is missing, unreadable, not finite, too small, too large or no single slice.
    """
    return cached_slice(
        __name__, spec.source, {"size": spec.size}, lambda: make_slice(spec), drawn=DRAWN, samples=SAMPLES
    )


def make_slice(spec: CtSpec) -> Picture:
    """Draw or read a slice, pad it to a square and resize it. Raises DataError if it cannot be used."""
    if spec.source == "thorax":
        pixels, record = thorax(spec.size or THORAX_SIZE), DRAWN_RECORD
    elif spec.source == "shepp_logan":
        pixels, record = shepp_logan_phantom().astype(np.float32), DRAWN_RECORD
    elif spec.source in SAMPLES:
        pixels, record = read_dicom(find_sample(spec.source, SAMPLES))
    else:
        pixels, record = _read(Path(spec.source))
    height, width = pixels.shape
    if max(height, width) < SMALLEST:
        raise DataError(f"{spec.source}: {height} x {width} pixels; a slice has at least {SMALLEST}")
    pixels, place = squared(pixels, spec.size)
    return Picture(
        np.ascontiguousarray(pixels[..., None], dtype=np.float32).clip(0.0, 1.0),
        {**record, **place, "size": len(pixels)},
    )


def _read(path: Path) -> tuple[Array, Record]:
    suffix = path.suffix.lower()
    if suffix == ".npy":
        pixels, record = _checked_and_scaled(read_npy(path), path)
    elif suffix in (".dcm", ".dicom", ".ima"):
        pixels, record = read_dicom(path)
    else:
        picture = make_picture(path, PictureSpec(mode="grey"), LARGEST)
        kept = ("value_at_minus_1", "value_at_plus_1", "alpha")
        pixels, record = picture.pixels[..., 0], {key: picture.record[key] for key in kept}
        if not pixels.any():
            raise DataError(f"{path}: nothing in it but air: all of it is black")
    return pixels, {"unit": "values of the file", **record}


def read_dicom(path: Path) -> tuple[Array, Record]:
    """A slice, (H, W) in [0, 1], and its record: of CT in Hounsfield units, with air (-1000) at 0."""
    try:
        import pydicom
    except ImportError:
        raise DataError(f"{path}: DICOM files need pydicom: pip install '{DICOM_EXTRA}'") from None
    try:
        dataset = pydicom.dcmread(path)
        check_pixels(path, int(dataset.get("Rows", 0)), int(dataset.get("Columns", 0)), LARGEST)
        frames = int(dataset.get("NumberOfFrames", 1) or 1)
        if frames > 1:
            raise DataError(f"{path}: {frames} frames; a slice is one")
        raw = dataset.pixel_array
        slope, intercept = float(dataset.get("RescaleSlope", 1)), float(dataset.get("RescaleIntercept", 0))
    except DataError:
        raise
    except Exception as error:
        # Files without a header, without pixels, cut off, or compressed in a way no installed decoder knows.
        raise DataError(f"{path}: cannot be read: {one_line(str(error)) or type(error).__name__}") from None
    values = raw * slope + intercept
    modality = str(dataset.get("Modality", ""))
    pixels, record = _checked_and_scaled(values, path, AIR_HU if modality == "CT" else None)
    record["unit"] = "HU" if modality == "CT" else f"values of the file ({modality or 'unknown modality'})"
    spacing = dataset.get("PixelSpacing")
    if spacing:
        record["file_pixel_mm"] = float(spacing[0])
    return pixels, record


def _checked_and_scaled(raw: Array, path: Path, low: float | None = None) -> tuple[Array, Record]:
    """Values from `low`, or else the least one, to the greatest as 0 to 1; what lies in [0, 1] stays as it is."""
    raw = slice_numbers(raw, path, "buif", LARGEST)
    values = raw.astype(np.float64)
    high = float(values.max())
    if low is None:
        low = float(values.min())
        if raw.dtype.kind == "f" and low >= 0.0 and 0.0 < high <= 1.0:
            low, high = 0.0, 1.0
    if high <= low:
        raise DataError(f"{path}: nothing in it but air: no value above {low:g}")
    check_range(path, low, high)
    pixels = ((values - low) / (high - low)).clip(0.0, 1.0)
    return pixels.astype(np.float32), {"value_at_minus_1": low, "value_at_plus_1": high}
