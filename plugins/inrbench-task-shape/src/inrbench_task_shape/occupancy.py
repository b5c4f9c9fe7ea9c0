"""The occupancy task: which points lie inside."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from inrbench_core import Batch, Quantity, SeedStreams
from inrbench_task_shape.base import PointProblem
from inrbench_task_shape.meshes import Mesh
from inrbench_task_shape.plugin import OccupancySpec
from inrbench_task_shape.solids import Solid
from inrbench_task_shape.sources import load_solid
from inrbench_task_shape.surfaces import POINT_SAMPLES, chamfer_points

Array = np.ndarray[Any, Any]


def prepare(spec: OccupancySpec, *, device: torch.device, seeds: SeedStreams) -> OccupancyProblem:
    """Load the solid and draw the training points. Raises DataError if it cannot be used."""
    return OccupancyProblem(load_solid(spec), spec, device=device, seeds=seeds)


class OccupancyProblem(PointProblem):
    """The field is above 0 inside. Targets are 1 inside and -1 outside.

    To the user its value is how sure it is that a point lies inside, from 0 to 1: the sigmoid of a logit (cross
    entropy), or linear from -1 to 1 (squared error).
    """

    sign = -1.0

    def __init__(self, solid: Solid, spec: OccupancySpec, *, device: torch.device, seeds: SeedStreams) -> None:
        super().__init__(solid, spec, device=device, seeds=seeds)
        self.cross_entropy = spec.loss == "cross_entropy"
        self.value = Quantity("inside", transform="sigmoid") if self.cross_entropy else Quantity("inside", "", 0.0, 1.0)
        self.draw_points(spec, {"task": "occupancy"})

    def exact(self, points: Array) -> Array:
        return np.where(self.solid.inside(points), 1.0, -1.0)

    def target(self, coords: Tensor, field: str = "") -> Tensor | None:
        """1 inside and -1 outside; None for cross entropy, for which no logit is large enough."""
        return None if self.cross_entropy else super().target(coords, field)

    def loss(self, model: nn.Module, batch: Batch) -> Tensor:
        """Cross entropy in nats with the field as logit, or the squared error, of each point."""
        values = model(batch["coords"]).squeeze(1)
        if self.cross_entropy:
            # -log sigmoid(+-f), written so that it does not overflow.
            return functional.softplus(-batch["values"] * values)
        return (values - batch["values"]).square()

    def measure(self, values: Array, mesh: Mesh | None) -> dict[str, float]:
        """iou; accuracy, the share of grid points on the right side; and chamfer_points of the surface."""
        truth = self.truth_grid(values.shape[0])
        accuracy = float((truth == (values < 0.0)).mean())
        places = None if mesh is None else mesh.sample(POINT_SAMPLES, self.seeds.numpy("evaluation"))[0]
        return {
            "iou": self.iou(values),
            "accuracy": accuracy,
            "chamfer_points": chamfer_points(places, self.true_surface[0]),
        }
