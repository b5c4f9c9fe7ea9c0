"""The training loop: steps over chunks, with losses and gradients summed exactly."""

from __future__ import annotations

import math
import resource
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor, nn

from inrbench_core.api.executor import Progress
from inrbench_core.api.problem import Evaluation, Problem, SeedStreams
from inrbench_core.fit.batches import Batches
from inrbench_core.fit.chunks import chunk_elements, is_chunkable, measure_footprint
from inrbench_core.fit.compiling import compile_model, wants_compile
from inrbench_core.fit.schedule import learning_rate
from inrbench_core.fit.watch import Diverged, LossWatch, check_metrics, check_parameters
from inrbench_core.spec.training import TrainingSpec

PROGRESS_SECONDS = 0.1
# Looking at a loss on a GPU waits for it, so it is done only so often there.
CUDA_CHECK_EVERY = 10


@dataclass(frozen=True)
class CurvePoint:
    """One evaluation during training.

    Args:
        step: optimiser steps done.
        seconds: time spent training so far, in s.
        loss: mean loss per element of that step, before its update.
        metrics: the task's cheap metrics, after its update.
    """

    step: int
    seconds: float
    loss: float
    metrics: dict[str, float]


@dataclass
class FitResult:
    """What came of a fit.

    Args:
        status: ok or diverged.
        step: steps done; if diverged, the step at which it did.
        reason: why it is not ok.
        curve: evaluations during training.
        train_s: seconds in training steps; `compile_s` and `evaluate_s` likewise.
        compiled: whether torch.compile was used.
        chunk: elements a chunk.
        peak_memory_bytes: the most memory in use: of the allocator (CUDA), else of the process so far.
        evaluation: the final evaluation, or None if diverged.
    """

    status: Literal["ok", "diverged"] = "ok"
    step: int = 0
    reason: str = ""
    curve: list[CurvePoint] = field(default_factory=list)
    train_s: float = 0.0
    compile_s: float = 0.0
    evaluate_s: float = 0.0
    compiled: bool = False
    chunk: int = 0
    peak_memory_bytes: int = 0
    evaluation: Evaluation | None = None


def fit(
    problem: Problem,
    model: nn.Module,
    training: TrainingSpec,
    *,
    seeds: SeedStreams,
    on_progress: Callable[[Progress], None] | None = None,
) -> FitResult:
    """Train a model on a problem and evaluate it.

    Args:
        problem: data, loss and metrics.
        model: trained in place; on the problem's device.
        training: the budget.
        seeds: the run's random streams: minibatches are drawn from "sampling", what the model or the
            loss draw from torch's global generator comes from "training".
        on_progress: called about ten times a second, at each evaluation and at the end.

    Returns:
        the result; divergence is a status, not an exception.
    """
    device = next((parameter.device for parameter in model.parameters()), torch.device("cpu"))
    on_cuda = device.type == "cuda"
    if on_cuda:
        torch.cuda.reset_peak_memory_stats(device)
    with torch.random.fork_rng(devices=[device] if on_cuda else []):
        torch.manual_seed(seeds.derive("training"))
        run = _Fit(problem, model, training, seeds, on_progress or (lambda progress: None), device)
        try:
            run.train()
        except Diverged as diverged:
            run.result.status, run.result.step, run.result.reason = "diverged", diverged.step, str(diverged)
            run.result.evaluation = None
    run.result.peak_memory_bytes = _peak_memory(device)
    return run.result


