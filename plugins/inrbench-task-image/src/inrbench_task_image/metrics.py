"""How near two pictures are. Pictures are float, (H, W, C), in [0, 1]."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from skimage.metrics import structural_similarity

Array = np.ndarray[Any, Any]

# What a copy scores: a finite figure can be averaged and ranked, and no float32 fit of more than a
# few pixels reaches it.
MAX_PSNR = 200.0
MIN_ERROR = 10.0 ** (-MAX_PSNR / 10.0)
SSIM_WINDOW = 11


def squared_error(truth: Array, picture: Array) -> Array:
    """Squared error of each pixel, averaged over its channels: (H, W)."""
    return np.square(picture - truth).mean(axis=-1)


def psnr(error: Array) -> float:
    """Peak signal-to-noise ratio, dB, for peak 1, of some pixels' squared errors of any shape.

    `MAX_PSNR` at most; NaN if there are no pixels or one of the errors is NaN.
    """
    if error.size == 0:
        return math.nan
    mean = float(error.mean(dtype=np.float64))
    # Compared this way round, NaN stays NaN.
    return MAX_PSNR if mean <= MIN_ERROR else -10.0 * math.log10(mean)


def ssim_map(truth: Array, picture: Array) -> Array:
    """Structural similarity of each pixel, (H, W), averaged over channels.

    With the Gaussian window of Wang et al. 2004 (sigma 1.5, 11 x 11). All NaN where the picture is
    smaller than the window: another window would give another metric.
    """
    if min(truth.shape[:2]) < SSIM_WINDOW:
        return np.full(truth.shape[:2], math.nan, np.float32)
    total = np.zeros(truth.shape[:2], np.float64)
    # Channel by channel, which bounds the memory.
    for channel in range(truth.shape[-1]):
        _, similarity = structural_similarity(
            truth[..., channel],
            picture[..., channel],
            data_range=1.0,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
            full=True,
        )
        total += similarity
    return total / truth.shape[-1]


def ssim(truth: Array, picture: Array) -> float:
    """Mean structural similarity, without the margin where the window leaves the picture; see `ssim_map`."""
    margin = SSIM_WINDOW // 2
    height, width = truth.shape[:2]
    if min(height, width) < SSIM_WINDOW:
        return math.nan
    inner = ssim_map(truth, picture)[margin : height - margin, margin : width - margin]
    return float(inner.mean(dtype=np.float64))
