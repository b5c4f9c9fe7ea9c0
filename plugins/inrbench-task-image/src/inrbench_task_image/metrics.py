"""How near two pictures are. Pictures are float, (H, W, C), in [0, 1], arrays or tensors on any device."""

from __future__ import annotations

import math
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from inrbench_core import decibels

Array = np.ndarray[Any, Any]
Values = TypeVar("Values", Array, Tensor)

SSIM_WINDOW = 11
_SSIM_SIGMA, _SSIM_CONSTANTS = 1.5, (0.01**2, 0.03**2)
# So many pixels are compared at a time, which bounds the memory; few enough for a CPU's cache.
_CPU_PIXELS, _GPU_PIXELS = 1 << 16, 1 << 22


def squared_error(truth: Values, picture: Values) -> Values:
    """Squared error of each pixel, averaged over its channels: (H, W)."""
    return ((picture - truth) ** 2).mean(-1)


def psnr(error: Array | Tensor) -> float:
    """Peak signal-to-noise ratio, dB, for peak 1, of some pixels' squared errors of any shape; see `decibels`.

    NaN if there are no pixels or one of the errors is NaN.
    """
    if 0 in error.shape:
        return math.nan
    # What is no tensor is left on the CPU.
    mean = error.double().mean().item() if isinstance(error, Tensor) else float(error.mean(dtype=np.float64))
    return decibels(1.0, mean)


def luma(picture: Values) -> Values:
    """Luma Y of ITU-R BT.601 as in the literature of super-resolution: (H, W, 3) or (H, W, 1) to (H, W, 1).

    Of a colour picture it is (16 + 65.481 R + 128.553 G + 24.966 B) / 255, in [16 / 255, 235 / 255], as of MATLAB's
    rgb2ycbcr, and errors are still measured against the peak 1. A grey picture is its own luma.
    """
    if picture.shape[-1] == 1:
        return picture
    red, green, blue = (picture[..., channel, None] for channel in range(3))
    return (16.0 + 65.481 * red + 128.553 * green + 24.966 * blue) / 255.0


def psnr_luma(truth: Values, picture: Values) -> float:
    """PSNR of the luma, dB; see `luma`. An error that is the same in all channels of a colour picture gives 1.3 dB more
    than `psnr`, since luma does not reach from 0 to 1.
    """
    return psnr(squared_error(luma(truth), luma(picture)))


def ssim_map(truth: Array | Tensor, picture: Array | Tensor) -> Tensor:
    """Structural similarity of each pixel, averaged over channels: float64 (H, W), where the truth is.

    With the Gaussian window of Wang et al. 2004, "Image quality assessment: from error visibility to structural
    similarity" (sigma 1.5, 11 x 11); pictures are mirrored at their borders, as in scikit-image. All NaN where the
    picture is smaller than the window: another window would give another metric.
    """
    truth = torch.as_tensor(truth)
    picture = torch.as_tensor(picture, device=truth.device)
    height, width, channels = truth.shape
    total = torch.full((height, width), math.nan, dtype=torch.float64, device=truth.device)
    if min(height, width) < SSIM_WINDOW:
        return total
    rows, columns = (_mirrored(size).to(truth.device) for size in (height, width))
    count = max(1, (_GPU_PIXELS if truth.is_cuda else _CPU_PIXELS) // width)
    for start in range(0, height, count):
        # With the rows that the window reaches.
        part = rows[start : start + count + SSIM_WINDOW - 1]
        similarity = [
            _similarity(*(image[..., channel][part][:, columns].double() for image in (truth, picture)))
            for channel in range(channels)
        ]
        total[start : start + count] = sum(similarity) / channels
    return total


def _similarity(a: Tensor, b: Tensor) -> Tensor:
    """Of one channel of two pictures, (h, w) each, without the margin: (h - 10, w - 10)."""
    mean_a, mean_b, square_a, square_b, product = _blurred(torch.stack([a, b, a * a, b * b, a * b]))
    one, two = _SSIM_CONSTANTS
    means, squares = mean_a * mean_b, mean_a**2 + mean_b**2
    contrast = (2.0 * (product - means) + two) / (square_a + square_b - squares + two)
    return (2.0 * means + one) / (squares + one) * contrast


def _blurred(planes: Tensor) -> Tensor:
    """Planes (n, h, w) weighted by the window, where it lies within them: (n, h - 10, w - 10)."""
    radius = SSIM_WINDOW // 2
    weights = [math.exp(-0.5 * (offset / _SSIM_SIGMA) ** 2) for offset in range(radius + 1)]
    total = weights[0] + 2.0 * sum(weights[1:])
    for axis in (1, 2):
        inner = planes.shape[axis] - 2 * radius
        # Sums of shifted planes: torch's convolution of one channel takes several times as long on a CPU.
        summed = planes.narrow(axis, radius, inner) * (weights[0] / total)
        for offset, weight in enumerate(weights[1:], 1):
            for shift in (radius - offset, radius + offset):
                summed.add_(planes.narrow(axis, shift, inner), alpha=weight / total)
        planes = summed
    return planes


def _mirrored(size: int) -> Tensor:
    """Places along an axis, (size + 10,): with the outer five of both ends mirrored, the outermost twice."""
    radius = SSIM_WINDOW // 2
    place = torch.arange(-radius, size + radius)
    return torch.where(place < 0, -1 - place, torch.where(place >= size, 2 * size - 1 - place, place))


def ssim(truth: Array | Tensor, picture: Array | Tensor) -> float:
    """Mean structural similarity, without the margin where the window leaves the picture; see `ssim_map`."""
    margin = SSIM_WINDOW // 2
    height, width = truth.shape[:2]
    if min(height, width) < SSIM_WINDOW:
        return math.nan
    return ssim_map(truth, picture)[margin : height - margin, margin : width - margin].mean().item()
