"""ShapeProblem: what occupancy and signed distance share: training points, the evaluation grid, baselines."""

from __future__ import annotations

import math
from abc import abstractmethod
from pathlib import Path
from typing import Any

import numpy as np
import torch
import trimesh
from scipy.ndimage import gaussian_filter
from torch import Tensor, nn
from torch.nn import functional

from inrbench_core import (
    Batch,
    DataError,
    Evaluation,
    FieldShape,
    Index,
    Problem,
    SeedStreams,
    grid_coords,
    predict,
)
from inrbench_task_shape.meshes import Mesh
from inrbench_task_shape.picture import draw
from inrbench_task_shape.plugin import ShapeSpec
from inrbench_task_shape.solids import Solid
from inrbench_task_shape.surfaces import extract, iou

Array = np.ndarray[Any, Any]

# Along the training curve the grid has this many points along each axis, or the spec's if fewer.
CURVE_RESOLUTION = 48
# The baseline `grid`: 32,768 values.
GRID = 32
# Points near the surface: half are this far from it, half the other (standard deviations).
NEAR = (0.05, 0.01)
KEPT_RESOLUTION = 64
POINTS_AT_A_TIME = 1 << 18


class ShapeProblem(Problem):
    """f: (x, y, z) -> one value, coordinates in [-1, 1]. Volumes are indexed [x, y, z], both ends included.

    Args:
        solid: what to represent.
        spec: training points and grid.
        device: where training tensors stay.
        seeds: "points" decides the training points, "evaluation" those that surfaces are compared at.
    """

    # The sign that makes a field's values negative inside.
    sign: float

    def __init__(self, solid: Solid, spec: ShapeSpec, *, device: torch.device, seeds: SeedStreams) -> None:
        self.solid = solid
        self.device = device
        self.seeds = seeds
        self.resolution = spec.resolution
        self.elements = spec.points
        self.shapes = {"field": FieldShape(3, 1, (spec.resolution,) * 3)}
        self._inside: dict[int, Array] = {}
        self.record = {**solid.record, "training_points": spec.points, "grid": spec.resolution}

    @abstractmethod
    def exact(self, points: Array) -> Array:
        """The values, (n,), that a perfect field has at points (n, 3), for the baseline `grid`."""

    @abstractmethod
    def measure(self, values: Array, mesh: Mesh | None) -> dict[str, float]:
        """All metrics of a volume of values, negative inside, and of its surface."""

    def truth_grid(self, resolution: int) -> Array:
        """Which points of a grid lie inside: bool, (resolution,) * 3; computed once."""
        if resolution not in self._inside:
            points = _blocks(resolution, torch.device("cpu"))
            inside = np.concatenate([self.solid.inside(block.numpy().astype(np.float64)) for block in points])
            self._inside[resolution] = inside.reshape((resolution,) * 3)
        return self._inside[resolution]

    def volume(self, model: nn.Module, resolution: int) -> Array:
        """The model's values on a grid, negative inside: float32, (resolution,) * 3."""
        values = np.empty((resolution,) * 3, np.float32).reshape(-1)
        start = 0
        for block in _blocks(resolution, self.device):
            part = self.sign * predict(model, block).float().squeeze(1)
            values[start : start + len(block)] = part.cpu().numpy()
            start += len(block)
        return values.reshape((resolution,) * 3)

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
        """constant: all is inside, the best constant for iou; grid: 32^3 exact values, trilinear between them."""
        if name == "constant":
            return self._present(np.full((self.resolution,) * 3, -1.0, np.float32))
        if name == "grid":
            values = np.concatenate([self.exact(block.numpy()) for block in _blocks(GRID, torch.device("cpu"))])
            return self.evaluate(Trilinear(values.reshape((GRID,) * 3)).to(self.device))
        raise DataError(f"the shape tasks have no baseline {name!r}")

    def truth(self) -> Array:
        inside = self.truth_grid(self.resolution)
        # Softened by less than a voxel, so that the steps of zeros and ones have normals.
        return draw(gaussian_filter(np.where(inside, -1.0, 1.0).astype(np.float32), 0.8))

    def render(self, model: nn.Module, size: int) -> Evaluation:
        """Values and surface on a grid of `size` points along each axis."""
        values = self.volume(model, size)
        return Evaluation({}, _outputs(values, extract(values)), draw(values))

    def save(self, evaluation: Evaluation, folder: Path, stem: str) -> list[Path]:
        """Also STEM.ply, the surface, if there is one."""
        paths, outputs = super().save(evaluation, folder, stem), evaluation.outputs
        if "vertices" in outputs:
            paths.append(folder / f"{stem}.ply")
            trimesh.Trimesh(outputs["vertices"], outputs["faces"], process=False).export(paths[-1])
        return paths

    def _present(self, values: Array) -> Evaluation:
        if not np.isfinite(values).all():
            # Neither a surface nor a picture can be made of them; the metrics say so.
            return Evaluation(dict.fromkeys(self.measure(np.ones((2, 2, 2), np.float32), None), math.nan))
        mesh = extract(values)
        return Evaluation(self.measure(values, mesh), _outputs(values, mesh), draw(values))


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
    """Points to train on, float64 (spec.points, 3): near the surface, and uniform in the cube."""
    near = round(spec.near_surface * spec.points)
    surface, _ = solid.surface(near, random) if near else (np.empty((0, 3)), None)
    spread = np.repeat(NEAR, [near - near // 2, near // 2])[:, None]
    close = (surface + spread * random.standard_normal(surface.shape)).clip(-1.0, 1.0)
    return np.concatenate([close, random.uniform(-1.0, 1.0, (spec.points - near, 3))])


class PointProblem(ShapeProblem):
    """A shape problem whose elements are points with a target value each."""

    coords: Tensor
    targets: Tensor

    def keep(self, points: Array, targets: Array) -> None:
        """Take points (n, 3) and targets (n,) as the training set."""
        self.coords = torch.from_numpy(points.astype(np.float32)).to(self.device)
        self.targets = torch.from_numpy(targets.astype(np.float32)).to(self.device)

    def batch(self, index: Index) -> Batch:
        """coords (n, 3) and values (n,) of training points."""
        return {"coords": self.coords[index], "values": self.targets[index]}


def _blocks(resolution: int, device: torch.device) -> list[Tensor] | Any:
    """The points of a grid, a few planes of x at a time, (n, 3)."""
    axis = grid_coords((resolution,), device).squeeze(1)
    plane = grid_coords((resolution, resolution), device)
    planes = max(1, POINTS_AT_A_TIME // len(plane))
    for part in axis.split(planes):
        yield torch.cat([part.repeat_interleave(len(plane))[:, None], plane.repeat(len(part), 1)], dim=1)


def _outputs(values: Array, mesh: Mesh | None) -> dict[str, Array]:
    stride = -(-values.shape[0] // KEPT_RESOLUTION)
    outputs: dict[str, Array] = {"values": values[::stride, ::stride, ::stride].copy()}
    if mesh is not None:
        outputs["vertices"] = mesh.vertices.astype(np.float32)
        outputs["faces"] = mesh.faces.astype(np.int32)
    return outputs
