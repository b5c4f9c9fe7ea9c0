"""Loading a picture: read, scale to [0, 1], put on white, crop, resize, convert."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from inrbench_core import DataError, cached_arrays
from inrbench_core.api.sources import MOST_PIXELS, file_sha256
from inrbench_task_image.previews import scaled_size
from inrbench_task_image.readers import read_picture
from inrbench_task_image.samples import SAMPLES, find_sample
from inrbench_task_image.spec import PictureSpec

Array = np.ndarray[Any, Any]


# Names in a record: the size of the file's picture, and the part of it that was taken, in its pixels. Row r of the
# fitted picture lies at crop_top + (r + 0.5) * crop_height / height - 0.5 there, and a column likewise.
PLACE_IN_FILE = ("file_height", "file_width", "crop_top", "crop_left", "crop_height", "crop_width")


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
    """The picture a spec asks for, from the cache if it was made before. Raises DataError if it cannot be used."""
    path = find_sample(spec.source) if spec.source in SAMPLES else Path(spec.source)
    sample = SAMPLES.get(spec.source)
    sha256 = file_sha256(path, sample.sha256 if sample else None)
    key = {"sha256": sha256, "crop": spec.crop, "size": spec.size, "mode": spec.mode}
    picture = cached_picture(__name__, key, lambda: make_picture(path, spec))
    licence = sample.licence if sample else "the user's own file"
    origin = {"source": spec.source, "licence": licence, "sha256": sha256, "synthetic": False}
    return Picture(picture.pixels, {**origin, **picture.record})


def cached_picture(module: str, key: Mapping[str, Any], make: Callable[[], Picture]) -> Picture:
    """What `make` returns, from the cache if it was made before; see `cached_arrays`."""

    def as_arrays() -> dict[str, Array]:
        made = make()
        return {"pixels": made.pixels, "record": np.frombuffer(json.dumps(made.record).encode(), np.uint8)}

    arrays = cached_arrays(module, key, as_arrays)
    return Picture(arrays["pixels"], json.loads(arrays["record"].tobytes()))


def make_picture(path: Path, spec: PictureSpec, longest: int | None = None) -> Picture:
    """Read a file, whose longer side may have `longest` pixels, and scale, crop, resize and convert it.

    Raises:
        DataError: if it cannot be used.
    """
    raw = read_picture(path, longest)
    if 0 in raw.shape:
        raise DataError(f"{path}: has no pixels")
    pixels, low, high = _scaled(raw, path)
    alpha = pixels.shape[-1] in (2, 4)
    if alpha:
        pixels, opacity = pixels[..., :-1], pixels[..., -1:]
        pixels = pixels * opacity + (1.0 - opacity)
    top, left, rows, columns = _crop(spec.crop, *pixels.shape[:2])
    pixels = _resized(pixels[top : top + rows, left : left + columns], spec.size)
    pixels = np.ascontiguousarray(_converted(pixels, spec.mode), dtype=np.float32).clip(0.0, 1.0)
    height, width, channels = pixels.shape
    return Picture(
        pixels,
        {
            **dict(zip(PLACE_IN_FILE, (*raw.shape[:2], top, left, rows, columns), strict=True)),
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
    check_range(path, low, high)
    # Wide types are scaled in double, since float32 cannot hold large integers.
    pixels = raw.astype(np.float32 if raw.dtype.itemsize <= 2 else np.float64)
    pixels -= low
    pixels /= high - low
    return pixels.astype(np.float32, copy=False), low, high


def check_range(path: Path, low: float, high: float) -> None:
    """Raise DataError if values between these cannot be told in float32."""
    if not high - low <= np.finfo(np.float32).max:
        raise DataError(f"{path}: values from {low:g} to {high:g} are too far apart; a float32 holds up to 3.4e38")


def _crop(
    crop: Literal["square"] | tuple[int, int, int, int] | None, height: int, width: int
) -> tuple[int, int, int, int]:
    """Top, left, height and width, in pixels, of what is taken of a picture of that size."""
    if crop is None:
        return 0, 0, height, width
    if crop == "square":
        side = min(height, width)
        return (height - side) // 2, (width - side) // 2, side, side
    top, left, rows, columns = crop
    if top + rows > height or left + columns > width:
        raise DataError(f"crop {list(crop)} leaves the picture, which is {height} high and {width} wide")
    return crop


def _resized(pixels: Array, size: int | tuple[int, int] | None) -> Array:
    height, width = pixels.shape[:2]
    if isinstance(size, int):
        size = scaled_size(height, width, size)
    if size is None or size == (height, width):
        return pixels
    if size[0] * size[1] > MOST_PIXELS:
        raise DataError(f"size makes {size[0]} x {size[1]} pixels; at most {MOST_PIXELS // 10**6} megapixels are made")
    # Not at the top: it takes half a second, and a picture from the cache does without.
    from skimage.transform import resize

    return resize(pixels, size, anti_aliasing=True)


def _converted(pixels: Array, mode: str | None) -> Array:
    if mode == "grey" and pixels.shape[-1] == 3:
        # Not at the top: see `_resized`.
        from skimage.color import rgb2gray

        return rgb2gray(pixels)[..., None]
    if mode == "colour" and pixels.shape[-1] == 1:
        return np.repeat(pixels, 3, axis=-1)
    return pixels
