"""Pictures as one sees them: uint8, (H, W, 3)."""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


def preview(picture: Array) -> Array:
    """A picture (H, W, 1 or 3) in [0, 1] as uint8 RGB; NaN turns black."""
    eight_bits = np.rint(np.nan_to_num(picture).clip(0.0, 1.0) * 255.0).astype(np.uint8)
    return np.ascontiguousarray(np.broadcast_to(eight_bits, (*picture.shape[:2], 3)))


def scaled_size(height: int, width: int, longest: int) -> tuple[int, int]:
    """(height, width) with the same aspect, as near as whole pixels come, and `longest` along the longer side."""
    scale = longest / max(height, width)
    return max(1, round(height * scale)), max(1, round(width * scale))
