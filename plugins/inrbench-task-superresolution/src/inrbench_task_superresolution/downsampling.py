"""Anti-aliased downsampling: a coarse pixel is the mean of the fine pixels that it covers, as on a sensor."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

Array = np.ndarray[Any, Any]


def downsample(picture: Array, factor: int) -> Array:
    """(H, W, C) to (H / factor, W / factor, C), float32. Both sides must be multiples of the factor."""
    height, width, channels = picture.shape
    blocks = picture.reshape(height // factor, factor, width // factor, factor, channels)
    return blocks.mean(axis=(1, 3), dtype=np.float64).astype(np.float32)


def footprint(coarse: Tensor, factor: int, columns: int) -> Tensor:
    """The fine pixels that coarse pixels cover, both counted row by row.

    Args:
        coarse: int64 (n,).
        factor: fine pixels along a side of a coarse one.
        columns: coarse pixels in a row.

    Returns:
        int64 (n, factor^2).
    """
    step = torch.arange(factor, device=coarse.device)
    rows = (coarse // columns * factor)[:, None, None] + step[:, None]
    places = (coarse % columns * factor)[:, None, None] + step
    return (rows * (columns * factor) + places).flatten(1)


def bicubic(coarse: Array, factor: int) -> Array:
    """Upsampling by Keys' cubic convolution (1981, a = -0.5) with pixel areas aligned: (H factor, W factor, C)."""
    height, width, channels = coarse.shape
    size = (width * factor, height * factor)
    planes = [
        np.asarray(Image.fromarray(np.ascontiguousarray(coarse[..., channel])).resize(size, Image.Resampling.BICUBIC))
        for channel in range(channels)
    ]
    return np.stack(planes, axis=-1)
