"""What tasks on slices of a body share: reading arrays, and making pictures square."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from inrbench_core import DataError
from inrbench_core.api.text import one_line
from inrbench_task_image.pictures import PLACE_IN_FILE

Array = np.ndarray[Any, Any]


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
