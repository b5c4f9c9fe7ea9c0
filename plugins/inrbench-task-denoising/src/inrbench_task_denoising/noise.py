"""Noise on pictures in [0, 1]."""

from __future__ import annotations

from typing import Any

import numpy as np

from inrbench_task_denoising.plugin import DenoisingSpec

Array = np.ndarray[Any, Any]


def add_noise(picture: Array, spec: DenoisingSpec, generator: np.random.Generator) -> Array:
    """The picture with noise, float32, every value drawn on its own.

    gaussian: + N(0, level^2). poisson: Poisson(level x) / level, so the variance of a value x is x / level.
    salt_pepper: with probability level the value becomes 0 or 1, each as often as the other.
    Values may leave [0, 1]: cutting them off would shift the mean of dark and bright places.
    """
    level = spec.strength
    if spec.noise == "gaussian":
        noisy = picture + generator.normal(0.0, level, picture.shape)
    elif spec.noise == "poisson":
        noisy = generator.poisson(picture * level) / level
    else:
        extremes = generator.integers(0, 2, picture.shape)
        noisy = np.where(generator.random(picture.shape) < level, extremes, picture)
    return noisy.astype(np.float32)
