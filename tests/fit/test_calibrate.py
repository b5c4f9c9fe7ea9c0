"""What a step costs, found out before a fit."""

from __future__ import annotations

import copy
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from inrbench_core.api.problem import SeedStreams
from inrbench_core.fit import calibrate, flops_per_step, step_seconds

SEEDS = SeedStreams(0)


@pytest.fixture
def clock(monkeypatch) -> SimpleNamespace:
    """The clock by which steps are timed: it goes only when `now` is changed."""
    made = SimpleNamespace(now=0.0)
    made.perf_counter = lambda: made.now
    monkeypatch.setattr(calibrate, "time", made)
    return made


def sleepy(stand_ins: Any, seconds: float, clock: SimpleNamespace) -> Any:
    class Sleepy(stand_ins.Wave):
        """Has a scale that is trained, and takes its time over batches of more than 16 elements."""

        def __init__(self) -> None:
            super().__init__()
            self.scale = nn.Parameter(torch.ones(()))
            self.steps = 0

        def parameters(self) -> dict[str, nn.Parameter]:
            return {"scale": self.scale}

        def loss(self, model: nn.Module, batch: Any) -> Tensor:
            if len(batch["coords"]) > 16:
                self.steps += 1
                clock.now += seconds
            return super().loss(lambda x: self.scale * model(x), batch)

    return Sleepy()


def test_a_step_is_timed_and_leaves_no_trace(stand_ins, clock) -> None:
    problem = sleepy(stand_ins, 0.01, clock)
    net = stand_ins.make_net()
    model = nn.Sequential(*net[:2], nn.BatchNorm1d(16), nn.Dropout(), *net[2:])
    before, generator = copy.deepcopy(model.state_dict()), torch.get_rng_state()
    seconds = step_seconds(problem, model, stand_ins.training(steps=1000, lr=0.1), seeds=SEEDS)
    assert seconds == pytest.approx(0.01)
    assert clock.now == pytest.approx(0.01 * problem.steps)
    # One to warm up, and 0.3 s.
    assert 31 <= problem.steps <= 32
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())
    assert torch.equal(torch.get_rng_state(), generator)
    assert (problem.scale.item(), problem.scale.grad) == (1.0, None)


def test_a_long_step_is_taken_three_times_and_nothing_is_compiled(stand_ins, clock, monkeypatch) -> None:
    monkeypatch.setattr(torch, "compile", None)
    problem = sleepy(stand_ins, 0.2, clock)
    training = stand_ins.training(steps=1000, compile="on")
    assert step_seconds(problem, stand_ins.make_net(), training, seeds=SEEDS) == pytest.approx(0.2)
    assert problem.steps == 3


def test_no_steps_take_no_time(stand_ins) -> None:
    assert step_seconds(stand_ins.Wave(), stand_ins.make_net(), stand_ins.training(steps=0), seeds=SEEDS) == 0


@pytest.mark.parametrize(("batch", "elements"), [("full", 1000), (64, 64), (5000, 1000)])
def test_operations_of_a_dense_network(stand_ins, batch: Any, elements: int) -> None:
    # Of each layer: outputs, gradients of the weights, and of the inputs, which the first layer's are not asked for.
    per_point = 2 * (3 * (16 * 16 + 16) + 2 * 16)
    model, problem = stand_ins.make_net(width=16), stand_ins.Wave(1000)
    assert flops_per_step(problem, model, stand_ins.training(batch=batch)) == per_point * elements
    assert all(parameter.grad is None for parameter in model.parameters())


def test_operations_that_are_not_counted_go_by_parameters_and_points(stand_ins) -> None:
    class Scale(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.factors = nn.Parameter(torch.ones(7))

        def forward(self, x: Tensor) -> Tensor:
            return x * self.factors.sum()

    class Rays(stand_ins.Wave):
        points_per_element = 32

    class Fails(Scale):
        def forward(self, x: Tensor) -> Tensor:
            if len(x) < 50:
                raise RuntimeError("too few")
            return super().forward(x)

    for model in (Scale(), Fails()):
        assert flops_per_step(Rays(), model, stand_ins.training()) == 6 * 7 * 32 * 50
