"""Ratios of power in dB, with one value for a perfect answer. Imports no torch."""

from __future__ import annotations

import math

# What a copy scores: a finite figure can be averaged and ranked, and no float32 fit of more than a few values reaches
# it.
MOST_DECIBELS = 200.0


def decibels(power: float, error: float) -> float:
    """10 log10(power / error), as signal-to-noise ratios are defined.

    Args:
        power: of the signal or of its peak, above 0.
        error: mean or sum of squared errors, as `power` is one, at least 0.

    Returns:
        dB; `MOST_DECIBELS` at most, which a perfect answer has; -inf for an infinite error, NaN for NaN.
    """
    if math.isinf(error):
        return -math.inf
    # Compared this way round, NaN stays NaN.
    if error <= power * 10.0 ** (-MOST_DECIBELS / 10.0):
        return MOST_DECIBELS
    return 10.0 * math.log10(power / error)
