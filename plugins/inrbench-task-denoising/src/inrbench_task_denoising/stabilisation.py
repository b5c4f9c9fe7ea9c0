"""Variance stabilisation of photon counts, so that denoisers of Gaussian noise can be used on them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


def stabilised(photons: Array, readout: float) -> Array:
    """The generalised Anscombe transform (Starck, Murtagh and Bijaoui 1998): counts with noise of variance about 1.

    Args:
        photons: Poisson counts with Gaussian readout noise added, any shape.
        readout: its standard deviation, in photons; 0 gives the transform of Anscombe 1948.
    """
    return 2.0 * np.sqrt(np.maximum(photons + 0.375 + readout**2, 0.0))


def mean_photons(values: Array, readout: float) -> Array:
    """The mean count of which `stabilised` counts have these means: its exact unbiased inverse, in closed form.

    (Makitalo and Foi 2011 and 2013, "Optimal inversion of the generalized Anscombe transformation for Poisson-Gaussian
    noise".) The algebraic inverse would be too small by about a quarter of a photon.
    """
    # At 0 photons and without readout noise: below it the series means nothing.
    values = np.maximum(values, 2.0 * math.sqrt(0.375))
    root = math.sqrt(1.5)
    series = values**2 / 4.0 + root / 4.0 / values - 11.0 / 8.0 / values**2 + 5.0 * root / 8.0 / values**3 - 0.125
    return np.maximum(series - readout**2, 0.0)
