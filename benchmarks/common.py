"""What the benchmarks share: a signal to fit, peak memory, verdicts."""

from __future__ import annotations

import re
import resource
import sys
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from inrbench_core.api.components import FieldShape
from inrbench_core.api.problem import Batch, Evaluation, Index, Problem
from inrbench_core.plugins.loading import load_catalog
from inrbench_core.spec.training import TrainingSpec

GIB = 2.0**30


class Waves(Problem):
    """Three smooth functions of the plane, at coords (N, 2); only for training."""

    def __init__(self, coords: Tensor) -> None:
        self.points = coords
        waves = torch.tensor([[3.0, 8.0, 20.0], [5.0, -9.0, 14.0]], device=coords.device)
        self.values = torch.sin(coords @ waves)
        self.shapes = {"values": FieldShape(2, 3)}
        self.elements = len(coords)
        self.record: dict[str, str | int | float] = {}

    def batch(self, index: Index) -> Batch:
        return {"coords": self.points[index], "values": self.values[index]}

    def loss(self, model: nn.Module, batch: Batch) -> Tensor:
        return (model(batch["coords"]) - batch["values"]).square().mean(dim=1)

    def evaluate(self, model: nn.Module, *, full: bool = True) -> Evaluation:
        return Evaluation({})

    def baseline(self, name: str) -> Evaluation:
        raise NotImplementedError

    def truth(self) -> Any:
        raise NotImplementedError


def training_spec(**options: Any) -> TrainingSpec:
    """How to train, with the defaults for what is not given."""
    return TrainingSpec.model_validate(options, context={"catalog": load_catalog()})


def own_peak() -> int:
    """Peak resident set of this process, in bytes."""
    status = Path("/proc/self/status")
    if status.exists():
        # Not getrusage: on Linux its figure is never below that of the process which started this one.
        return 1024 * int(re.search(r"VmHWM:\s+(\d+)", status.read_text())[1])
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def verdict(reached: bool) -> str:
    return "reached" if reached else "MISSED"
