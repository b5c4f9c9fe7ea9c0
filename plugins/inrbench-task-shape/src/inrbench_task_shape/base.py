"""ShapeProblem: what occupancy and signed distance share: training points, the evaluation grid, baselines."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from inrbench_task_image.transform_coding import dct_coded
from scipy.ndimage import gaussian_filter
from torch import Tensor, nn
from torch.nn import functional

from inrbench_core import (
    Batch,
    DataError,
    Evaluation,
    FieldFrame,
    FieldShape,
    Frame,
    Index,
    Problem,
    Quantity,
    SeedStreams,
    cached_arrays,
)
from inrbench_task_shape.estimates import LocalLinear
from inrbench_task_shape.meshes import Mesh
from inrbench_task_shape.picture import draw
from inrbench_task_shape.plugin import ShapeSpec
from inrbench_task_shape.renderer import grid_blocks, present, sample_volume
from inrbench_task_shape.solids import Solid
from inrbench_task_shape.surfaces import POINT_SAMPLES, extract, iou

Array = np.ndarray[Any, Any]

CPU = torch.device("cpu")
# Along the training curve the grid has this many points along each axis, or the spec's if fewer.
CURVE_RESOLUTION = 48
# The baseline `grid`: 32,768 values.
GRID = 32
# Points near the surface: half are this far from it, half the other (standard deviations).
NEAR = (0.05, 0.01)
# By whether positions are counted.
CODES = {"dct": False, "dct_counted": True}


class ShapeProblem(Problem):
    """f: (x, y, z) -> one value, coordinates in [-1, 1]. Volumes are indexed [x, y, z], both ends included.

    Args:
        solid: what to represent.
        spec: training points and grid; `values_per_parameter` says how many numbers transform coding may keep.
        device: where training tensors stay.
        seeds: "points" decides the training points, "evaluation" those that surfaces are compared at.
    """

    # The sign that makes a field's values negative inside, and what they are to the user.
    sign: float
    value: Quantity

    def __init__(self, solid: Solid, spec: ShapeSpec, *, device: torch.device, seeds: SeedStreams) -> None:
        self.solid = solid
        self.device = device
        self.seeds = seeds
        self.resolution = spec.resolution
        self.numbers = max(1, int(spec.resolution**3 / spec.values_per_parameter))
        self.elements = spec.points
        self.shapes = {"field": FieldShape(3, 1, (spec.resolution,) * 3)}
        self._inside: dict[int, Array] = {}
        self.record = {**solid.record, "training_points": spec.points, "grid": spec.resolution}

    @abstractmethod
    def exact(self, points: Array) -> Array:
        """The values, (n,), that a perfect field has at points (n, 3), float64."""

    @abstractmethod
    def estimator(self) -> Callable[[Array], Array]:
        """A classical estimate of the field from the training points: points float64 (n, 3) -> values (n,)."""

    @abstractmethod
    def measure(self, values: Array, mesh: Mesh | None) -> dict[str, float]:
        """All metrics of a volume of values, negative inside, and of its surface."""

    def cached(self, key: Mapping[str, Any], make: Callable[[], dict[str, Array]]) -> dict[str, Array]:
        """Arrays that the solid and `key` decide, from disk if they are there."""
        return cached_arrays(__name__, {"solid": self.solid.key, **key}, make)

    def on_grid(self, function: Callable[[Array], Array], resolution: int) -> Array:
        """Values of a function of points, float64 (n, 3) -> (n,), on a grid: float32, (resolution,) * 3."""
        blocks = (function(block.numpy().astype(np.float64)) for block in grid_blocks(resolution, CPU))
        return np.concatenate([block.astype(np.float32) for block in blocks]).reshape((resolution,) * 3)

    def truth_grid(self, resolution: int) -> Array:
        """Which points of a grid lie inside: bool, (resolution,) * 3; computed once."""

        def inside() -> dict[str, Array]:
            blocks = [self.solid.inside(block.numpy().astype(np.float64)) for block in grid_blocks(resolution, CPU)]
            return {"inside": np.concatenate(blocks).reshape((resolution,) * 3)}

        if resolution not in self._inside:
            self._inside[resolution] = self.cached({"grid": resolution}, inside)["inside"]
        return self._inside[resolution]

    def volume(self, model: nn.Module, resolution: int) -> Array:
        """The model's values on a grid, negative inside: float32, (resolution,) * 3."""
        return sample_volume(model, resolution, self.sign, self.device)

    def evaluate(self, model: nn.Module, *, full: bool = True) -> Evaluation:
        """All metrics and outputs; on the curve the iou on a coarse grid only."""
        if full:
            return self._present(self.volume(model, self.resolution))
        resolution = min(CURVE_RESOLUTION, self.resolution)
        return Evaluation({"iou": self.iou(self.volume(model, resolution))})

    def iou(self, values: Array) -> float:
        """Intersection over union with the truth on the same grid; NaN if a value is not finite."""
        if not np.isfinite(values).all():
            return math.nan
        return iou(self.truth_grid(values.shape[0]), values < 0.0)

    def baseline(self, name: str) -> Evaluation:
        """Answers without a network.

        constant: all is inside, the best constant for iou; grid: 32^3 exact values, trilinear between them;
        local_linear: the estimate from the training points; dct: the exact values of the evaluation grid coded as in
        `dct_coded`, in `numbers` numbers, dct_counted counting positions.
        """
        if name == "constant":
            return self._present(np.full((self.resolution,) * 3, -1.0, np.float32))
        if name == "grid":
            return self.evaluate(Trilinear(self.on_grid(self.exact, GRID)).to(self.device))
        if name == "local_linear":
            return self._present(self.sign * self.on_grid(self.estimator(), self.resolution))
        if name in CODES:
            coded = dct_coded(self.exact_grid(), self.numbers, counted=CODES[name])
            return replace(self._present(self.sign * coded), parameters=self.numbers)
        raise DataError(f"the shape tasks have no baseline {name!r}")

    def exact_grid(self) -> Array:
        """`exact` on the evaluation grid: float32, (resolution,) * 3."""
        key = {"exact": type(self).__name__, "grid": self.resolution, "high": self.value.high}
        return self.cached(key, lambda: {"values": self.on_grid(self.exact, self.resolution)})["values"]

    @cached_property
    def true_surface(self) -> tuple[Array, Array]:
        """Points on the solid's surface that those of all fields are compared at, and their normals."""
        random = self.seeds.numpy("evaluation")
        # The first numbers of this stream draw the points on the field's surface, three for each.
        random.random(3 * POINT_SAMPLES)
        return self.solid.surface(POINT_SAMPLES, random)

    def truth(self) -> Array:
        inside = self.truth_grid(self.resolution)
        # Softened by less than a voxel, so that the steps of zeros and ones have normals.
        return draw(gaussian_filter(np.where(inside, -1.0, 1.0).astype(np.float32), 0.8))

    @property
    def frame(self) -> Frame:
        """x, y and z in the solid's own coordinates; the value is described by the class."""
        half, unit = 1.0 / self.solid.scale, self.solid.unit
        coords = tuple(
            Quantity(axis, unit, float(middle - half), float(middle + half))
            for axis, middle in zip("xyz", self.solid.centre, strict=True)
        )
        return Frame({"field": FieldFrame(coords, (self.value,), (self.resolution,) * 3)}, {"sign": self.sign})

    def target(self, coords: Tensor, field: str = "") -> Tensor | None:
        """What a perfect field gives."""
        values = self.exact(coords.detach().cpu().numpy().astype(np.float64))
        return torch.from_numpy(values.astype(np.float32)).unsqueeze(1).to(coords.device)

    def _present(self, values: Array) -> Evaluation:
        if not np.isfinite(values).all():
            # Neither a surface nor a picture can be made of them; the metrics say so.
            return Evaluation(dict.fromkeys(self.measure(np.ones((2, 2, 2), np.float32), None), math.nan))
        mesh = extract(values)
        return present(values, mesh, self.frame, self.measure(values, mesh))


