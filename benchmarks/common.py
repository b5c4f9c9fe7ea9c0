"""What the benchmarks share: a signal to fit, KANs of the 22 bases, allocator settings, peak memory, verdicts."""

from __future__ import annotations

import itertools
import os
import re
import resource
import sys
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from inrbench_core.api.components import FieldShape, Position
from inrbench_core.api.problem import Batch, Evaluation, Index, Problem
from inrbench_core.plugins.catalog import Catalog
from inrbench_core.plugins.loading import load_catalog
from inrbench_core.spec.training import TrainingSpec

GIB = 2.0**30
# With glibc's defaults, a block of more than 32 MiB is mapped anew, page by page, each time it is allocated.
ALLOCATORS = {
    "default": {},
    "tuned": {"MALLOC_MMAP_THRESHOLD_": str(1 << 40), "MALLOC_TRIM_THRESHOLD_": str(1 << 40)},
}
# Of the 22 bases of INR-Bench (arXiv:2510.10188), those whose functions have parameters of their own on each edge.
OF_EDGES = ("fcn", "mexican_hat", "morlet", "dog", "meyer", "shannon", "bump")
BASES = (
    *("bspline", "grbf", "rbf", "fourier", "fcn_interpolation", "chebyshev", "chebyshev2", "jacobi", "bessel"),
    *("fibonacci", "hermite", "legendre", "gegenbauer", "lucas", "laguerre"),
    *OF_EDGES,
)
KAN_SIZES = (2, 64, 64, 64, 3)


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


def scattered(points: int) -> Tensor:
    """Random points of the square, (points, 2), the same each time."""
    return 2.0 * torch.rand(points, 2, generator=torch.Generator().manual_seed(0)) - 1.0


def make_kan(name: str, catalog: Catalog) -> nn.Sequential:
    """Our KAN 2 -> 64 -> 64 -> 64 -> 3 of a basis with its defaults."""
    torch.manual_seed(0)
    basis = catalog.resolve("basis", name)
    positions: list[Position] = ["first", *["hidden"] * (len(KAN_SIZES) - 3), "last"]  # type: ignore[list-item]
    return nn.Sequential(
        *(
            basis.build().layer(size_in, size_out, position=position)
            for (size_in, size_out), position in zip(itertools.pairwise(KAN_SIZES), positions, strict=True)
        )
    )


def allocator_environment(name: str) -> dict[str, str]:
    """The environment of a process with an allocator setting; only glibc (Linux) knows the variables."""
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("MALLOC_")}
    return {**inherited, **ALLOCATORS[name]}


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
