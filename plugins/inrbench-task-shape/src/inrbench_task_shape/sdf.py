"""The sdf task: signed distance to a surface, from distances or from the surface alone."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from scipy.ndimage import binary_dilation, binary_erosion
from torch import Tensor, nn
from torch.nn import functional

from inrbench_core import Batch, Index, Quantity, SeedStreams
from inrbench_task_shape.base import PointProblem, ShapeProblem
from inrbench_task_shape.estimates import TangentPlanes
from inrbench_task_shape.meshes import Mesh
from inrbench_task_shape.picture import draw
from inrbench_task_shape.plugin import SdfSpec
from inrbench_task_shape.solids import Solid
from inrbench_task_shape.sources import load_solid
from inrbench_task_shape.surfaces import compare

Array = np.ndarray[Any, Any]

# The weights of Sitzmann et al. 2020, arXiv:2006.09661, equation 6, and of its published code.
ZERO, NORMAL, EMPTY, EIKONAL = 3000.0, 100.0, 100.0, 50.0
# How quickly the penalty for being near zero off the surface falls off with the field's value.
DECAY = 100.0
# The picture of the truth is drawn on this grid, or the evaluation's if coarser; a picture looks at values this many
# voxels from the surface at most.
SHOWN_RESOLUTION, SHOWN_VOXELS = 128, 4
_CUBE = np.ones((3, 3, 3), bool)


def prepare(spec: SdfSpec, *, device: torch.device, seeds: SeedStreams) -> SdfProblem:
    """Load the solid and draw the training points. Raises DataError if it cannot be used."""
    kind = EikonalProblem if spec.mode == "eikonal" else RegressionProblem
    return kind(load_solid(spec), spec, device=device, seeds=seeds)


class SdfProblem(ShapeProblem):
    """The field is below 0 inside; to the user its value is a distance in the solid's own unit.

    Args:
        length: in the cube, that a value of 1 stands for; the others are those of ShapeProblem.
    """

    sign = 1.0

    def __init__(self, solid: Solid, spec: SdfSpec, length: float, *, device: torch.device, seeds: SeedStreams) -> None:
        super().__init__(solid, spec, device=device, seeds=seeds)
        self.value = Quantity("distance", solid.unit, -length / solid.scale, length / solid.scale)

    def truth(self) -> Array:
        resolution = min(self.resolution, SHOWN_RESOLUTION)
        key = {"truth": type(self).__name__, "grid": resolution, "length": self.value.high}
        return draw(self.cached(key, partial(self._near_truth, resolution))["values"])

    def _near_truth(self, resolution: int) -> dict[str, Array]:
        """Exact values close to the surface, which are all that a picture shows of a volume."""
        inside = self.truth_grid(resolution)
        near = binary_dilation(inside, _CUBE, SHOWN_VOXELS) & ~binary_erosion(inside, _CUBE, SHOWN_VOXELS)
        values = np.where(inside, -1.0, 1.0).astype(np.float32)
        values[near] = self.exact(2.0 / (resolution - 1) * np.argwhere(near) - 1.0)
        return {"values": values}

    def measure(self, values: Array, mesh: Mesh | None) -> dict[str, float]:
        """iou, and what `compare` finds of the surface."""
        random = self.seeds.numpy("evaluation")
        return {"iou": self.iou(values), **compare(mesh, self.solid, self.true_surface, random)}


class RegressionProblem(SdfProblem, PointProblem):
    """The field is the distance over `truncation`, cut off at -1 and 1 (truncated signed distance).

    Only the targets are cut: where Park et al. 2019 (arXiv:1901.05103) cut the field too, a point with a large value
    of the wrong sign has no gradient.
    """

    def __init__(self, solid: Solid, spec: SdfSpec, *, device: torch.device, seeds: SeedStreams) -> None:
        super().__init__(solid, spec, spec.truncation, device=device, seeds=seeds)
        self.truncation = spec.truncation
        self.draw_points(spec, {"task": "sdf", "truncation": spec.truncation})

    def exact(self, points: Array) -> Array:
        distance, _ = self.solid.nearest(points, self.truncation)
        return (distance / self.truncation).clip(-1.0, 1.0)

    def loss(self, model: nn.Module, batch: Batch) -> Tensor:
        """Squared error of each point."""
        return (model(batch["coords"]).squeeze(1) - batch["values"]).square()


class EikonalProblem(SdfProblem):
    """The field is a distance that is known only to be 0 on the surface, with its normals as gradient there.

    An element is a point on the surface and a uniform one in the cube. The share `near_surface` is not used.
    """

    differentiates = True
    points_per_element = 2

    def __init__(self, solid: Solid, spec: SdfSpec, *, device: torch.device, seeds: SeedStreams) -> None:
        super().__init__(solid, spec, 1.0, device=device, seeds=seeds)

        def make() -> dict[str, Array]:
            random = seeds.numpy("points")
            places, normals = solid.surface(spec.points, random)
            empty = random.uniform(-1.0, 1.0, (spec.points, 3))
            arrays = {"surface": places, "normals": normals, "empty": empty}
            return {name: array.astype(np.float32) for name, array in arrays.items()}

        arrays = self.cached({"task": "eikonal", "points": spec.points, "seed": seeds.derive("points")}, make)
        self._tensors = {name: torch.from_numpy(array).to(device) for name, array in arrays.items()}

    def exact(self, points: Array) -> Array:
        return self.solid.nearest(points)[0]

    def estimator(self) -> Callable[[Array], Array]:
        """Distances to the tangent planes of the nearest surface points."""
        surface, normals = (self._tensors[name].cpu().numpy().astype(np.float64) for name in ("surface", "normals"))
        return TangentPlanes(surface, normals)

    def batch(self, index: Index) -> Batch:
        """surface, normals and empty, (n, 3) each."""
        return {name: tensor[index] for name, tensor in self._tensors.items()}

    def loss(self, model: nn.Module, batch: Batch) -> Tensor:
        """3000 |f| + 100 (1 - cos(grad f, n)) on the surface, 100 exp(-100 |f|) off it, 50 ||grad f| - 1| on both.

        The weights are those of SIREN's published code.
        """
        count = len(batch["surface"])
        coords = torch.cat([batch["surface"], batch["empty"]]).requires_grad_()
        with torch.enable_grad():
            values = model(coords).squeeze(1)
            (gradient,) = torch.autograd.grad(values.sum(), coords, create_graph=True)
        cosine = functional.cosine_similarity(gradient[:count], batch["normals"], dim=1)
        slope = (gradient.norm(dim=1) - 1.0).abs()
        return (
            ZERO * values[:count].abs()
            + NORMAL * (1.0 - cosine)
            + EMPTY * torch.exp(-DECAY * values[count:].abs())
            + EIKONAL * (slope[:count] + slope[count:])
        )
