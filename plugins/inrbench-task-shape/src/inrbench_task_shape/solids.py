"""Solids in closed form: the zero set of a function that is negative inside, in [-1, 1]^3."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

# Surface points are found within this distance of random points, and lie within the other of the surface.
_BAND, _TOLERANCE = 0.02, 1e-5
_STEP = 1e-5
_DRAWN_AT_A_TIME = 200_000


class Solid(ABC):
    """What the tasks ask of a solid. Points are float, (n, 3), in [-1, 1].

    Attributes:
        record: facts about it that belong to the result.
        key: plain data that tells it from every other solid.
        centre: of the cube [-1, 1]^3, in the solid's own coordinates.
        scale: length in the cube of a unit of the solid's own coordinates.
        unit: what that unit is called, if it has a name.
    """

    record: dict[str, str | int | float]
    key: dict[str, str]
    centre: tuple[float, float, float] = (0.0, 0.0, 0.0)
    scale: float = 1.0
    unit: str = ""

    @abstractmethod
    def inside(self, points: Array) -> Array:
        """Which points lie inside: bool, (n,)."""

    @abstractmethod
    def surface(self, count: int, random: np.random.Generator) -> tuple[Array, Array]:
        """Random points on the surface, about uniform by area, and their outward unit normals: (count, 3) each."""

    def nearest(self, points: Array, within: float = np.inf) -> tuple[Array, Array]:
        """Signed distance (n,), negative inside, and the outward normal (n, 3) at the nearest surface point.

        What is further away than `within` may get any distance beyond, of the right sign, and any normal.
        Raises NotImplementedError for solids that are for the occupancy task only.
        """
        raise NotImplementedError


class Implicit(Solid):
    """The solid where a function is negative.

    Args:
        function: (n, 3) -> (n,), the signed distance or, where min and max make it up, a lower bound of it that
            is exact close to all parts of the surface but its edges.
        name: for the record.
        steepest: the largest slope of the function near the surface.
    """

    def __init__(self, function: Callable[[Array], Array], name: str, steepest: float = 1.0) -> None:
        self.function = function
        self.steepest = steepest
        self.record = {"source": name, "licence": "generated", "synthetic": True}
        self.key = {"generated": name}

    def inside(self, points: Array) -> Array:
        return self.function(points.astype(np.float64)) < 0.0

    def nearest(self, points: Array, within: float = np.inf) -> tuple[Array, Array]:
        points = points.astype(np.float64)
        gradient = self.gradient(points)
        return self.function(points), gradient / np.linalg.norm(gradient, axis=1, keepdims=True).clip(1e-12)

    def gradient(self, points: Array) -> Array:
        """Central differences, (n, 3)."""
        steps = _STEP * np.eye(3)
        sides = [self.function(points + step) - self.function(points - step) for step in steps]
        return np.stack(sides, axis=1) / (2.0 * _STEP)

    def surface(self, count: int, random: np.random.Generator) -> tuple[Array, Array]:
        found: list[Array] = []
        while sum(map(len, found)) < count:
            points = random.uniform(-1.0, 1.0, (_DRAWN_AT_A_TIME, 3))
            points = points[np.abs(self.function(points)) < _BAND * self.steepest]
            # All points of a thin band: its volume is in proportion to the area.
            value, gradient = self.function(points), self.gradient(points)
            slope = np.linalg.norm(gradient, axis=1).clip(1e-9)
            points = points[np.abs(value) < _BAND * slope]
            for _ in range(4):
                value, gradient = self.function(points), self.gradient(points)
                points = points - gradient * (value / np.square(gradient).sum(axis=1).clip(1e-9))[:, None]
            # Beside an edge a step may end off the surface.
            inside_cube = np.abs(points).max(axis=1, initial=0.0) <= 1.0
            found.append(points[inside_cube & (np.abs(self.function(points)) < _TOLERANCE)])
        surface = np.concatenate(found)[:count]
        gradient = self.gradient(surface)
        return surface, gradient / np.linalg.norm(gradient, axis=1, keepdims=True).clip(1e-12)


def ball(points: Array, radius: float) -> Array:
    """Signed distance to a ball about the origin."""
    return _length(*points.T) - radius


def box(points: Array, half: float) -> Array:
    """Signed distance to a cube about the origin, half its side given."""
    x, y, z = np.abs(points.T) - half
    most = np.maximum(np.maximum(x, y), z)
    return _length(x.clip(0.0), y.clip(0.0), z.clip(0.0)) + most.clip(max=0.0)


def ring(points: Array, radius: float, thickness: float) -> Array:
    """Signed distance to a torus about the z axis: radius of its centre line, and of its tube."""
    x, y, z = points.T
    return np.hypot(np.hypot(x, y) - radius, z) - thickness


def _length(*axes: Array) -> Array:
    """Length of vectors by their axes, (n,) each: numpy's norm of such short rows takes several times as long."""
    return np.sqrt(sum(np.square(axis) for axis in axes))


def csg(points: Array) -> Array:
    """A rounded cube with a bore along each axis, and a ring about it: smooth faces, sharp edges, a thin part."""
    # By axes, each of which is contiguous, all sums are several times as fast.
    axes = np.ascontiguousarray(points.T)
    x, y, z = axes
    solid = np.maximum(box(axes.T, 0.55), ball(axes.T, 0.72))
    for across in ((y, z), (x, z), (x, y)):
        solid = np.maximum(solid, 0.28 - _length(*across))
    return np.minimum(solid, ring(axes.T, 0.78, 0.07))


def menger(points: Array, levels: int = 3, half: float = 0.8) -> Array:
    """Menger's sponge: a cube less square bores at each third, on ever smaller scales."""
    axes = np.ascontiguousarray(points.T)
    solid = box(axes.T, half)
    cell = 2.0 * half
    for _ in range(levels):
        # Distance from the centre of the own cell of this level, along each axis.
        x, y, z = np.abs((axes + half) % cell - cell / 2.0)
        # A cross of three square bars: outside of all bars, the second smallest offset is what matters.
        second = np.maximum(np.minimum(x, y), np.minimum(np.maximum(x, y), z))
        solid = np.maximum(solid, cell / 6.0 - second)
        cell /= 3.0
    return solid


def gyroid(points: Array, k: float = 9.0) -> Array:
    """A shell about Schoen's gyroid, cut by a ball: thin sheets. Not a distance: its gradient is up to 9 and more."""
    x, y, z = (k * points).T
    sheet = np.sin(x) * np.cos(y) + np.sin(y) * np.cos(z) + np.sin(z) * np.cos(x)
    return np.maximum(np.abs(sheet) - 0.35, ball(points, 0.75))


SOLIDS: dict[str, Implicit] = {
    "csg": Implicit(csg, "csg"),
    "menger3": Implicit(menger, "menger3"),
    "gyroid": Implicit(gyroid, "gyroid", steepest=16.0),
    "sphere": Implicit(lambda points: ball(points, 0.6), "sphere"),
    "torus": Implicit(lambda points: ring(points, 0.6, 0.2), "torus"),
}
