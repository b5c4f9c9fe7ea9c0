"""Loading a slice: drawn, from a package, or a file of the user's own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from inrbench_task_image.pictures import Picture, load_picture
from inrbench_task_image.spec import PictureSpec
from skimage.data import shepp_logan_phantom
from skimage.transform import resize

from inrbench_core import DataError
from inrbench_core.api.sources import file_sha256, find_sample
from inrbench_task_ct.plugin import DICOM_EXTRA, SAMPLES, SMALLEST, CtSpec
from inrbench_task_ct.thorax import thorax

Array = np.ndarray[Any, Any]
Record = dict[str, str | int | float]

THORAX_SIZE = 256
AIR_HU = -1000.0


def load_slice(spec: CtSpec) -> Picture:
    """The slice a spec asks for: square, (N, N, 1), attenuation from 0 (air) to 1.

    Raises:
        DataError: if it is missing, unreadable, not finite, too small or no single slice.
    """
    if spec.source == "thorax":
        pixels, record = thorax(spec.size or THORAX_SIZE), _drawn("made for inrbench")
    elif spec.source == "shepp_logan":
        pixels, record = shepp_logan_phantom().astype(np.float32), _drawn("scikit-image, BSD; Shepp and Logan 1974")
    elif spec.source in SAMPLES:
        sample, path = SAMPLES[spec.source], find_sample(spec.source, SAMPLES)
        file_sha256(path, sample.sha256)
        pixels, record = read_dicom(path)
        record["licence"] = sample.licence
    else:
        pixels, record = _read(Path(spec.source))
    if max(pixels.shape) < SMALLEST:
        raise DataError(f"{spec.source}: {pixels.shape[0]} x {pixels.shape[1]} pixels; a slice has at least {SMALLEST}")
    height, width = pixels.shape
    pixels = _squared(pixels)
    if spec.size is not None and spec.size != len(pixels):
        pixels = resize(pixels, (spec.size, spec.size), anti_aliasing=True)
    return Picture(
        np.ascontiguousarray(pixels[..., None], dtype=np.float32).clip(0.0, 1.0),
        {"source": spec.source, **record, "file_height": height, "file_width": width, "size": len(pixels)},
    )


def _drawn(licence: str) -> Record:
    return {"licence": licence, "unit": "relative attenuation", "value_at_minus_1": 0.0, "value_at_plus_1": 1.0}


def _read(path: Path) -> tuple[Array, Record]:
    if not path.is_file():
        raise DataError(f"no such file: {path}")
    suffix = path.suffix.lower()
    if suffix == ".npy":
        pixels, record = _read_npy(path)
    elif suffix in (".dcm", ".dicom", ".ima"):
        pixels, record = read_dicom(path)
    else:
        picture = load_picture(PictureSpec(source=str(path), mode="grey"))
        kept = ("value_at_minus_1", "value_at_plus_1", "alpha")
        pixels, record = picture.pixels[..., 0], {key: picture.record[key] for key in kept}
        if not pixels.any():
            raise DataError(f"{path}: nothing in it but air: all of it is black")
    return pixels, {
        "licence": "the user's own file",
        "sha256": file_sha256(path),
        "unit": "values of the file",
        **record,
    }


def _read_npy(path: Path) -> tuple[Array, Record]:
    try:
        raw = np.load(path, allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        raise DataError(f"{path}: cannot be read: {_one_line(error)}") from None
    if not isinstance(raw, np.ndarray):
        raise DataError(f"{path}: holds several arrays (npz); a slice is one, in a npy file")
    return _checked_and_scaled(raw, path)


def read_dicom(path: Path) -> tuple[Array, Record]:
    """A slice, (H, W) in [0, 1], and its record: of CT in Hounsfield units, with air (-1000) at 0."""
    try:
        import pydicom
    except ImportError:
        raise DataError(f"{path}: DICOM files need pydicom: pip install '{DICOM_EXTRA}'") from None
    try:
        dataset = pydicom.dcmread(path)
        raw = dataset.pixel_array
        slope, intercept = float(dataset.get("RescaleSlope", 1)), float(dataset.get("RescaleIntercept", 0))
    except Exception as error:
        # Files without a header, without pixels, cut off, or compressed in a way no installed decoder knows.
        raise DataError(f"{path}: cannot be read: {_one_line(error)}") from None
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
    raw = raw[..., 0] if raw.ndim == 3 and raw.shape[-1] == 1 else raw
    if raw.ndim != 2 or raw.dtype.kind not in "buif":
        raise DataError(f"{path}: shape {raw.shape} of {raw.dtype}; a slice has rows and columns of numbers")
    if 0 in raw.shape:
        raise DataError(f"{path}: has no pixels")
    bad = raw.size - int(np.isfinite(raw).sum())
    if bad:
        raise DataError(f"{path}: {bad} of {raw.size} values are not finite")
    values = raw.astype(np.float64)
    high = float(values.max())
    if low is None:
        low = float(values.min())
        if raw.dtype.kind == "f" and low >= 0.0 and 0.0 < high <= 1.0:
            low, high = 0.0, 1.0
    if high <= low:
        raise DataError(f"{path}: nothing in it but air: no value above {low:g}")
    pixels = ((values - low) / (high - low)).clip(0.0, 1.0)
    return pixels.astype(np.float32), {"value_at_minus_1": low, "value_at_plus_1": high}


def _squared(pixels: Array) -> Array:
    """Air added on both sides of the shorter axis."""
    side = max(pixels.shape)
    margins = [((side - length) // 2, side - length - (side - length) // 2) for length in pixels.shape]
    return np.pad(pixels, margins)


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
