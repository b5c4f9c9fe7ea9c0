"""The training loop: steps, evaluations, analyses and what is reported of them."""

from __future__ import annotations

import math
import resource
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor, nn

from inrbench_core.api.analysis import Analysis, FitState, Moment
from inrbench_core.api.executor import Phase, Progress
from inrbench_core.api.problem import Evaluation, Problem, SeedStreams
from inrbench_core.fit.device import forked_generators, model_device
from inrbench_core.fit.hooks import set_progress
from inrbench_core.fit.observers import AnalysisResult, Observers
from inrbench_core.fit.stepping import Stepper
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
        loss: mean loss per element of that step, before its update and without regularisation.
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
        train_s: seconds in training steps; of steps that fits took together, this one's share. `compile_s`,
            `evaluate_s` and `analyse_s` likewise.
        compiled: whether torch.compile was used.
        stacked: how many fits, this one included, took the first step together.
        chunk: elements a chunk.
        peak_memory_bytes: the most memory in use: of the allocator (CUDA), else of the process so far.
        evaluation: the final evaluation, or None if diverged.
        analyses: what each analysis saw, by name.
    """

    status: Literal["ok", "diverged"] = "ok"
    step: int = 0
    reason: str = ""
    curve: list[CurvePoint] = field(default_factory=list)
    train_s: float = 0.0
    compile_s: float = 0.0
    evaluate_s: float = 0.0
    analyse_s: float = 0.0
    compiled: bool = False
    stacked: int = 1
    chunk: int = 0
    peak_memory_bytes: int = 0
    evaluation: Evaluation | None = None
    analyses: dict[str, AnalysisResult] = field(default_factory=dict)


def fit(
    problem: Problem,
    model: nn.Module,
    training: TrainingSpec,
    *,
    seeds: SeedStreams,
    analyses: Mapping[str, Analysis] | None = None,
    on_progress: Callable[[Progress], None] | None = None,
) -> FitResult:
    """Train a model on a problem and evaluate it.

    Args:
        problem: data, loss and metrics.
        model: trained in place; on the problem's device.
        training: the budget.
        seeds: the run's random streams: minibatches are drawn from "sampling", what the model or the
            loss draw from torch's global generator comes from "training".
        analyses: observe the fit, by name; it is the same with and without them, and one that raises ends alone.
        on_progress: called at the start of each phase, about ten times a second, at each evaluation and at the end.

    Returns:
        the result; divergence is a status, not an exception.

    Raises:
        ValueError: if the model's parameter groups are not such, or it has nothing to train.
        UnsupportedError: if the training's precision cannot be had on this device, for this problem and model.
    """
    return FitUnderWay(
        problem, model, training, seeds, analyses or {}, on_progress or (lambda progress: None)
    ).carry_out()


class FitUnderWay:
    """A fit that waits for each of its training steps to be taken; see `fit` for the arguments.

    Attributes:
        stepper: takes the steps; there is none before `start`, and none where no steps are planned.
        result: complete when the fit has ended.
        ended: whether it has ended, well or diverged.
        next_step: the step that it waits for, counted from 1.
        together: how many fits, this one included, take their steps together.
    """

    def __init__(
        self,
        problem: Problem,
        model: nn.Module,
        training: TrainingSpec,
        seeds: SeedStreams,
        analyses: Mapping[str, Analysis],
        on_progress: Callable[[Progress], None],
    ) -> None:
        self.problem = problem
        self.model = model.train()
        self.training = training
        self.seeds = seeds
        self.device = model_device(model)
        self.on_progress = on_progress
        self.state = FitState(seeds, training.steps)
        self.observers = Observers(analyses, problem, self.state)
        self.result = FitResult(analyses=self.observers.results)
        self.watch = LossWatch()
        self.check_every = CUDA_CHECK_EVERY if self.device.type == "cuda" else 1
        self.metrics: dict[str, float] = {}
        self.loss = math.nan
        self.peak_memory = 0
        self.ended = False
        self.next_step = 0
        self.last_progress = 0.0
        self.together = 1

    def carry_out(self) -> FitResult:
        """All of it, alone: with torch's generators seeded for this fit, and left as they were."""
        if self.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self.device)
        with forked_generators(self.device):
            torch.manual_seed(self.seeds.derive("training"))
            self.start()
            while not self.ended:
                self.take_step()
        return self.result

    def start(self) -> None:
        """All that comes before the first step."""
        self._report("preparing")
        if self.training.steps:
            self.stepper = self._prepare()
        self._observe("start")
        if self.training.steps:
            self._report("training")
            self.last_progress = time.perf_counter()
            self.next_step = 1
            return
        with self._ending_where_diverged():
            self._evaluate(full=True)
            self._report("evaluating")
        self._end()

    def is_evaluated_at(self, step: int) -> bool:
        """Whether the model is evaluated after a step, counted from 1."""
        every = self.training.evaluate_every
        return step == self.training.steps or (every > 0 and step % every == 0)

    def take_step(self) -> None:
        """Take the next step, and all that comes after it."""
        started = time.perf_counter()
        loss = self.stepper.step(self.next_step)
        self.proceed(loss, time.perf_counter() - started)

    def proceed(self, loss: Tensor, seconds: float) -> None:
        """All that comes after a step and before the next one.

        Args:
            loss: of the step that was taken, see `Stepper.step`.
            seconds: what it took.
        """
        with self._ending_where_diverged():
            self._follow_step(loss, seconds)
        self.next_step += 1
        if self.next_step > self.training.steps and not self.ended:
            self._end()

    def _follow_step(self, loss: Tensor, seconds: float) -> None:
        result, step = self.result, self.next_step
        last, evaluate = step == self.training.steps, self.is_evaluated_at(step)
        started = time.perf_counter()
        self.watch.add(loss)
        result.step = step
        due = evaluate or started - self.last_progress > PROGRESS_SECONDS
        if due or len(self.watch.pending) >= self.check_every:
            self.loss = self.watch.check(step)
        result.train_s += seconds + time.perf_counter() - started
        if evaluate:
            self._evaluate(full=last)
        if due:
            self._report("evaluating" if last else "training")
            self.last_progress = time.perf_counter()

    @contextmanager
    def _ending_where_diverged(self) -> Iterator[None]:
        try:
            yield
        except Diverged as diverged:
            self.result.status, self.result.step, self.result.reason = "diverged", diverged.step, str(diverged)
            self.result.evaluation = None
            self._end()

    def _end(self) -> None:
        self.ended = True
        self.result.analyse_s = self.observers.seconds
        self.result.peak_memory_bytes = max(self.peak_memory, _peak_memory(self.device))

    def _prepare(self) -> Stepper:
        stepper = Stepper(self.problem, self.model, self.training, self.seeds, lambda: self._report("compiling"))
        self.result.chunk = stepper.chunk
        self.result.compiled, self.result.compile_s = stepper.compiled, stepper.compile_s
        self.state.batch, self.state.optimizer = stepper.batches.size, stepper.optimizer
        self.state.learning_rate = stepper.learning_rate
        return stepper

    def _evaluate(self, *, full: bool) -> None:
        """Evaluate, add to the curve where there is one, and let analyses observe; the full evaluation is the last."""
        result = self.result
        if full:
            self._report("evaluating")
        started = time.perf_counter()
        check_parameters([*self.model.parameters(), *self.problem.parameters().values()], result.step)
        set_progress(self.model, 1.0)
        self.model.eval()
        with torch.no_grad():
            evaluation = self.problem.evaluate(self.model, full=full)
        self.model.train(not full)
        result.evaluate_s += time.perf_counter() - started
        check_metrics(self.metrics, evaluation.metrics, result.step)
        self.metrics = evaluation.metrics
        if full:
            result.evaluation = evaluation
        if result.step:
            self._extend_curve()
        self._observe(*(("evaluation", "end") if full else ("evaluation",)))

    def _extend_curve(self) -> None:
        # The last evaluation may have more metrics than those before it, which belong to no curve.
        names = self.result.curve[0].metrics if self.result.curve else self.metrics
        metrics = {name: self.metrics[name] for name in names if name in self.metrics}
        self.result.curve.append(CurvePoint(self.result.step, self.result.train_s, self.loss, metrics))

    def _observe(self, *moments: Moment) -> None:
        if not self.observers.wants(*moments):
            return
        # The peak is that of the fit: what analyses take is left out where the allocator can tell.
        self.peak_memory = max(self.peak_memory, _peak_memory(self.device))
        self.observers.observe(self.model, self.result.step, *moments)
        # Other fits of a stack have yet to read the peak.
        if self.device.type == "cuda" and self.together == 1:
            torch.cuda.reset_peak_memory_stats(self.device)

    def _report(self, phase: Phase) -> None:
        result, steps = self.result, self.training.steps
        progress = Progress(result.step, steps, result.train_s, self.loss, self.metrics, phase, self.together)
        self.on_progress(progress)


def _peak_memory(device: torch.device) -> int:
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
