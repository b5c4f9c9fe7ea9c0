"""Checks of optimisers, on separable quadratics whose minima are known."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from inrbench_core.api.entries import OptimizerEntry
from inrbench_core.api.errors import UnsupportedError
from inrbench_core.testing.outcome import Skipped, require
from inrbench_core.testing.subject import Subject

# Optimisers differ in the rate they bear by more than a factor of ten: one has to do.
RATES = (1.0, 0.1, 0.01)
STEPS = 300
# A group at this share of another's rate should move by about this share of the way.
SMALL = 1e-6
MOVED = 1e-2


class _Quadratics:
    """sum of c (x - t)^2 over two parameters that start at 0 and have the same targets t, up to 1.5, and curvatures."""

    def __init__(self) -> None:
        self.parameters = [nn.Parameter(torch.zeros(6)) for _ in range(2)]
        self.target = torch.tensor([0.5, -1.0, 1.5, -0.25, 1.0, -0.75])
        self.curvature = torch.linspace(0.5, 2.0, 6)
        self.calls = 0

    def loss(self) -> Tensor:
        return torch.stack([(self.curvature * (x - self.target).square()).sum() for x in self.parameters]).sum()

    def groups(self, rates: Sequence[float]) -> list[dict[str, Any]]:
        return [{"params": [x], "lr": rate} for x, rate in zip(self.parameters, rates, strict=True)]

    def train(self, optimizer: Any, steps: int) -> None:
        def closure() -> Tensor:
            self.calls += 1
            optimizer.zero_grad(set_to_none=True)
            loss = self.loss()
            loss.backward()  # type: ignore[no-untyped-call]
            return loss.detach()

        for _ in range(steps):
            optimizer.step(closure)

    @property
    def distances(self) -> list[float]:
        """How far each parameter is from where it started."""
        return [x.detach().norm().item() for x in self.parameters]


def check_optimizer_is_built(subject: Subject) -> None:
    """The target gives a torch optimiser that holds the parameters of all groups, each once, at the groups' rate."""
    problem = _Quadratics()
    optimizer = subject.component.build(problem.groups([0.1, 0.1]))
    require(isinstance(optimizer, torch.optim.Optimizer), f"it gives a {type(optimizer).__name__}, not an Optimizer")
    held = [(id(x), group["lr"]) for group in optimizer.param_groups for x in group["params"]]
    wanted = [(id(x), 0.1) for x in problem.parameters]
    require(sorted(held) == sorted(wanted), "param_groups should hold each parameter once, with its group's lr")


def check_minimises(subject: Subject) -> None:
    """In 300 steps it takes a sum of quadratics to 1/1000 of what it starts with, at one rate of 1, 0.1 and 0.01."""
    shares = []
    for rate in RATES:
        problem = _Quadratics()
        start = problem.loss().item()
        problem.train(subject.component.build(problem.groups([rate, rate])), STEPS)
        require(problem.calls > 0, "step(closure) does not call the closure")
        shares.append(problem.loss().item() / start)
        if shares[-1] < 1e-3:
            return
    raise AssertionError(f"of the loss are left, at rates {RATES}: {', '.join(f'{share:.2g}' for share in shares)}")


def check_group_rates(subject: Subject) -> None:
    """A group at a millionth of another's rate hardly moves, while the other does."""
    problem = _Quadratics()
    groups = problem.groups([0.1, 0.1 * SMALL])
    try:
        optimizer = subject.component.build(groups)
    except UnsupportedError as error:
        raise Skipped(f"it does not take groups of different rates: {error}") from None
    held = {id(x): group["lr"] for group in optimizer.param_groups for x in group["params"]}
    wanted = {id(x): group["lr"] for group in groups for x in group["params"]}
    require(held == wanted, "param_groups should hold each parameter at its group's lr")
    problem.train(optimizer, 3)
    quick, slow = problem.distances
    require(quick > 0, "a group at rate 0.1 does not move in three steps")
    require(slow <= MOVED * quick, f"at a millionth of the rate a group moves by {slow:.2g}, the other by {quick:.2g}")


def check_schedule(subject: Subject) -> None:
    """The rates in `param_groups` are read at each step: changed to a millionth, they let nothing move far any more."""
    free, held = _Quadratics(), _Quadratics()
    for problem, share in ((free, 1.0), (held, SMALL)):
        optimizer = subject.component.build(problem.groups([0.1, 0.1]))
        for group in optimizer.param_groups:
            group["lr"] *= share
        problem.train(optimizer, 3)
    moved, still = max(free.distances), max(held.distances)
    require(still != moved, "a change of the rates in param_groups changes nothing, so schedules have no effect")
    if still > MOVED * moved:
        raise Skipped(
            f"it chooses the length of its steps itself: at a millionth of the rate it moves by {still:.2g}, "
            f"else by {moved:.2g}"
        )


def check_same_steps(subject: Subject) -> None:
    """From one start it goes one way, bit for bit."""
    ends = []
    for _ in range(2):
        problem = _Quadratics()
        problem.train(subject.component.build(problem.groups([0.01, 0.01])), 10)
        ends.append(torch.cat([x.detach() for x in problem.parameters]))
    require(torch.equal(*ends), "two trainings from the same start end in different places")


def check_one_gradient(subject: Subject) -> None:
    """Where its entry says `one_gradient`, each step calls the closure exactly once, as stacked fits need."""
    entry = subject.component.entry
    if not (isinstance(entry, OptimizerEntry) and entry.one_gradient):
        raise Skipped("its entry does not say one_gradient")
    problem = _Quadratics()
    problem.train(subject.component.build(problem.groups([0.01, 0.01])), 10)
    require(problem.calls == 10, f"its entry says one_gradient, and 10 steps call the closure {problem.calls} times")
