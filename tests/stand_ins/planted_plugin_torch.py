"""The torch half of planted_plugin: figures come from a field's options, not from its values."""

from __future__ import annotations

import math
from typing import Any

import torch
from planted_plugin import quality
from torch import nn

from inrbench_core import Evaluation, FieldShape, Problem


class Planted(nn.Module):
    """A field that says which optimum is its own."""

    planted = "plain"

    def __init__(self, spec: Any, shape: FieldShape) -> None:
        super().__init__()
        self.spec = spec
        self.level = nn.Parameter(torch.zeros(1))

    def forward(self, coords: torch.Tensor) -> torch.Tensor:
        return self.level.expand(len(coords), 1)


class High(Planted):
    planted = "high"


class Low(Planted):
    planted = "low"


class PlantedProblem(Problem):
    def __init__(self, signal: str, seed: int) -> None:
        self.signal, self.seed = signal, seed
        self.shapes = {"planted": FieldShape(1, 1, (4,))}
        self.elements = 4
        self.record = {"source": "made up"}

    def batch(self, index: Any) -> Any:
        return {"coords": torch.zeros(4, 1)[index]}

    def loss(self, model: nn.Module, batch: Any) -> torch.Tensor:
        return model(batch["coords"]).square().mean(dim=1)

    def evaluate(self, model: nn.Module, *, full: bool = True) -> Evaluation:
        options = model.spec.model_dump()
        if options.get("kind") == "broken":
            raise ValueError("this kind is broken")
        if options.get("kind") == "endless":
            return Evaluation({"quality": math.nan, "distance": math.nan})
        value = quality(model.planted, {"order": 3, **options}, self.signal, self.seed)
        return Evaluation({"quality": value, "distance": -value})

    def baseline(self, name: str) -> Evaluation:
        raise NotImplementedError(name)

    def truth(self) -> None:
        return None


def prepare(spec: Any, *, device: torch.device, seeds: Any) -> PlantedProblem:
    return PlantedProblem(spec.signal, seeds.seed)
