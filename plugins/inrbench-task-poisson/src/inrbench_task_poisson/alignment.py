"""What a picture's derivatives leave open, taken from the true picture before comparing."""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


class Alignment:
    """Per channel, the constant (or the plane) whose addition brings an answer nearest to the truth.

    Args:
        answer: (n, C), at some places.
        truth_moments: the `moments` of the truth at the same places, which is all that is needed of it.
        coords: (n, 2), the places.
        plane: add a plane, constant + slope . coords, not only a constant.
    """

    def __init__(self, answer: Array, truth_moments: Array, coords: Array, *, plane: bool) -> None:
        self.plane = plane
        missing = truth_moments - moments(answer, coords, plane=plane)
        if not np.isfinite(missing).all():
            # A diverged answer stays as it is, and its metrics are NaN.
            self.coefficients = np.zeros_like(missing)
            return
        design = _design(coords, plane)
        # The pseudo-inverse also serves pictures of one row or one column.
        self.coefficients = np.linalg.pinv(design.T @ design) @ missing

    def __call__(self, answer: Array, coords: Array) -> Array:
        """The answer (n, C) at coords (n, 2) with what was open added, float32."""
        return (answer + _design(coords, self.plane) @ self.coefficients).astype(np.float32)


def moments(values: Array, coords: Array, *, plane: bool) -> Array:
    """Sums of values (n, C) at coords (n, 2), and if plane also of values times either coordinate.

    Returns:
        (1, C), or (3, C) if plane, float64.
    """
    return _design(coords, plane).T @ values.astype(np.float64)


def _design(coords: Array, plane: bool) -> Array:
    ones = np.ones((len(coords), 1))
    return np.concatenate([ones, coords], axis=1) if plane else ones
