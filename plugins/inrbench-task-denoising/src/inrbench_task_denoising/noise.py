"""Noise on pictures in [0, 1], and what classical denoisers make of it."""

from __future__ import annotations

from typing import Any

import numpy as np

from inrbench_task_denoising.filters import FILTERS
from inrbench_task_denoising.plugin import DenoisingSpec
from inrbench_task_denoising.stabilisation import mean_photons, stabilised

Array = np.ndarray[Any, Any]


def add_noise(picture: Array, spec: DenoisingSpec, generator: np.random.Generator) -> Array:
    """The picture with noise, float32, every value drawn on its own.

    gaussian: + N(0, level^2). poisson: (Poisson(level x) + N(0, readout^2)) / level, as in WIRE and INCODE, so the
    variance of a value x is x / level + (readout / level)^2.
    salt_pepper: with probability level the value becomes 0 or 1, each as often as the other.
    Values may leave [0, 1]: cutting them off would shift the mean of dark and bright places.
    """
    level = spec.strength
    if spec.noise == "gaussian":
        noisy = picture + generator.normal(0.0, level, picture.shape)
    elif spec.noise == "poisson":
        noisy = (generator.poisson(picture * level) + generator.normal(0.0, spec.readout, picture.shape)) / level
    else:
        extremes = generator.integers(0, 2, picture.shape)
        noisy = np.where(generator.random(picture.shape) < level, extremes, picture)
    return noisy.astype(np.float32)


def denoised(name: str, noisy: Array, spec: DenoisingSpec) -> Array:
    """What one of `FILTERS` makes of a noisy picture, told what the spec says of the noise.

    Photon counts are stabilised for it. Salt and pepper are told as Gaussian noise of the same variance, for which
    these filters are not made.
    """
    denoise, level = FILTERS[name], spec.strength
    picture = noisy.astype(np.float64)
    if spec.noise == "gaussian":
        return denoise(picture, level)
    if spec.noise == "salt_pepper":
        return denoise(picture, impulse_std(picture, level))
    # Filters expect values from 0 to about 1.
    white = float(stabilised(np.float64(level), spec.readout))
    values = denoise(stabilised(picture * level, spec.readout) / white, 1.0 / white)
    return mean_photons(values * white, spec.readout) / level


def impulse_std(noisy: Array, share: float) -> float:
    """Standard deviation of salt and pepper on that share of the values, by the moments of the noisy picture.

    A value x is replaced by 0 or 1, so that the mean squared error is share E[x^2 - x + 1/2], 1/4 of it at least.
    Noisy values have the moments (1 - share) E[x^k] + share / 2.
    """
    if share == 1.0:
        return 0.5
    mean, square = ((float((noisy**power).mean()) - share / 2.0) / (1.0 - share) for power in (1, 2))
    return float(np.sqrt(share * max(square - mean + 0.5, 0.25)))
