"""Classical denoisers. They are told the true strength of the noise, which a field is not."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.ndimage import median_filter
from skimage.restoration import denoise_nl_means, denoise_tv_chambolle

Array = np.ndarray[Any, Any]

BISECTIONS = 8


def median(noisy: Array) -> Array:
    """The median of each 3 x 3 neighbourhood, channel by channel: what one uses against salt and pepper."""
    return median_filter(noisy, size=(3, 3, 1), mode="reflect")


def total_variation(noisy: Array, std: float) -> Array:
    """Total variation (Chambolle 2004), as strong as makes what is taken away have the noise's std.

    This is Morozov's discrepancy principle; the weight is found by bisection of its logarithm.
    """
    if std == 0.0:
        return noisy
    low, high = std / 10.0, std * 10.0
    for _ in range(BISECTIONS):
        weight = (low * high) ** 0.5
        smooth = denoise_tv_chambolle(noisy, weight=weight, channel_axis=-1)
        if np.sqrt(np.square(smooth - noisy).mean()) < std:
            low = weight
        else:
            high = weight
    return smooth


def non_local_means(noisy: Array, std: float) -> Array:
    """Non-local means (Buades et al. 2005) with 5 x 5 patches, filter strength 0.8 of the noise's std."""
    smooth = denoise_nl_means(
        noisy, patch_size=5, patch_distance=6, h=0.8 * std, sigma=std, fast_mode=True, channel_axis=-1
    )
    # scikit-image drops the axis of a single channel.
    return smooth.reshape(noisy.shape)