class _Fit:
    """One fit under way; see `fit`."""

    def __init__(
        self,
        problem: Problem,
        model: nn.Module,
        training: TrainingSpec,
        seeds: SeedStreams,
        on_progress: Callable[[Progress], None],
        device: torch.device,
    ) -> None:
        self.problem = problem
        self.model = model.train()
        self.training = training
        self.on_progress = on_progress
        self.result = FitResult()
        self.batches = Batches(problem.elements, training, seeds, device)
        self.watch = LossWatch()
        self.check_every = CUDA_CHECK_EVERY if device.type == "cuda" else 1
        self.metrics: dict[str, float] = {}
        self.loss = math.nan
        self.fast = model
        if training.steps:
            self._choose_chunk(device)

    def train(self) -> None:
        """All steps, and the evaluations between and after them. Raises Diverged."""
        training, result = self.training, self.result
        if training.steps == 0:
            self._evaluate(full=True)
            self._report()
            return
        optimizer = make_optimizer(self.model, training)
        last_progress = time.perf_counter()
        for step in range(1, training.steps + 1):
            last = step == training.steps
            evaluate = last or (training.evaluate_every > 0 and step % training.evaluate_every == 0)
            started = time.perf_counter()
            self.watch.add(self._step(optimizer, learning_rate(training, step - 1)))
            result.step = step
            due = evaluate or started - last_progress > PROGRESS_SECONDS
            if due or len(self.watch.pending) >= self.check_every:
                self.loss = self.watch.check(step)
            result.train_s += time.perf_counter() - started
            if evaluate:
                self._evaluate(full=last)
                self._extend_curve()
            if due:
                self._report()
                last_progress = time.perf_counter()

    def _choose_chunk(self, device: torch.device) -> None:
        batches, result = self.batches, self.result
        footprint = measure_footprint(self.model, self.problem)
        most = chunk_elements(footprint, self.problem, device) if is_chunkable(self.model) else batches.size
        result.chunk = batches.even_chunk(most)
        if wants_compile(self.training, self.problem, self.model, batches.size, footprint, device.type):
            # Compiled code is made for one size; what is left over runs eagerly.
            uniform = batches.uniform_chunk(most)
            example = self.problem.batch(batches.example(uniform))
            compiled, result.compile_s = compile_model(self.model, self.problem, example)
            if compiled is not None:
                self.fast, result.compiled, result.chunk = compiled, True, uniform

    def _step(self, optimizer: torch.optim.Optimizer, lr: float) -> Tensor:
        """One optimiser step; returns the batch's mean loss, detached, on the device."""
        for group in optimizer.param_groups:
            group["lr"] = lr
        optimizer.zero_grad(set_to_none=True)
        losses = []
        for index in self.batches.next_chunks(self.result.chunk):
            count = index.stop - index.start if isinstance(index, slice) else len(index)
            model = self.fast if count == self.result.chunk else self.model
            loss = self.problem.loss(model, self.problem.batch(index)).sum() / self.batches.size
            loss.backward()  # type: ignore[no-untyped-call]
            losses.append(loss.detach())
        optimizer.step()
        return torch.stack(losses).sum()

    def _evaluate(self, *, full: bool) -> None:
        started = time.perf_counter()
        check_parameters(self.model, self.result.step)
        self.model.eval()
        with torch.no_grad():
            evaluation = self.problem.evaluate(self.model, full=full)
        self.model.train(not full)
        self.result.evaluate_s += time.perf_counter() - started
        check_metrics(self.metrics, evaluation.metrics, self.result.step)
        self.metrics = evaluation.metrics
        if full:
            self.result.evaluation = evaluation

    def _extend_curve(self) -> None:
        # The last evaluation may have more metrics than those before it, which belong to no curve.
        names = self.result.curve[0].metrics if self.result.curve else self.metrics
        metrics = {name: self.metrics[name] for name in names if name in self.metrics}
        self.result.curve.append(CurvePoint(self.result.step, self.result.train_s, self.loss, metrics))

    def _report(self) -> None:
        result = self.result
        self.on_progress(Progress(result.step, self.training.steps, result.train_s, self.loss, self.metrics))


def make_optimizer(model: nn.Module, training: TrainingSpec) -> torch.optim.Optimizer:
    """The optimiser of a training spec, fused where its kernels can: they know no complex numbers."""
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    fused = all(parameter.is_floating_point() for parameter in parameters)
    if training.optimizer == "sgd":
        return torch.optim.SGD(parameters, lr=training.lr, momentum=0.9, fused=fused, foreach=not fused)
    kind = torch.optim.AdamW if training.optimizer == "adamw" else torch.optim.Adam
    return kind(parameters, lr=training.lr, fused=fused, foreach=not fused)


def _peak_memory(device: torch.device) -> int:
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
