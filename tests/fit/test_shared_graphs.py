"""A compiled graph serves the models that follow with the same structure, and no other."""

from __future__ import annotations

import functools
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from inrbench_core.api.problem import SeedStreams
from inrbench_core.fit import FitResult, compiling, fit

SEEDS = SeedStreams(0)


@pytest.fixture(autouse=True)
def no_graphs_before():
    torch.compiler.reset()


@pytest.fixture
def quick_compiler(monkeypatch):
    """Dynamo and AOT autograd as always, but no code generation, which takes seconds."""
    monkeypatch.setattr(torch, "compile", functools.partial(torch.compile, backend="aot_eager"))


@pytest.fixture
def compiled(stand_ins) -> Callable[..., tuple[FitResult, int]]:
    """Fits a model with the compiler on; returns the result and how many graphs were made."""

    def run(model: nn.Module, problem: object = None, **options: object) -> tuple[FitResult, int]:
        training = stand_ins.short(**{"steps": 5, "compile": "on", **options})
        statistics = torch._dynamo.utils.counters["stats"]
        before = statistics["unique_graphs"]
        result = fit(problem or stand_ins.Wave(), model, training, seeds=SEEDS)
        assert result.compiled
        return result, statistics["unique_graphs"] - before

    return run


class Scaled(nn.Module):
    """Layers around an activation with what may differ between two models of one class."""

    def __init__(self, omega: float = 30.0, seed: int = 0, powers: tuple[int, ...] = (1, 2), kind: str = "sin") -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.omega, self.powers, self.settings = omega, list(powers), {"kind": kind}
        self.first, self.last = nn.Linear(1, 8), nn.Linear(8, 1)
        self.register_buffer("matrix", torch.randn(8, 8))
        self.plain = torch.randn(8)

    def forward(self, x: Tensor) -> Tensor:
        z = self.first(x) @ self.matrix + self.plain
        y = torch.sin(self.omega * z) if self.settings["kind"] == "sin" else torch.tanh(z)
        return self.last(sum(y**power for power in self.powers))


def same_as_eager(stand_ins, model: nn.Module, eager: nn.Module, **options: object) -> bool:
    fit(stand_ins.Wave(), eager, stand_ins.short(**{"steps": 5, "compile": "off", **options}), seeds=SEEDS)
    pairs = zip(model.parameters(), eager.parameters(), strict=True)
    return all(torch.allclose(found, wanted, rtol=1e-4, atol=1e-6) for found, wanted in pairs)


def test_seeds_rates_and_buffers_share_a_graph(stand_ins, compiled, quick_compiler) -> None:
    first, graphs = compiled(Scaled(seed=0))
    assert graphs == 1
    for seed, lr in ((1, 1e-2), (2, 1e-3)):
        model = Scaled(seed=seed)
        result, graphs = compiled(model, lr=lr)
        assert graphs == 0
        assert result.compile_s < min(0.3, first.compile_s)
        assert same_as_eager(stand_ins, model, Scaled(seed=seed), lr=lr)


@pytest.mark.parametrize(
    "different",
    [{"omega": 20.0}, {"omega": 30.000001}, {"powers": (1, 3)}, {"powers": (1, 2, 3)}, {"kind": "tanh"}],
    ids=str,
)
def test_python_values_that_differ_never_share_a_graph(stand_ins, compiled, quick_compiler, different) -> None:
    compiled(Scaled())
    model = Scaled(**different)
    _, graphs = compiled(model)
    assert graphs == 1
    assert same_as_eager(stand_ins, model, Scaled(**different))
    assert compiled(Scaled())[1] == 0


def test_hooks_dtypes_frozen_parameters_and_sizes_are_told_apart(stand_ins, compiled, quick_compiler) -> None:
    def hooked(**options: int) -> nn.Module:
        model = Scaled(**options)
        model.first.register_forward_hook(lambda module, inputs, output: 2 * output)
        return model

    def frozen() -> nn.Module:
        model = Scaled()
        model.first.bias.requires_grad_(False)
        return model

    compiled(Scaled())
    model = hooked()
    assert compiled(model)[1] == 1
    assert same_as_eager(stand_ins, model, hooked())
    model = frozen()
    assert compiled(model)[1] == 1
    assert same_as_eager(stand_ins, model, frozen())
    assert compiled(Scaled(), stand_ins.Wave(elements=40))[1] == 1
    double = Scaled().double()
    double.plain = double.plain.double()
    assert compiled(double, stand_ins.Wave(dtype=torch.float64))[1] == 1
    assert compiled(Scaled())[1] == 0


def test_fields_by_name_share_their_graphs(stand_ins, compiled, quick_compiler) -> None:
    def fields(seed: int) -> nn.Module:
        return nn.ModuleDict({"a": Scaled(seed=seed), "b": Scaled(20.0, seed=seed + 1)})

    assert compiled(fields(0), stand_ins.SumOfFields())[1] == 2
    assert compiled(fields(5), stand_ins.SumOfFields())[1] == 0


def test_graphs_are_bounded_and_a_failure_drops_them(stand_ins, compiled, quick_compiler, monkeypatch) -> None:
    resets: list[int] = []
    monkeypatch.setattr(compiling, "GRAPHS", 3)
    monkeypatch.setattr(compiling, "_kept", 0)
    monkeypatch.setattr(torch.compiler, "reset", lambda reset=torch.compiler.reset: (resets.append(1), reset()))
    for omega in (1.0, 2.0, 3.0):
        assert compiled(Scaled(omega))[1] == 1
    assert not resets
    assert compiled(Scaled(4.0))[1] == 1
    assert len(resets) == 1
    assert compiled(Scaled(1.0))[1] == 1
    assert compiled(Scaled(4.0))[1] == 0

    def fails(model: nn.Module) -> Tensor:
        raise RuntimeError("no")

    with pytest.warns(UserWarning, match="so this fit is not compiled: no"):
        assert compiling.compile_model(Scaled(4.0), fails)[0] is None
    assert len(resets) == 2
    assert compiled(Scaled(4.0))[1] == 1


@pytest.mark.slow
def test_a_shared_graph_gives_the_numbers_of_a_fresh_one(compiled) -> None:
    """With generated code; omega 20 before it makes nothing dynamic."""

    def values(seed: int) -> list[Tensor]:
        model = Scaled(seed=seed)
        compiled(model, steps=20)
        return [parameter.detach().clone() for parameter in model.parameters()]

    fresh = values(1)
    torch.compiler.reset()
    compiled(Scaled(20.0))
    values(0)
    shared = values(1)
    assert all(torch.equal(*pair) for pair in zip(fresh, shared, strict=True))
