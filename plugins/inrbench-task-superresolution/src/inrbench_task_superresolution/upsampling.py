"""Fine pictures from coarse ones without a field."""

from __future__ import annotations

from typing import Any

import numpy as np
from PIL import Image

from inrbench_task_superresolution.downsampling import Downsampling

Array = np.ndarray[Any, Any]

# Half a grey level of eight bits: the coarse pixels are then what they were in a file.
TOLERANCE = 0.5 / 255.0
MOST_ITERATIONS = 100


def bicubic(coarse: Array, factor: int) -> Array:
    """Keys' cubic convolution (1981, a = -0.5) with pixel areas aligned: (H factor, W factor, C), by Pillow."""
    return _resized(coarse, factor, Image.Resampling.BICUBIC)


def lanczos(coarse: Array, factor: int) -> Array:
    """Lanczos' kernel of six coarse pixels, with pixel areas aligned: (H factor, W factor, C), by Pillow."""
    return _resized(coarse, factor, Image.Resampling.LANCZOS)


def back_projection(coarse: Array, downsampling: Downsampling) -> Array:
    """Iterative back-projection (Irani and Peleg 1991) of the bicubic answer.

    What the fine picture, downsampled, lacks of the coarse one is upsampled and added, and the sum cut off at black and
    white, until no coarse value is off by more than half a grey level of eight bits, or 100 times.

    Args:
        coarse: (h, w, C), in [0, 1].
        downsampling: what made it.

    Returns:
        (h factor, w factor, C), in [0, 1].
    """
    fine = bicubic(coarse, downsampling.factor).clip(0.0, 1.0)
    for _ in range(MOST_ITERATIONS):
        residual = coarse - downsampling(fine)
        if np.abs(residual).max() <= TOLERANCE:
            break
        fine = (fine + bicubic(residual, downsampling.factor)).clip(0.0, 1.0)
    return fine


def _resized(coarse: Array, factor: int, kernel: Image.Resampling) -> Array:
    height, width, channels = coarse.shape
    size = (width * factor, height * factor)
    planes = [
        np.asarray(Image.fromarray(np.ascontiguousarray(coarse[..., channel])).resize(size, kernel))
        for channel in range(channels)
    ]
    return np.stack(planes, axis=-1)
