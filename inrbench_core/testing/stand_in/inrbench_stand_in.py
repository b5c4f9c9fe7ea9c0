"""A plugin file with a small task and a small field, for checks of what needs a whole run and no particular one."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from inrbench_core import (
    Batch,
    ComponentSpec,
    Evaluation,
    FieldEntry,
    FieldShape,
    Index,
    Metric,
    Problem,
    SeedStreams,
    TaskEntry,
    TaskSpec,
    grid_coords,
    hookimpl,
    predict,
)


class StandInTaskSpec(TaskSpec):
    """Fit products of sines on a regular grid, with as many fields as asked for."""

    dimensions: int = Field(1, ge=1, le=3, description="coordinates of each field")
    fields: int = Field(1, ge=1, le=3, description="how many fields it needs")
    samples: int = Field(24, ge=2, description="samples along each axis")
    known: bool = Field(True, description="whether `target` tells the truth")


class StandInFieldSpec(ComponentSpec):
    """One hidden layer, with a buffer."""

    width: int = Field(8, ge=1, description="units")


class StandInField(nn.Module):
    """Maps (N, in_features) to (N, out_features)."""

    scale: Tensor

    def __init__(self, spec: StandInFieldSpec, shape: FieldShape) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(shape.in_features, spec.width), nn.Tanh(), nn.Linear(spec.width, shape.out_features)
        )
        self.register_buffer("scale", torch.full((1,), 2.0))

    def forward(self, coords: Tensor) -> Tensor:
        values: Tensor = self.layers(self.scale * coords)
        return values


class StandInProblem(Problem):
    """Each field has the same target; the loss is the sum of their squared errors."""

    def __init__(self, spec: StandInTaskSpec, device: torch.device) -> None:
        self.known = spec.known
        sizes = (spec.samples,) * spec.dimensions
        self.points = grid_coords(sizes, device)
        self.values = _signal(self.points)
        self.shapes = {f"field{index}": FieldShape(spec.dimensions, 1, sizes) for index in range(spec.fields)}
        self.elements = len(self.points)
        self.record = {"source": "prod sin(3 x)"}

    def batch(self, index: Index) -> Batch:
        return {"coords": self.points[index], "values": self.values[index]}

    def loss(self, model: nn.Module, batch: Batch) -> Tensor:
        errors = [(part(batch["coords"]) - batch["values"]).square().mean(dim=1) for part in self._parts(model)]
        return torch.stack(errors).sum(dim=0)

    def evaluate(self, model: nn.Module, *, full: bool = True) -> Evaluation:
        return self._score([predict(part, self.points) for part in self._parts(model)])

    def baseline(self, name: str) -> Evaluation:
        return self._score([torch.zeros_like(self.values)])

    def truth(self) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
        return _picture(self.values)

    def target(self, coords: Tensor, field: str = "") -> Tensor | None:
        return _signal(coords) if self.known else None

    def _score(self, answers: list[Tensor]) -> Evaluation:
        mse = torch.stack([(answer - self.values).square().mean() for answer in answers]).mean().item()
        outputs = {f"values{index}": answer.cpu().numpy() for index, answer in enumerate(answers)}
        return Evaluation({"mse": mse, "rmse": math.sqrt(mse)}, outputs, _picture(answers[0]))

    def _parts(self, model: nn.Module) -> list[nn.Module]:
        return [model[name] for name in self.shapes] if isinstance(model, nn.ModuleDict) else [model]


def prepare(spec: StandInTaskSpec, *, device: torch.device, seeds: SeedStreams) -> StandInProblem:
    """The problem, which draws nothing at random."""
    return StandInProblem(spec, device)


def _signal(points: Tensor) -> Tensor:
    return torch.sin(3.0 * points).prod(dim=1, keepdim=True)


def _picture(values: Tensor) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    grey = ((values.nan_to_num().clamp(-1.0, 1.0) + 1.0) * 127.5).to(torch.uint8).cpu().numpy()
    return np.broadcast_to(grey.reshape(1, -1, 1), (8, grey.size, 3)).copy()


@hookimpl
def inrbench_tasks() -> Iterator[TaskEntry]:
    yield TaskEntry(
        "stand_in",
        StandInTaskSpec,
        "inrbench_stand_in:prepare",
        metrics=(Metric("mse", higher_is_better=False), Metric("rmse", higher_is_better=False)),
        baselines=("zero",),
        api=1,
    )


@hookimpl
def inrbench_fields() -> Iterator[FieldEntry]:
    yield FieldEntry("stand_in", StandInFieldSpec, "inrbench_stand_in:StandInField", api=1)
