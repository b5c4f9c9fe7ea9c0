"""Classical denoisers. All but the median are told the strength of the noise, which a field is not.

They take pictures (H, W, C), C 1 or 3, with white Gaussian noise of standard deviation std on values from 0 to 1.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from scipy.ndimage import median_filter
from skimage.restoration import denoise_nl_means, denoise_tv_chambolle, denoise_wavelet

from inrbench_core import DataError
from inrbench_task_denoising.plugin import BM3D_EXTRA

Array = np.ndarray[Any, Any]

# Times the noise's standard deviation.
TV_WEIGHTS = tuple(10.0 ** (tenths / 10.0) for tenths in range(-7, 3))
TV_ITERATIONS = 100
NLM_STRENGTHS = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
# Shifts along each axis.
SPINS = 4
# Pixels of a side that bm3d needs: it crashes on 8 x 8, and takes no side below 8.
LEAST_SIDE = 16


def median(noisy: Array) -> Array:
    """The median of each 3 x 3 neighbourhood, channel by channel: what one uses against salt and pepper."""
    return median_filter(noisy, size=(3, 3, 1), mode="reflect")


def total_variation(noisy: Array, std: float) -> Array:
    """Total variation (Rudin, Osher and Fatemi 1992; solved as in Chambolle 2004), with the weight of least risk.

    Where the residual has the noise's standard deviation, as Morozov's discrepancy principle wants it, the weight is
    too large: about 1 dB of PSNR worse.
    """

    def smooth(picture: Array, weight: float) -> Array:
        # The same number of iterations for every picture: the risk is estimated from the difference of two answers.
        return denoise_tv_chambolle(picture, weight=weight, eps=0.0, max_num_iter=TV_ITERATIONS, channel_axis=-1)

    return least_risk(smooth, noisy, std, TV_WEIGHTS)


def non_local_means(noisy: Array, std: float) -> Array:
    """Non-local means (Buades et al. 2005) with 5 x 5 patches in 13 x 13 pixels and the filter strength of least risk.

    (Van De Ville and Kocher 2009, "SURE-based non-local means".)
    """

    def smooth(picture: Array, strength: float) -> Array:
        found = denoise_nl_means(
            picture, patch_size=5, patch_distance=6, h=strength, sigma=std, fast_mode=True, channel_axis=-1
        )
        # scikit-image drops the axis of a single channel.
        return found.reshape(picture.shape)

    return least_risk(smooth, noisy, std, NLM_STRENGTHS)


def least_risk(smooth: Callable[[Array, float], Array], noisy: Array, std: float, strengths: Sequence[float]) -> Array:
    """What a denoiser makes of a picture with the strength whose squared error is estimated to be least.

    The estimate is Stein's unbiased one (SURE) with the denoiser's divergence along one random direction (Ramani, Blu
    and Unser 2008, "Monte-Carlo SURE"); the clean picture is not looked at.

    Args:
        smooth: the denoiser, called with a picture and a strength.
        noisy: the picture.
        std: of its noise.
        strengths: in units of std.
    """
    probe = np.random.default_rng(0).choice((-1.0, 1.0), noisy.shape)
    step = 0.1 * std
    best, least = noisy, math.inf
    for strength in strengths:
        answer = smooth(noisy, strength * std)
        divergence = float((probe * (smooth(noisy + step * probe, strength * std) - answer)).sum()) / step
        risk = float(np.square(answer - noisy).sum()) + 2.0 * std**2 * divergence
        if risk < least:
            best, least = answer, risk
    return best


def wavelets(noisy: Array, std: float) -> Array:
    """Soft thresholds by BayesShrink (Chang, Yu and Vetterli 2000) on Haar wavelets, of colours in YCbCr.

    Averaged over 4 x 4 shifts (cycle spinning; Coifman and Donoho 1995), as in scikit-image's example.
    """
    total = np.zeros(noisy.shape)
    for shift in itertools.product(range(SPINS), repeat=2):
        smooth = denoise_wavelet(
            np.roll(noisy, shift, (0, 1)),
            sigma=std,
            method="BayesShrink",
            convert2ycbcr=noisy.shape[-1] == 3,
            rescale_sigma=True,
            channel_axis=-1,
        )
        total += np.roll(smooth, (-shift[0], -shift[1]), (0, 1))
    return total / SPINS**2


def bm3d(noisy: Array, std: float) -> Array:
    """BM3D (Dabov et al. 2007) by its authors' package; sides below 16 pixels are padded by reflection.

    Raises:
        DataError: naming the extra, if the package is not installed.
    """
    try:
        from bm3d import BM3DProfile, bm3d, bm3d_rgb
    except ImportError:
        raise DataError(f"bm3d needs an extra: pip install '{BM3D_EXTRA}'") from None
    height, width, channels = noisy.shape
    if height == width == 1:
        # There is no other pixel to average with, and bm3d_rgb divides by the range of the values.
        return noisy
    profile = BM3DProfile()
    # Several threads sum in another order each time.
    profile.num_threads = 1
    denoise = bm3d_rgb if noisy.shape[-1] == 3 else bm3d
    margins = [(0, max(0, LEAST_SIDE - side)) for side in (height, width)]
    # numpy reflects as often as needed, and repeats a single pixel.
    padded = np.pad(noisy, [*margins, (0, 0)], mode="reflect")
    return denoise(padded, std, profile).reshape(*padded.shape[:2], channels)[:height, :width]


FILTERS: dict[str, Callable[[Array, float], Array]] = {
    "total_variation": total_variation,
    "non_local_means": non_local_means,
    "wavelets": wavelets,
    "bm3d": bm3d,
}
# Those that are run twice for each of several strengths.
TUNED = ("total_variation", "non_local_means")
