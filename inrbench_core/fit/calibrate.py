"""What a step costs, found out before a fit: in seconds, and in floating-point operations."""

from __future__ import annotations

import copy
import time
from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import flop_registry

from inrbench_core.api.problem import Problem, SeedStreams
from inrbench_core.fit.build import count_parameters
from inrbench_core.fit.chunks import unchanged
from inrbench_core.fit.counting import OperationCounter
from inrbench_core.fit.device import forked_generators, model_device
from inrbench_core.fit.stepping import Stepper
from inrbench_core.spec.training import TrainingSpec

LEAST_STEPS = 2
MOST_SECONDS = 0.3
COUNTED_ELEMENTS = 16
# Forward, and twice that backward: a multiplication and an addition for each parameter and point.
FLOPS_PER_PARAMETER = 6


def step_seconds(problem: Problem, model: nn.Module, training: TrainingSpec, *, seeds: SeedStreams) -> float:
    """Seconds that one optimiser step takes, without compilation; 0 where there are no steps.

    After one step to warm up, steps are timed for 0.3 s, and two of them at least. The model, the problem's
    parameters and torch's generators are left as they were.

    Args:
        problem: data and loss.
        model: on the problem's device; a copy of it is trained.
        training: the budget.
        seeds: the run's random streams.

    Raises:
        ValueError, UnsupportedError: as `fit` does.
    """
    if training.steps == 0:
        return 0.0
    device = model_device(model)
    beside = [(parameter, parameter.detach().clone()) for parameter in problem.parameters().values()]
    with forked_generators(device):
        try:
            eager = training.model_copy(update={"compile": "off"})
            stepper = Stepper(problem, copy.deepcopy(model).train(), eager, seeds)
            stepper.step(1).item()
            done, started = 0, time.perf_counter()
            while done < LEAST_STEPS or time.perf_counter() - started < MOST_SECONDS:
                # Reading the loss waits for the device.
                stepper.step(1).item()
                done += 1
            return (time.perf_counter() - started) / done
        finally:
            for parameter, before in beside:
                parameter.grad = None
                with torch.no_grad():
                    parameter.copy_(before)


def flops_per_step(problem: Problem, model: nn.Module, training: TrainingSpec) -> float:
    """An estimate of the floating-point operations of one step, taken from what torch counts on a few elements.

    Where torch counts none, as in a field without matrix products, it is 6 for each parameter and point. An optimiser
    that computes the loss several times a step takes that many times more.
    """
    batch = problem.elements if training.batch == "full" else min(training.batch, problem.elements)
    few = min(COUNTED_ELEMENTS, problem.elements)
    try:
        with unchanged(model), _FlopCounter() as counter:
            problem.loss(model, problem.batch(slice(0, few))).sum().backward()  # type: ignore[no-untyped-call]
        counted = counter.total / few
    except Exception:  # It is only an estimate: whatever a model does that the counter cannot follow.
        counted = 0
    finally:
        for parameter in problem.parameters().values():
            parameter.grad = None
    by_parameters = FLOPS_PER_PARAMETER * count_parameters(model) * problem.points_per_element
    return float((counted or by_parameters) * batch)


class _FlopCounter(OperationCounter):  # type: ignore[no-untyped-call]
    """Adds up the floating-point operations of all that torch has a formula for: products and convolutions."""

    total = 0

    def note(self, function: Any, args: tuple[Any, ...], kwargs: dict[str, Any], results: Any) -> None:
        formula = flop_registry.get(function.overloadpacket)
        if formula is not None:
            self.total += formula(*args, **kwargs, out_val=results)
