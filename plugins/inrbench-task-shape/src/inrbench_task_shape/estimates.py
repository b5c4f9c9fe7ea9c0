"""Values at any place from training points, without a network."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.spatial import cKDTree

Array = np.ndarray[Any, Any]

# The counts of neighbours that are tried, on so many training points.
COUNTS, TRIED_POINTS = (8, 16, 24, 32), 4_000
_RIDGE = 1e-9


class LocalLinear:
    """Locally weighted linear regression (Cleveland 1979): the plane that fits the nearest points best.

    Weights are (1 - (distance / distance to the last neighbour)^3)^3. How many neighbours is decided by leave-one-out:
    the count of `COUNTS` for which the fewest of `TRIED_POINTS` points, each estimated without itself, come out on the
    wrong side of the surface.

    Args:
        points: float64 (n, 3), more than the least of `COUNTS`.
        values: float64 (n,), below 0 on one side and above on the other.
    """

    def __init__(self, points: Array, values: Array) -> None:
        self.points, self.values = points, values
        self._tree = cKDTree(points)
        tried = np.linspace(0, len(points) - 1, min(TRIED_POINTS, len(points))).astype(int)
        counts = [count for count in COUNTS if count < len(points)]
        # The nearest point is the point itself.
        nearest = self._tree.query(points[tried], max(counts) + 1)[1][:, 1:]
        estimates = [self._fit(points[tried], nearest[:, :count]) for count in counts]
        wrong = [np.count_nonzero(np.sign(estimate) != np.sign(values[tried])) for estimate in estimates]
        self.count = counts[int(np.argmin(wrong))]

    def __call__(self, places: Array) -> Array:
        """Estimates at places (m, 3), float64 (m,), within the range of the values."""
        return self._fit(places, self._tree.query(places, self.count)[1])

    def _fit(self, places: Array, nearest: Array) -> Array:
        values = self.values[nearest]
        low, high = values.min(axis=1), values.max(axis=1)
        answer = low.copy()
        mixed = low < high
        offsets = self.points[nearest[mixed]] - places[mixed][:, None]
        distances = np.linalg.norm(offsets, axis=2)
        weights = (1.0 - (distances / distances.max(axis=1, keepdims=True).clip(1e-300)) ** 3) ** 3
        terms = np.concatenate([np.ones_like(offsets[:, :, :1]), offsets], axis=2)
        weighted = (terms * weights[:, :, None]).swapaxes(1, 2)
        normal = weighted @ terms
        # Points in a plane, or too few with a weight, leave a slope free.
        normal += _RIDGE * np.trace(normal, axis1=1, axis2=2)[:, None, None] * np.eye(4)
        right = weighted @ values[mixed][:, :, None]
        answer[mixed] = np.linalg.solve(normal, right)[:, 0, 0]
        return answer.clip(self.values.min(), self.values.max())


class TangentPlanes:
    """Signed distance to the plane through the nearest surface point, across its normal (Hoppe et al. 1992).

    Args:
        points: on the surface, (n, 3).
        normals: outward unit normals, (n, 3).
    """

    def __init__(self, points: Array, normals: Array) -> None:
        self.points, self.normals = points, normals
        self._tree = cKDTree(points)

    def __call__(self, places: Array) -> Array:
        """Estimates at places (m, 3): float64 (m,), negative inside."""
        nearest = self._tree.query(places)[1]
        return ((places - self.points[nearest]) * self.normals[nearest]).sum(axis=1)
