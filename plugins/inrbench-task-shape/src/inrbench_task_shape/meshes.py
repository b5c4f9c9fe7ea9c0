"""Triangle meshes: distance to them, what lies inside, points on them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from scipy.spatial import cKDTree

Array = np.ndarray[Any, Any]

# The nearest triangle is looked for among those of the nearest points on the mesh: about 4 for each triangle.
_FEWEST_POINTS, _MOST_POINTS, _CANDIDATES = 20_000, 200_000, 16
# The nearest search point may be this much further away than the mesh.
_MARGIN = 0.05
_POINTS_AT_A_TIME = 50_000
# Rays along z miss edges and corners that lie on round coordinates.
_SHIFT = np.array([1.234e-7, 2.718e-7])
_COLUMNS = 256


@dataclass(frozen=True)
class Mesh:
    """A surface of triangles.

    Args:
        vertices: (V, 3), float64.
        faces: (F, 3), int64, counter-clockwise as seen from outside; at least one.
    """

    vertices: Array
    faces: Array

    @cached_property
    def triangles(self) -> Array:
        """Corners, (F, 3, 3)."""
        return self.vertices[self.faces]

    @cached_property
    def crosses(self) -> Array:
        """Outward normals times twice the area, (F, 3)."""
        a, b, c = self.triangles.swapaxes(0, 1)
        return np.cross(b - a, c - a)

    @cached_property
    def normals(self) -> Array:
        """Outward unit normals of the faces, (F, 3); zero for one without area."""
        return self.crosses / np.linalg.norm(self.crosses, axis=1, keepdims=True).clip(1e-300)

    def sample(self, count: int, random: np.random.Generator) -> tuple[Array, Array]:
        """Random points, uniform by area: places (count, 3) and the numbers of their faces (count,)."""
        areas = np.linalg.norm(self.crosses, axis=1)
        face = random.choice(len(self.faces), count, p=areas / areas.sum())
        u, v = random.random((2, count, 1))
        outside = u + v > 1.0
        u, v = np.where(outside, 1.0 - u, u), np.where(outside, 1.0 - v, v)
        a, b, c = self.triangles[face].swapaxes(0, 1)
        return a + u * (b - a) + v * (c - a), face

    @cached_property
    def _search(self) -> tuple[cKDTree, Array]:
        count = min(max(_FEWEST_POINTS, 3 * len(self.faces)), _MOST_POINTS)
        places, face = self.sample(count, np.random.default_rng(0))
        # Each triangle is there at least once, however small.
        places = np.concatenate([places, self.triangles.mean(axis=1)])
        # Compact nodes take five times as long for points far away.
        tree = cKDTree(places, compact_nodes=False, balanced_tree=False)
        return tree, np.concatenate([face, np.arange(len(self.faces))])

    def closest(self, points: Array, within: float = np.inf) -> tuple[Array, Array]:
        """Distance to the mesh (n,), float64, `within` at most, and the number of the nearest face (n,).

        Points are (n, 3); one further away than `within`, where the search is cut short, gets any face. The distance
        to a triangle is exact; that no other triangle is nearer is certain only up to the spacing of the search
        points, which bounds the error by that spacing squared over twice the distance.
        """
        if not len(points):
            return np.empty(0), np.empty(0, np.int64)
        parts = [
            self._closest(points[i : i + _POINTS_AT_A_TIME], within) for i in range(0, len(points), _POINTS_AT_A_TIME)
        ]
        distance, face = zip(*parts, strict=True)
        return np.concatenate(distance), np.concatenate(face)

    def _closest(self, points: Array, within: float) -> tuple[Array, Array]:
        tree, owner = self._search
        _, near = tree.query(points, k=min(_CANDIDATES, len(owner)), distance_upper_bound=within + _MARGIN)
        # What is too far away has the number after the last.
        faces = owner[near.clip(max=len(owner) - 1)]
        every = np.repeat(points, faces.shape[1], axis=0)
        distances = distance_to_triangles(every, self.triangles[faces.reshape(-1)]).reshape(faces.shape)
        best = distances.argmin(axis=1)
        rows = np.arange(len(points))
        far = near[:, 0] == len(owner)
        return np.where(far, within, distances[rows, best]).clip(max=within), faces[rows, best]

    @cached_property
    def _columns(self) -> tuple[Array, Array, Array, Array]:
        """Triangles by the columns of a grid over (x, y) that their bounds touch: corner, cell, starts, faces."""
        flat = self.triangles[:, :, :2]
        low, high = flat.min(axis=(0, 1)), flat.max(axis=(0, 1))
        cell = (high - low).clip(1e-9) / _COLUMNS
        first = ((flat.min(axis=1) - low) / cell).astype(int).clip(0, _COLUMNS - 1)
        last = ((flat.max(axis=1) - low) / cell).astype(int).clip(0, _COLUMNS - 1)
        size = last - first + 1
        face = np.repeat(np.arange(len(flat)), size.prod(axis=1))
        place = _count_up(size.prod(axis=1))
        column = (first[face, 0] + place // size[face, 1]) * _COLUMNS + first[face, 1] + place % size[face, 1]
        order = column.argsort(kind="stable")
        starts = np.searchsorted(column[order], np.arange(_COLUMNS**2 + 1))
        return low, cell, starts, face[order]

    def inside(self, points: Array) -> Array:
        """Which points, (n, 3), a watertight mesh encloses: bool (n,)."""
        return self.winding(points) != 0

    def winding(self, points: Array) -> Array:
        """How many parts of a watertight mesh enclose each point, (n, 3): int64 (n,).

        By its crossings of a ray along z: those that leave the solid less those that enter it.
        """
        parts = [self._winding(points[i : i + _POINTS_AT_A_TIME]) for i in range(0, len(points), _POINTS_AT_A_TIME)]
        return np.concatenate(parts) if parts else np.empty(0, np.int64)

    def _winding(self, points: Array) -> Array:
        low, cell, starts, faces = self._columns
        flat = points[:, :2].astype(np.float64) + _SHIFT
        column = np.floor((flat - low) / cell).astype(int)
        over = ((column >= 0) & (column < _COLUMNS)).all(axis=1)
        number = np.where(over, column[:, 0] * _COLUMNS + column[:, 1], 0)
        count = np.where(over, starts[number + 1] - starts[number], 0)
        point = np.repeat(np.arange(len(points)), count)
        triangles = self.triangles[faces[starts[number[point]] + _count_up(count)]]
        x, y = (flat[point, axis, None] - triangles[:, :, axis] for axis in (0, 1))
        # Twice the signed areas that the point spans with each edge: of one sign if it is within.
        areas = np.roll(x, -1, 1) * np.roll(y, -2, 1) - np.roll(x, -2, 1) * np.roll(y, -1, 1)
        within = (areas > 0.0).all(axis=1) | (areas < 0.0).all(axis=1)
        total = areas.sum(axis=1)[within]
        height = (areas * triangles[:, :, 2]).sum(axis=1)[within] / total
        above = height > points[point[within], 2]
        crossings = np.bincount(point[within][above], weights=np.sign(total[above]), minlength=len(points))
        return np.rint(crossings).astype(np.int64)


def distance_to_triangles(points: Array, triangles: Array) -> Array:
    """Distance of each point, (n, 3), to its triangle, (n, 3, 3): (n,)."""
    a, b, c = triangles.swapaxes(0, 1)
    normal = np.cross(b - a, c - a)
    squared = np.square(normal).sum(axis=1)
    inner = squared > 0.0
    edges = np.full(len(points), np.inf)
    for start, end in ((a, b), (b, c), (c, a)):
        along, to_point = end - start, points - start
        inner &= (np.cross(along, to_point) * normal).sum(axis=1) >= 0.0
        share = (to_point * along).sum(axis=1) / np.square(along).sum(axis=1).clip(1e-300)
        off = to_point - share.clip(0.0, 1.0)[:, None] * along
        edges = np.minimum(edges, np.square(off).sum(axis=1))
    plane = np.abs(((points - a) * normal).sum(axis=1)) / np.sqrt(squared.clip(1e-300))
    return np.where(inner, plane, np.sqrt(edges))


def _count_up(counts: Array) -> Array:
    """0, 1, .., counts[0] - 1, 0, 1, .., counts[1] - 1, ..."""
    return np.arange(counts.sum()) - np.repeat(counts.cumsum() - counts, counts)
