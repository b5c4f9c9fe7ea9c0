"""What tasks on slices of a body share: the cache, reading arrays, and making pictures square."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from inrbench_core import DataError
from inrbench_core.api.fingerprint import package_fingerprint
from inrbench_core.api.sources import Sample, check_pixels, file_sha256, find_sample
from inrbench_core.api.text import one_line
from inrbench_task_image.pictures import PLACE_IN_FILE, Picture, cached_picture

Array = np.ndarray[Any, Any]


def cached_slice(
    module: str,
    source: str,
    options: Mapping[str, Any],
    make: Callable[[], Picture],
    *,
    drawn: Mapping[str, str],
    samples: Mapping[str, Sample],
) -> Picture:
    """What `make` returns, from the cache if it was made before, with where it comes from in its record.

    Args:
        module: the caller's `__name__`.
        source: a name of `drawn` or `samples`, or the path of the user's own file.
        options: plain data that decide the slice beside the source.
        make: draws or reads it.
        drawn: the licence of each slice that is drawn.
        samples: files that other distributions carry.

    Raises:
        DataError: if the file is missing or not readable, or what `make` raises.
    """
    record: dict[str, str | int | float] = {"source": source, "synthetic": source in drawn}
    key: dict[str, Any] = {**options, "readers": package_fingerprint("inrbench_task_image")}
    if source in drawn:
        record["licence"] = key["drawn"] = drawn[source]
    else:
        sample = samples.get(source)
        path = find_sample(source, samples) if sample else Path(source)
        record["licence"] = sample.licence if sample else "the user's own file"
        record["sha256"] = key["sha256"] = file_sha256(path, sample.sha256 if sample else None)
        # It decides how a file is read.
        key["suffix"] = path.suffix.lower()
    picture = cached_picture(module, key, make)
    return Picture(picture.pixels, {**record, **picture.record})


def slice_numbers(raw: Array, path: Path, kinds: str, most: int) -> Array:
    """An array of rows and columns, (H, W) or (H, W, 1), as (H, W), of finite numbers.

    Args:
        raw: the array.
        path: its file, for messages.
        kinds: numpy's kinds of dtypes that are read.
        most: pixels along a side.

    Raises:
        DataError: if it is none, or too large.
    """
    raw = raw[..., 0] if raw.ndim == 3 and raw.shape[-1] == 1 else raw
    if raw.ndim != 2 or raw.dtype.kind not in kinds:
        raise DataError(f"{path}: shape {raw.shape} of {raw.dtype}; a slice has rows and columns of numbers")
    if 0 in raw.shape:
        raise DataError(f"{path}: has no pixels")
    check_pixels(path, *raw.shape, most)
    bad = raw.size - int(np.isfinite(raw).sum())
    if bad:
        raise DataError(f"{path}: {bad} of {raw.size} values are not finite")
    return raw


def read_npy(path: Path) -> Array:
    """The array of a npy file, mapped, so that nothing is read before its shape is known.

    Raises:
        DataError: if it cannot be read, or holds several arrays.
    """
    try:
        raw = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        raise DataError(f"{path}: cannot be read: {one_line(str(error))}") from None
    if not isinstance(raw, np.ndarray):
        raise DataError(f"{path}: holds several arrays (npz); a slice is one, in a npy file")
    return raw


def squared(pixels: Array, size: int | None) -> tuple[Array, dict[str, int]]:
    """A picture with air (0) on both sides of its shorter axis, resized with smoothing.

    Args:
        pixels: (H, W), 0 for air.
        size: pixels of a side; None: of the longer side, as it is.

    Returns:
        (size, size), and where the square lies in the file's picture, see `PLACE_IN_FILE`.
    """
    height, width = pixels.shape
    side = max(height, width)
    top, left = (side - height) // 2, (side - width) // 2
    square = np.pad(pixels, ((top, side - height - top), (left, side - width - left)))
    if size is not None and size != side:
        # Not at the top: it takes half a second, and a picture from the cache does without.
        from skimage.transform import resize

        square = resize(square, (size, size), anti_aliasing=True)
    return square, dict(zip(PLACE_IN_FILE, (height, width, -top, -left, side, side), strict=True))
