"""A small problem and small fields, with no plugin."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pluggy
import pytest
import torch
from torch import Tensor, nn

from inrbench_core.api.components import FieldShape
from inrbench_core.api.problem import Evaluation, Problem, predict
from inrbench_core.api.spec import Component, ComponentSpec, Width
from inrbench_core.fit import stepping
from inrbench_core.plugins.builtin import inrbench_optimizers
from inrbench_core.plugins.catalog import Catalog, Registered
from inrbench_core.spec.training import TrainingSpec


class Wave(Problem):
    """sin(3x) at equidistant points; counts what is asked of it."""

    def __init__(self, elements: int = 50, dtype: torch.dtype = torch.float32, values: float | None = None) -> None:
        self.points = torch.linspace(-1, 1, elements, dtype=dtype).unsqueeze(1)
        self.values = torch.sin(3 * self.points) if values is None else torch.full_like(self.points, values)
        self.elements = elements
        self.shapes = {"wave": FieldShape(1, 1)}
        self.record = {}
        self.asked: list[Any] = []
        self.evaluated: list[tuple[bool, bool]] = []
        self.metrics: list[float] = []

    def batch(self, index: Any) -> dict[str, Tensor]:
        self.asked.append(index)
        return {"coords": self.points[index], "values": self.values[index]}

    def loss(self, model: nn.Module, batch: Any) -> Tensor:
        return (model(batch["coords"]) - batch["values"]).square().mean(dim=1)

    def evaluate(self, model: nn.Module, *, full: bool = True) -> Evaluation:
        self.evaluated.append((full, model.training))
        mse = (predict(model, self.points) - self.values).square().mean().item()
        return Evaluation({"mse": mse, **({"costly": 1.0} if full else {})})

    def baseline(self, name: str) -> Evaluation:
        raise NotImplementedError

    def truth(self) -> Any:
        raise NotImplementedError


class SumOfFields(Wave):
    """The same signal as the sum of the fields "a" and "b"."""

    def loss(self, model: nn.Module, batch: Any) -> Tensor:
        y = model["a"](batch["coords"]) + model["b"](batch["coords"])
        return (y - batch["values"]).square().mean(1)

    def evaluate(self, model: nn.Module, *, full: bool = True) -> Evaluation:
        return Evaluation({"mse": self.loss(model, self.batch(slice(None))).mean().item()})


class Sine(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.sin(5 * x)


def make_net(*, width: int = 16, activation: type[nn.Module] = Sine, dtype: torch.dtype = torch.float32) -> nn.Module:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(1, width), activation(), nn.Linear(width, width), activation(), nn.Linear(width, 1))
    return net.to(dtype)


class DenseSpec(ComponentSpec):
    """A dense network."""

    width: Width = 8


class RankSpec(ComponentSpec):
    """A network whose budget goes into something other than a width."""

    rank: Width = 2


class Dense(nn.Sequential):
    def __init__(self, spec: DenseSpec, shape: FieldShape) -> None:
        w = spec.width
        super().__init__(
            nn.Linear(shape.in_features, w), nn.Tanh(), nn.Linear(w, w), nn.Tanh(), nn.Linear(w, shape.out_features)
        )


class LooksAtValues(Dense):
    """An initialisation that the meta device cannot run."""

    def __init__(self, spec: DenseSpec, shape: FieldShape) -> None:
        super().__init__(spec, shape)
        assert float(self[0].weight[0, 0].detach()) <= 1


class Ranked(nn.Module):
    """500 fixed parameters, and 10 for each rank."""

    def __init__(self, spec: RankSpec, shape: FieldShape) -> None:
        super().__init__()
        self.fixed = nn.Parameter(torch.zeros(500))
        self.factors = nn.Parameter(torch.zeros(10, spec.rank))


CATALOG = Catalog(
    [Registered(entry, "inrbench", "0") for entry in inrbench_optimizers()], [], pluggy.PluginManager("stand-ins")
)


def training(**options: Any) -> TrainingSpec:
    """A training spec whose optimiser is looked up among core's own."""
    return TrainingSpec.model_validate(options, context={"catalog": CATALOG})


def short(**options: Any) -> TrainingSpec:
    """20 steps at a constant rate, evaluated at the end only."""
    return training(**{"steps": 20, "lr": 1e-2, "schedule": "constant", "evaluate_every": 0, **options})


def optimizer(target: Any) -> Component:
    """An optimiser of the tests' own, `target(spec, groups)`, as the catalog would give it."""
    entry: Any = SimpleNamespace(kind="optimizer", name="own", load=lambda: target)
    return Component(entry, ComponentSpec(), "stand-ins", "0")


@pytest.fixture
def stand_ins() -> SimpleNamespace:
    """What this file defines, and `component`, which wraps a field class as the catalog would."""

    def component(target: type[nn.Module], spec: ComponentSpec) -> Component:
        entry: Any = SimpleNamespace(kind="field", name=target.__name__.lower(), load=lambda: target)
        return Component(entry, spec, "stand-ins", "0")

    return SimpleNamespace(
        Wave=Wave,
        SumOfFields=SumOfFields,
        make_net=make_net,
        DenseSpec=DenseSpec,
        RankSpec=RankSpec,
        Dense=Dense,
        LooksAtValues=LooksAtValues,
        Ranked=Ranked,
        component=component,
        catalog=CATALOG,
        training=training,
        short=short,
        optimizer=optimizer,
    )


@pytest.fixture
def chunks_of(monkeypatch):
    """Sets how many elements a chunk holds at most."""

    def set_chunk(elements: int) -> None:
        monkeypatch.setattr(stepping, "chunk_elements", lambda *_: elements)

    return set_chunk