class Trilinear(nn.Module):
    """Values (R, R, R) over [-1, 1]^3 as a field."""

    def __init__(self, values: Array) -> None:
        super().__init__()
        self.register_buffer("values", torch.from_numpy(values.astype(np.float32))[None, None])

    def forward(self, coords: Tensor) -> Tensor:
        # grid_sample wants the coordinate of the last axis first.
        places = coords.flip(1)[None, None, None]
        return functional.grid_sample(self.values, places, align_corners=True).reshape(-1, 1)


def training_points(solid: Solid, spec: ShapeSpec, random: np.random.Generator) -> Array:
    """Points to train on, float32 (spec.points, 3): near the surface, and uniform in the cube."""
    near = round(spec.near_surface * spec.points)
    surface, _ = solid.surface(near, random) if near else (np.empty((0, 3)), None)
    spread = np.repeat(NEAR, [near - near // 2, near // 2])[:, None]
    close = (surface + spread * random.standard_normal(surface.shape)).clip(-1.0, 1.0)
    points = np.concatenate([close, random.uniform(-1.0, 1.0, (spec.points - near, 3))])
    return points.astype(np.float32)


class PointProblem(ShapeProblem):
    """A shape problem whose elements are points with the value each that `exact` gives."""

    def draw_points(self, spec: ShapeSpec, key: Mapping[str, Any]) -> None:
        """Draw the training points; `key` holds what decides their values besides the solid."""

        def make() -> dict[str, Array]:
            points = training_points(self.solid, spec, self.seeds.numpy("points"))
            return {"points": points, "values": self.exact(points.astype(np.float64)).astype(np.float32)}

        options = spec.model_dump(include={"points", "near_surface"})
        arrays = self.cached({**key, **options, "seed": self.seeds.derive("points")}, make)
        self._points, self._values = (torch.from_numpy(arrays[name]).to(self.device) for name in ("points", "values"))

    def estimator(self) -> Callable[[Array], Array]:
        """Locally weighted linear regression."""
        points, values = (tensor.cpu().numpy().astype(np.float64) for tensor in (self._points, self._values))
        return LocalLinear(points, values)

    def batch(self, index: Index) -> Batch:
        """coords (n, 3) and values (n,) of training points."""
        return {"coords": self._points[index], "values": self._values[index]}
