"""The training loop: steps over chunks, with losses summed exactly."""

from __future__ import annotations

import math
import resource
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor, nn

from inrbench_core.api.executor import Progress
from inrbench_core.api.problem import Batch, Evaluation, Index, Problem, SeedStreams
from inrbench_core.fit.chunks import chunk_elements
from inrbench_core.fit.compiling import compile_model, wants_compile
from inrbench_core.fit.schedule import learning_rate
from inrbench_core.spec.training import TrainingSpec

PROGRESS_SECONDS = 0.1
# Looking at a loss on a GPU waits for it, so it is done only so often there.
CUDA_CHECK_EVERY = 10


@dataclass(frozen=True)
class CurvePoint:
    """One evaluation during training: seconds of training so far, mean loss, cheap metrics."""

    step: int
    seconds: float
    loss: float
    metrics: dict[str, float]


@dataclass
class FitResult:
    """What came of a fit.

    Args:
        status: ok, or diverged: a loss is not finite.
        step: steps done; if diverged, the step at which it was found.
        reason: why it is not ok.
        curve: evaluations during training.
        train_s: seconds in training steps; `compile_s` and `evaluate_s` likewise.
        compiled: whether torch.compile was used.
        chunk: elements a chunk.
        peak_memory_bytes: most memory in use: of the process (CPU) or the allocator (CUDA).
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


class _Diverged(Exception):
    def __init__(self, step: int, reason: str) -> None:
        super().__init__(reason)
        self.step = step


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
        seeds: the run's random streams; minibatches are drawn from "sampling".
        on_progress: called about ten times a second and at each evaluation.

    Returns:
        the result; divergence is a status, not an exception.
    """
    result = FitResult()
    device = next(model.parameters()).device
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    try:
        _train(problem, model, training, seeds, on_progress or (lambda progress: None), device, result)
    except _Diverged as diverged:
        result.status, result.step, result.reason = "diverged", diverged.step, str(diverged)
    if result.status == "ok":
        started = time.perf_counter()
        result.evaluation = _evaluate(problem, model, full=True)
        result.evaluate_s += time.perf_counter() - started
    result.peak_memory_bytes = _peak_memory(device)
    return result


class _Batches:
    """Indices of each step: the whole as one, or parts of a seeded permutation per pass."""

    def __init__(self, problem: Problem, training: TrainingSpec, seeds: SeedStreams, device: torch.device) -> None:
        self.elements = problem.elements
        self.full = training.batch == "full" or int(training.batch) >= problem.elements
        self.size = self.elements if self.full else int(training.batch)
        self.generator = seeds.generator("sampling")
        self.device = device
        self.permutation = torch.empty(0, dtype=torch.int64)

    def next(self) -> Tensor | None:
        """The next batch's indices, or None for the whole."""
        if self.full:
            return None
        if len(self.permutation) < self.size:
            # What is left of a pass is too small a batch: it is left out, as most loaders do.
            self.permutation = torch.randperm(self.elements, generator=self.generator).to(self.device)
        index, self.permutation = self.permutation[: self.size], self.permutation[self.size :]
        return index

    def chunks(self, index: Tensor | None, chunk: int) -> Iterator[Index]:
        """The parts of a batch."""
        for start in range(0, self.size, chunk):
            part = slice(start, min(start + chunk, self.size))
            yield part if index is None else index[part]


def _train(
    problem: Problem,
    model: nn.Module,
    training: TrainingSpec,
    seeds: SeedStreams,
    on_progress: Callable[[Progress], None],
    device: torch.device,
    result: FitResult,
) -> None:
    batches = _Batches(problem, training, seeds, device)
    result.chunk = chunk_elements(model, problem, batches.size, device)
    fast = model
    if wants_compile(training, problem, model, batches.size, device.type):
        compiled, result.compile_s = compile_model(model, problem.loss, _samples(problem, batches, result.chunk))
        fast, result.compiled = (model, False) if compiled is None else (compiled, True)
    optimizer = _make_optimizer(model, training)
    pending: list[Tensor] = []
    check_every = CUDA_CHECK_EVERY if device.type == "cuda" else 1
    metrics: dict[str, float] = {}
    last_progress = time.perf_counter()
    model.train()
    for step in range(1, training.steps + 1):
        started = time.perf_counter()
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(training, step - 1)
        pending.append(_step(problem, fast, optimizer, batches, result.chunk))
        evaluate = step == training.steps or (training.evaluate_every and step % training.evaluate_every == 0)
        loss = math.nan
        if evaluate or len(pending) >= check_every:
            loss = _check_losses(pending, step)
        result.train_s += time.perf_counter() - started
        result.step = step
        if evaluate:
            started = time.perf_counter()
            metrics = _evaluate(problem, model, full=False).metrics
            result.evaluate_s += time.perf_counter() - started
            result.curve.append(CurvePoint(step, result.train_s, loss, metrics))
            model.train()
        now = time.perf_counter()
        if evaluate or (not math.isnan(loss) and now - last_progress > PROGRESS_SECONDS):
            on_progress(Progress(step, training.steps, result.train_s, loss, metrics))
            last_progress = now


def _step(
    problem: Problem, model: nn.Module, optimizer: torch.optim.Optimizer, batches: _Batches, chunk: int
) -> Tensor:
    """One optimiser step; returns the batch's mean loss, detached, on the device."""
    optimizer.zero_grad(set_to_none=True)
    index = batches.next()
    total: Tensor | None = None
    for part in batches.chunks(index, chunk):
        loss = problem.loss(model, problem.batch(part)).sum() / batches.size
        loss.backward()  # type: ignore[no-untyped-call]
        total = loss.detach() if total is None else total + loss.detach()
    optimizer.step()
    assert total is not None
    return total


def _check_losses(pending: list[Tensor], step: int) -> float:
    """The last loss; raises _Diverged at the first that is not finite. Empties the list."""
    losses = torch.stack(pending).tolist()
    pending.clear()
    for offset, loss in enumerate(losses):
        if not math.isfinite(loss):
            at = step - len(losses) + 1 + offset
            raise _Diverged(at, f"the loss is not finite at step {at}")
    return float(losses[-1])


def _make_optimizer(model: nn.Module, training: TrainingSpec) -> torch.optim.Optimizer:
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    # The fused kernels know no complex numbers.
    fused = all(parameter.is_floating_point() for parameter in parameters)
    if training.optimizer == "sgd":
        return torch.optim.SGD(parameters, lr=training.lr, momentum=0.9, fused=fused)
    kind = torch.optim.AdamW if training.optimizer == "adamw" else torch.optim.Adam
    return kind(parameters, lr=training.lr, fused=fused)


def _samples(problem: Problem, batches: _Batches, chunk: int) -> list[Batch]:
    """A batch of each size that training will use, with the kind of index it will use."""
    sizes = dict.fromkeys((min(chunk, batches.size), (batches.size - 1) % chunk + 1))
    if batches.full:
        return [problem.batch(slice(0, size)) for size in sizes]
    return [problem.batch(torch.arange(size, device=batches.device)) for size in sizes]


def _evaluate(problem: Problem, model: nn.Module, *, full: bool) -> Evaluation:
    model.eval()
    with torch.no_grad():
        return problem.evaluate(model, full=full)


def _peak_memory(device: torch.device) -> int:
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
