"""How much a figure may change when it is computed again. Imports no torch.

Computed again with the recorded number of threads on the same machine, figures are equal; with other threads, or on
another processor, sums are taken in another order. docs/verify.md says what was measured.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

RELATIVE = 2e-3
DECIBELS = 0.01
# Of an array, as a share of its largest absolute value.
OUTPUTS = 1e-3
# Rounding of every value, as a share of the signal's range: it decides where the error itself is as small.
ROUNDING = 1e-6
SMALLEST = 1e-30
# Of an array of whole numbers or truth values, the share of entries that may differ by more than one step.
FLIPPED = 1e-3


def tolerance_of(value: float, unit: str) -> float:
    """By how much a metric may differ.

    Args:
        value: the metric.
        unit: its unit; dB is a logarithm of an error.
    """
    if unit != "dB":
        return RELATIVE * max(abs(value), ROUNDING)
    return max(DECIBELS, 20.0 * math.log10(1.0 + ROUNDING * 10.0 ** (min(value, 200.0) / 20.0)))


def agree(stored: float, found: float, unit: str) -> bool:
    """Whether two figures of one metric are the same but for rounding; NaN equals NaN."""
    if math.isnan(stored) or math.isnan(found):
        return math.isnan(stored) and math.isnan(found)
    if math.isinf(stored) or math.isinf(found):
        return stored == found
    return abs(stored - found) <= max(tolerance_of(stored, unit), tolerance_of(found, unit))


def outputs_differ(stored: Mapping[str, Array], found: Mapping[str, Array]) -> tuple[str, float] | None:
    """The output that differs most beyond rounding, and by how much; None if none does.

    Args:
        stored: named arrays.
        found: the same, computed again.

    Returns:
        the name, and the largest difference as a share of the largest stored absolute value; for whole numbers and
        truth values the share of entries that differ by more than one step; infinite for another shape.
    """
    worst: tuple[str, float] | None = None
    for name in stored.keys() & found.keys():
        excess = _difference(stored[name], found[name])
        limit = OUTPUTS if stored[name].dtype.kind in "fc" else FLIPPED
        if excess > limit and (worst is None or excess > worst[1]):
            worst = (name, excess)
    return worst


def _difference(stored: Array, found: Array) -> float:
    if stored.shape != found.shape:
        return math.inf
    if not stored.size:
        return 0.0
    if stored.dtype.kind not in "fc":
        step = 0 if stored.dtype.kind == "b" else 1
        return float((np.abs(stored.astype(np.int64) - found.astype(np.int64)) > step).mean())
    both = np.isfinite(stored) & np.isfinite(found)
    if (np.isfinite(stored) != np.isfinite(found)).any():
        return math.inf
    if not both.any():
        return 0.0
    largest = float(np.abs(stored[both]).max())
    return float(np.abs(stored[both] - found[both]).max()) / max(largest, SMALLEST)
