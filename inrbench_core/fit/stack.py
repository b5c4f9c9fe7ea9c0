"""Stacked fits: like fits of small batches take their steps together, which saves most of the calls of operations."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

from inrbench_core.api.problem import Batch, Index, Problem
from inrbench_core.fit.chunks import chunk_elements, measure_footprint, unchanged
from inrbench_core.fit.compiling import wants_compile
from inrbench_core.fit.device import forked_generators, model_device
from inrbench_core.fit.hooks import modules_with
from inrbench_core.fit.loop import CUDA_CHECK_EVERY, FitResult, FitUnderWay
from inrbench_core.fit.precision import product_precision
from inrbench_core.fit.stepping import Stepper
from inrbench_core.spec.training import LEAST_MEMBERS, MOST_MEMBERS, TrainingSpec

# On a CPU a stack is faster as long as the widest intermediate of all its members has no more floats than this; see
# benchmarks/stacked_fits.py.
CPU_FLOATS = 1 << 18
# The members' signals are all in memory at once.
MOST_ELEMENTS = 1 << 24
# In fewer steps the check of the first one costs more than the others save.
LEAST_STEPS = 50
# How far the stacked and the single loss and gradient of the first batch may differ, relative to their norms. Rounding
# gives 1e-6; a model whose members differ in more than their parameters and buffers gives far more.
TOLERANCE = 1e-4


def most_members(problem: Problem, model: nn.Module, training: TrainingSpec) -> int:
    """How many fits like this one train together at the most; 1 where stacking is not possible or not faster.

    The answer rests on no timing, so that it is the same every time.

    Args:
        problem: of one of them.
        model: of the same fit, in training mode; its state stays as it is.
        training: its steps, batch, `compile` and precision.
    """
    device = model_device(model)
    unsuited = problem.differentiates or problem.parameters() or training.precision != "float32"
    hooks = [*modules_with(model, "set_progress"), *modules_with(model, "regularisation")]
    if unsuited or hooks or training.steps < LEAST_STEPS:
        return 1
    size = problem.elements if training.batch == "full" else min(training.batch, problem.elements)
    footprint = measure_footprint(model, problem)
    if wants_compile(training, problem, model, size, size, device.type):
        return 1
    together = chunk_elements(footprint, problem, device)
    if device.type == "cpu":
        together = min(together, CPU_FLOATS // footprint.largest)
    members = min(MOST_MEMBERS, together // size, MOST_ELEMENTS // problem.elements)
    return members if members >= LEAST_MEMBERS else 1


def fit_stack(fits: Sequence[FitUnderWay]) -> Iterator[tuple[int, FitResult | Exception]]:
    """Carry out fits of the same field on the same task, whose seeds and rates may differ, together.

    Each gives what it gives alone, within rounding. One that diverges or raises ends alone. Where the fits turn out
    not to be alike they are carried out one after the other.

    Args:
        fits: not started; with as many steps, batches of the same size, and no module with `set_progress` or
            `regularisation`.

    Yields:
        the place of a fit in `fits`, and its result or what it raised, as soon as it has ended.
    """
    live = [_Member(place, fit) for place, fit in enumerate(fits)]
    on_cuda = any(fit.device.type == "cuda" for fit in fits)
    if on_cuda:
        torch.cuda.reset_peak_memory_stats(fits[0].device)
    for member in live:
        member.fit.together = len(live)
        member.start()
    yield from ((member.place, member.outcome) for member in live if member.ended)
    live = [member for member in live if not member.ended]
    stack = _checked_stack(live)
    if stack is not None:
        for member in live:
            member.fit.result.stacked = len(live)
    while stack is not None and live:
        number = live[0].fit.next_step
        started = time.perf_counter()
        try:
            losses = stack.step(number)
        except Exception:  # One by one, each meets what is wrong with itself alone.
            break
        if on_cuda and (number % CUDA_CHECK_EVERY == 0 or live[0].fit.is_evaluated_at(number)):
            # Members wait for their losses below: that is a part of the steps of all.
            torch.cuda.synchronize(live[0].fit.device)
        seconds = (time.perf_counter() - started) / len(live)
        for member, loss in zip(live, losses, strict=True):
            member.proceed(loss, seconds)
            if member.ended:
                yield member.place, member.outcome
        if any(member.ended for member in live):
            live = [member for member in live if not member.ended]
            stack = _stack_of(live)
            for member in live:
                member.fit.together = len(live)
    for member in live:
        member.fit.together = 1
        member.finish()
        yield member.place, member.outcome


class _Member:
    """A fit within a stack, with its own share of the numbers that torch's global generator gives."""

    def __init__(self, place: int, fit: FitUnderWay) -> None:
        self.place = place
        self.fit = fit
        self.raised: Exception | None = None
        self._devices = [fit.device] if fit.device.type == "cuda" else []
        self._random_states: tuple[Tensor, list[Tensor]] | None = None

    @property
    def ended(self) -> bool:
        return self.fit.ended or self.raised is not None

    @property
    def outcome(self) -> FitResult | Exception:
        return self.raised or self.fit.result

    def start(self) -> None:
        with self._alone():
            self.fit.start()

    def proceed(self, loss: Tensor | Exception, seconds: float) -> None:
        """Go on after a step, whose loss it was, or which raised."""
        if isinstance(loss, Exception):
            self.raised = loss
        elif self.fit.is_evaluated_at(self.fit.next_step):
            with self._alone():
                self.fit.proceed(loss, seconds)
        else:
            try:
                self.fit.proceed(loss, seconds)
            except Exception as error:
                self.raised = error

    def finish(self) -> None:
        """Take all steps that are left."""
        with self._alone():
            while not self.fit.ended:
                self.fit.take_step()

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Within it, random numbers are drawn as if there were no other fit; what is raised is kept."""
        with forked_generators(self.fit.device):
            if self._random_states is None:
                torch.manual_seed(self.fit.seeds.derive("training"))
            else:
                torch.set_rng_state(self._random_states[0])
                for device, state in zip(self._devices, self._random_states[1], strict=True):
                    torch.cuda.set_rng_state(state, device)
            try:
                yield
            except Exception as error:
                self.raised = error
            self._random_states = (torch.get_rng_state(), [torch.cuda.get_rng_state(it) for it in self._devices])


class _Loss(nn.Module):
    """The mean loss of a batch, as a module whose parameters and buffers are those of the model."""

    def __init__(self, model: nn.Module, problem: Problem) -> None:
        super().__init__()
        self.model = model
        self.problem = problem

    def forward(self, batch: Batch) -> Tensor:
        return self.problem.loss(self.model, batch).mean()


class Stack:
    """Takes the steps of several fits together; their models' parameters become views of stacked tensors.

    Args:
        steppers: of fits with the same problem but for its data, the same model but for its parameters and buffers, and
            the same size of batches; on one device.
    """

    def __init__(self, steppers: Sequence[Stepper]) -> None:
        self.steppers = steppers
        first = _Loss(steppers[0].model, steppers[0].problem)
        members = [_Loss(stepper.model, stepper.problem) for stepper in steppers]
        self._own = {name: [member.get_parameter(name) for member in members] for name, _ in first.named_parameters()}
        self._parameters: dict[str, Tensor] = {}
        self._views: dict[str, tuple[Tensor, ...]] = {}
        for name, own in self._own.items():
            stacked = torch.stack([parameter.detach() for parameter in own])
            self._views[name] = stacked.unbind()
            # Another tensor of the same memory: views of a leaf could not be written to.
            self._parameters[name] = stacked.detach().requires_grad_(own[0].requires_grad)
        self._bind()
        self._buffers = {
            name: torch.stack([member.get_buffer(name) for member in members]) for name, _ in first.named_buffers()
        }
        self._losses = vmap(
            lambda parameters, buffers, batch: functional_call(first, (parameters, buffers), (batch,)),
        )
        self._full: Batch | None = None

    def step(self, number: int) -> list[Tensor | Exception]:
        """Take a step of every fit, counted from 1. Returns their losses before it, or what one's optimiser raised.

        What else raises leaves parameters as they are, and the batches are still to come.
        """
        self._bind()
        drawn = [stepper.batches.next_batch() for stepper in self.steppers]
        try:
            with product_precision(self.steppers[0].training):
                for stepper in self.steppers:
                    stepper.begin(number)
                losses = self.backward(self.batches(drawn))
        except Exception:
            for stepper, index in zip(self.steppers, drawn, strict=True):
                stepper.batches.put_back(index)
            raise
        taken: list[Tensor | Exception] = []
        for stepper, loss in zip(self.steppers, losses.unbind(), strict=True):
            try:
                stepper.update(loss)
                taken.append(loss)
            except Exception as error:
                taken.append(error)
        return taken

    def _bind(self) -> None:
        """Make parameters views of the stacked ones, with the values that they have.

        An optimiser or an analysis may have given them other memory, as `vector_to_parameters` does.
        """
        for name, own in self._own.items():
            for parameter, view in zip(own, self._views[name], strict=True):
                if parameter.data_ptr() != view.data_ptr():
                    view.copy_(parameter.detach())
                    parameter.data = view

    def backward(self, batches: Batch) -> Tensor:
        """Set the gradient of every fit's parameters. Returns the mean losses, (members,), detached."""
        losses: Tensor = self._losses(self._parameters, self._buffers, batches)
        trained = {name: stacked for name, stacked in self._parameters.items() if stacked.requires_grad}
        found = torch.autograd.grad(losses.sum(), list(trained.values()), allow_unused=True)
        for name, gradients in zip(trained, found, strict=True):
            # Fused optimisers take gradients to lie in memory as their parameters do.
            views = [None] * len(self.steppers) if gradients is None else gradients.contiguous().unbind()
            for parameter, view in zip(self._own[name], views, strict=True):
                parameter.grad = view
        return losses.detach()

    def batches(self, drawn: Sequence[Index]) -> Batch:
        """The batches of all fits, stacked along a new first dimension; full ones are always the same."""
        if self._full is not None:
            return self._full
        each = [stepper.problem.batch(index) for stepper, index in zip(self.steppers, drawn, strict=True)]
        batches = {key: torch.stack([batch[key] for batch in each]) for key in each[0]}
        if all(stepper.batches.full for stepper in self.steppers):
            self._full = batches
        return batches


