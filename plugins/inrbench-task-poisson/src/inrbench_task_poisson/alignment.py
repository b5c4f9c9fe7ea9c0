"""What a picture's derivatives leave open, taken from the true picture before comparing."""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


class Alignment:
    """Per channel, the constant (or the plane) whose addition brings an answer nearest to the truth.

    Args:
        answer: (n, C), at some places.
        truth: (n, C), at the same places.
        coords: (n, 2), the places.
        plane: add a plane, constant + slope . coords, not only a constant.
    """

    def __init__(self, answer: Array, truth: Array, coords: Array, *, plane: bool) -> None:
        self.plane = plane
        missing = truth.astype(np.float64) - answer
        if not np.isfinite(missing).all():
            # A diverged answer stays as it is, and its metrics are NaN.
            self.coefficients = np.zeros((3 if plane else 1, truth.shape[1]))
            return
        design = self._design(coords)
        # The pseudo-inverse also serves pictures of one row or one column.
        self.coefficients = np.linalg.pinv(design.T @ design) @ (design.T @ missing)

    def __call__(self, answer: Array, coords: Array) -> Array:
        """The answer (n, C) at coords (n, 2) with what was open added, float32."""
        return (answer + self._design(coords) @ self.coefficients).astype(np.float32)

    def _design(self, coords: Array) -> Array:
        ones = np.ones((len(coords), 1))
        return np.concatenate([ones, coords], axis=1) if self.plane else ones
