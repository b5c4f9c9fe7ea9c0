"""The loss that was stored with the last step, beside the loss of the stored weights.

The loss of a step is taken before its update. After a last step at a small rate it is therefore nearly the loss of the
stored weights, over the very samples that the step saw: those are drawn from the run's seed and can be drawn again.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from inrbench_core.api.problem import Problem, SeedStreams, grid_coords, predict
from inrbench_core.fit.batches import Batches
from inrbench_core.fit.device import model_device
from inrbench_core.fit.hooks import parameter_groups, set_progress
from inrbench_core.fit.precision import in_precision
from inrbench_core.fit.schedule import learning_rate
from inrbench_core.spec.training import TrainingSpec

# Elements at a time, in points.
CHUNK_POINTS = 8_192
# The last rate as a share of the first, up to which the last step is small enough.
SMALL_RATE = 0.05
# Honest fits stay within the one share of the loss, or within so many times what a step changes to first order.
SHARE, STEPS = 0.01, 3.0
# An optimiser with momentum moves a parameter by up to so many times its rate times the gradient.
MOMENTUM = 10.0
# How many times as closely all samples have to explain the stored loss as the training samples do: where the last step
# alone cannot explain the difference to these, and where it might.
EXPLAINED, CLEARLY_EXPLAINED = 4.0, 30.0
# Standard errors by which errors on held-out and on trained samples may differ if both were trained on.
SAME_ERRORS = 3.0
# Losses below it are rounding.
LEAST_LOSS = 1e-12


@dataclass(frozen=True)
class LastLoss:
    """The loss of the last step, three times.

    Args:
        stored: as the curve has it.
        trained: of the stored weights over the samples that the step saw by its seed; NaN where the loss is random.
        change: by how much the last step changed it at most, to first order, if each parameter moved by its rate, or
            by its rate times the gradient where that is more.
        everything: `trained`, if no sample had been held out; NaN where none is, or the task does not say which.
        gap: how much larger errors on held-out samples are than on trained ones, in standard errors of that.
        small: whether the last rate is small.
    """

    stored: float
    trained: float
    change: float
    everything: float
    gap: float
    small: bool

    @property
    def is_leaked(self) -> bool:
        """Whether all samples explain the stored loss, its training samples do not, and all errors are alike."""
        if not self.small or math.isnan(self.everything) or abs(self.gap) > SAME_ERRORS:
            return False
        factor = EXPLAINED if abs(self.stored - self.trained) > self.change else CLEARLY_EXPLAINED
        return self._distance(self.trained) > factor * self._distance(self.everything)

    @property
    def is_of_other_samples(self) -> bool:
        """Whether neither explains the stored loss."""
        if math.isnan(self.trained) or max(self.stored, self.trained) < LEAST_LOSS:
            return False
        return abs(self.stored - self.trained) > max(SHARE * self.trained, STEPS * self.change)

    def _distance(self, loss: float) -> float:
        return abs(math.log(max(self.stored, LEAST_LOSS) / max(loss, LEAST_LOSS)))


def last_loss(
    problem: Problem, model: nn.Module, training: TrainingSpec, seeds: SeedStreams, stored: float
) -> LastLoss:
    """Compute the loss of the last step again.

    Args:
        problem: as the record says.
        model: with the stored weights; it is left in eval mode.
        training: with at least one step.
        seeds: the run's random streams.
        stored: the last loss of the curve.
    """
    device = model_device(model)
    index = _last_batch(problem.elements, training, seeds, device)
    set_progress(model, (training.steps - 1) / training.steps)
    model.train()
    called = in_precision(model, training)
    again = _loss(problem, called, index, 1)
    model.zero_grad(set_to_none=True)
    trained = _loss(problem, called, index, 0)
    change = _last_change(problem, model, training)
    model.zero_grad(set_to_none=True)
    model.eval()
    if not math.isclose(trained, again, rel_tol=1e-4):
        trained = math.nan
    everything, gap = _without_mask(problem, model, training, seeds)
    set_progress(model, 1.0)
    small = learning_rate(training, training.steps - 1, 1.0) <= SMALL_RATE
    return LastLoss(stored, trained, change, everything, gap, small)


def _last_batch(elements: int, training: TrainingSpec, seeds: SeedStreams, device: torch.device) -> Tensor:
    batches = Batches(elements, training, seeds, device)
    if batches.full:
        return torch.arange(elements, device=device)
    for _ in range(training.steps):
        (index,) = batches.next_chunks(batches.size)
    assert isinstance(index, Tensor)
    return index


def _loss(problem: Problem, model: nn.Module, index: Tensor, seed: int) -> float:
    """The mean loss of some elements; its gradients are added to those of the model."""
    chunk = max(1, CHUNK_POINTS // problem.points_per_element)
    with torch.random.fork_rng(devices=[index.device] if index.is_cuda else []), torch.enable_grad():
        torch.manual_seed(seed)
        total = 0.0
        for part in torch.split(index, chunk):
            loss = problem.loss(model, problem.batch(part)).sum() / len(index)
            loss.backward()  # type: ignore[no-untyped-call]
            total += loss.item()
    return total


def _last_change(problem: Problem, model: nn.Module, training: TrainingSpec) -> float:
    """See `LastLoss.change`; the model has its gradients."""
    return sum(
        learning_rate(training, training.steps - 1, group["lr"])
        * float((parameter.grad.abs() * (MOMENTUM * parameter.grad.abs()).clamp(min=1.0)).sum())
        for group in parameter_groups(model, problem, training.lr)
        for parameter in group["params"]
        if parameter.grad is not None
    )


def _without_mask(
    problem: Problem, model: nn.Module, training: TrainingSpec, seeds: SeedStreams
) -> tuple[float, float]:
    """`everything` and `gap` of `LastLoss`."""
    shapes = list(problem.shapes.values())
    if len(shapes) != 1 or shapes[0].resolution is None:
        return math.nan, math.nan
    coords = grid_coords(shapes[0].resolution, model_device(model))
    is_trained, target = problem.is_trained(coords), problem.target(coords)
    if is_trained is None or target is None or bool(is_trained.all()):
        return math.nan, math.nan
    errors = (predict(model, coords) - target).square().mean(dim=1).double()
    index = _last_batch(len(coords), training, seeds, coords.device)
    held_out, trained = errors[~is_trained], errors[is_trained]
    error = float(errors.std()) * math.sqrt(1 / len(held_out) + 1 / max(1, len(trained)))
    return float(errors[index].mean()), float(held_out.mean() - trained.mean()) / max(error, LEAST_LOSS)