def _checked_stack(members: Sequence[_Member]) -> Stack | None:
    """A stack of fits, or None where it would not give what the single fits give."""
    steppers = [member.fit.stepper for member in members]
    if any(stepper.compiled or stepper.chunk < stepper.batches.size for stepper in steppers):
        return None
    with ExitStack() as restored:
        for stepper in steppers:
            restored.enter_context(unchanged(stepper.model))
        try:
            stack = _stack_of(members)
            return stack if stack is not None and _is_alike(stack) else None
        except Exception:  # What cannot be stacked, as a loss that draws random numbers, may raise anything.
            return None


def _stack_of(members: Sequence[_Member]) -> Stack | None:
    return Stack([member.fit.stepper for member in members]) if len(members) >= LEAST_MEMBERS else None


def _is_alike(stack: Stack) -> bool:
    """Whether models differ in parameters and buffers alone, and stacked losses and gradients are the single ones."""
    steppers = stack.steppers
    plain = _plain_attributes(steppers[0].model)
    if any(not _equal(_plain_attributes(stepper.model), plain) for stepper in steppers[1:]):
        return False
    before = torch.get_rng_state()
    indices = [stepper.batches.example(stepper.batches.size) for stepper in steppers]
    losses = stack.backward(stack.batches(indices))
    for stepper, index, loss in zip(steppers, indices, losses, strict=True):
        model = stepper.model
        stacked = _gradients(model)
        model.zero_grad(set_to_none=True)
        buffers = [(id(buffer), buffer._version) for buffer in model.buffers()]
        alone = stepper.backward(index)
        # What a step changes in a model beside its parameters would be lost.
        if buffers != [(id(buffer), buffer._version) for buffer in model.buffers()]:
            return False
        if not _equal(_plain_attributes(model), plain):
            return False
        single = _gradients(model)
        if stacked.keys() != single.keys():
            return False
        error, norm = (
            math.sqrt(sum(float(part.abs().square().sum()) for part in parts))
            for parts in ([stacked[name] - single[name] for name in single], single.values())
        )
        # Written so that NaN is no likeness.
        if not (error <= TOLERANCE * norm and abs(float(loss - alone)) <= TOLERANCE * abs(float(alone))):
            return False
    return torch.equal(before, torch.get_rng_state())


_OF_EVERY_MODULE = frozenset(vars(nn.Module()))


def _plain_attributes(model: nn.Module) -> dict[str, Any]:
    """What modules hold beside parameters, buffers and modules, as far as it is numbers, text and tensors."""
    return {
        f"{path}.{name}": value.clone() if isinstance(value, Tensor) else copy.copy(value)
        for path, module in model.named_modules()
        for name, value in vars(module).items()
        if name not in _OF_EVERY_MODULE
        and isinstance(value, int | float | complex | str | tuple | list | dict | Tensor)
    }


def _equal(one: Any, other: Any) -> bool:
    """Whether plain values are equal, also within containers; objects of other kinds are taken to be."""
    if type(one) is not type(other):
        return False
    if isinstance(one, Tensor):
        return one.shape == other.shape and torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(_equal(value, other[key]) for key, value in one.items())
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(_equal, one, other))
    return not isinstance(one, int | float | complex | str) or one == other


def _gradients(model: nn.Module) -> Mapping[str, Tensor]:
    return {name: parameter.grad for name, parameter in model.named_parameters() if parameter.grad is not None}
