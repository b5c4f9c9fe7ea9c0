"""Loading a picture: read, scale to [0, 1], put on white, crop, resize, convert."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from skimage.color import rgb2gray
from skimage.transform import resize

from inrbench_core import DataError
from inrbench_core.api.sources import file_sha256
from inrbench_task_image.previews import scaled_size
from inrbench_task_image.readers import read_picture
from inrbench_task_image.samples import SAMPLES, find_sample
from inrbench_task_image.spec import PictureSpec

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Picture:
    """A picture ready for use.

    Args:
        pixels: float32, (H, W, C), in [0, 1]; C is 1 or 3.
        record: where it is from and what was done to it.
    """

    pixels: Array
    record: dict[str, str | int | float]


def load_picture(spec: PictureSpec) -> Picture:
    """The picture a spec asks for. Raises DataError if it cannot be used."""
    path = find_sample(spec.source) if spec.source in SAMPLES else Path(spec.source)
    sample = SAMPLES.get(spec.source)
    sha256 = file_sha256(path, sample.sha256 if sample else None)
    raw = read_picture(path)
    if 0 in raw.shape:
        raise DataError(f"{path}: has no pixels")
    pixels, low, high = _scaled(raw, path)
    alpha = pixels.shape[-1] in (2, 4)
    if alpha:
        pixels, opacity = pixels[..., :-1], pixels[..., -1:]
        pixels = pixels * opacity + (1.0 - opacity)
    pixels = _resized(_cropped(pixels, spec.crop), spec.size)
    pixels = np.ascontiguousarray(_converted(pixels, spec.mode), dtype=np.float32).clip(0.0, 1.0)
    height, width, channels = pixels.shape
    return Picture(
        pixels,
        {
            "source": spec.source,
            "licence": sample.licence if sample else "the user's own file",
            "sha256": sha256,
            "file_height": raw.shape[0],
            "file_width": raw.shape[1],
            "file_dtype": raw.dtype.name,
            # Values of the file that become -1 and 1, the range fields are trained on.
            "value_at_minus_1": low,
            "value_at_plus_1": high,
            "alpha": "composited on white" if alpha else "none",
            "height": height,
            "width": width,
            "channels": channels,
        },
    )


def _scaled(raw: Array, path: Path) -> tuple[Array, float, float]:
    """Pixels scaled to [0, 1], float32, and the file's values that become 0 and 1.

    uint8 and uint16 are divided by their largest value, and floats in [0, 1] kept. Other integers and
    floats have no known white: their least and greatest value become 0 and 1.
    """
    if raw.dtype.kind not in "buif":
        raise DataError(f"{path}: values of type {raw.dtype} are no picture")
    if raw.dtype == bool or raw.dtype in (np.uint8, np.uint16):
        low, high = 0.0, 1.0 if raw.dtype == bool else float(np.iinfo(raw.dtype).max)
    else:
        bad = raw.size - int(np.isfinite(raw).sum())
        if bad:
            raise DataError(f"{path}: {bad} of {raw.size} values are not finite")
        low, high = float(raw.min()), float(raw.max())
        if raw.dtype.kind == "f" and low >= 0.0 and high <= 1.0:
            low, high = 0.0, 1.0
        elif high == low:
            high = low + 1.0
    # Wide types are scaled in double, since float32 cannot hold large integers.
    pixels = raw.astype(np.float32 if raw.dtype.itemsize <= 2 else np.float64)
    pixels -= low
    pixels /= high - low
    return pixels.astype(np.float32, copy=False), low, high


def _cropped(pixels: Array, crop: str | tuple[int, int, int, int] | None) -> Array:
    height, width = pixels.shape[:2]
    if crop is None:
        return pixels
    if isinstance(crop, str):
        side = min(height, width)
        top, left, rows, columns = (height - side) // 2, (width - side) // 2, side, side
    else:
        top, left, rows, columns = crop
        if top + rows > height or left + columns > width:
            raise DataError(f"crop {list(crop)} leaves the picture, which is {height} high and {width} wide")
    return pixels[top : top + rows, left : left + columns]


def _resized(pixels: Array, size: int | tuple[int, int] | None) -> Array:
    height, width = pixels.shape[:2]
    if isinstance(size, int):
        size = scaled_size(height, width, size)
    if size is None or size == (height, width):
        return pixels
    return resize(pixels, size, anti_aliasing=True)


def _converted(pixels: Array, mode: str | None) -> Array:
    if mode == "grey" and pixels.shape[-1] == 3:
        return rgb2gray(pixels)[..., None]
    if mode == "colour" and pixels.shape[-1] == 1:
        return np.repeat(pixels, 3, axis=-1)
    return pixels
