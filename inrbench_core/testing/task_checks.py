"""Checks of tasks."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from inrbench_core.api.components import FieldShape
from inrbench_core.api.entries import TaskEntry
from inrbench_core.api.problem import Batch, Evaluation, Problem, SeedStreams
from inrbench_core.fit.loop import fit
from inrbench_core.testing.outcome import Skipped, require
from inrbench_core.testing.small_runs import make_training
from inrbench_core.testing.subject import Subject

ELEMENTS = 12
FIT_BATCH, MOST_COMPARED = 256, 65_536


def check_prepares(subject: Subject) -> None:
    """A problem has shapes, elements and a record of plain values."""
    problem = subject.problem
    require(isinstance(problem, Problem), f"prepare gives a {type(problem).__name__}, not a Problem")
    require(bool(problem.shapes), "the problem needs no field")
    for name, shape in problem.shapes.items():
        require(isinstance(shape, FieldShape), f"shapes[{name!r}] is a {type(shape).__name__}, not a FieldShape")
        fits = shape.resolution is None or len(shape.resolution) == shape.in_features
        require(fits, f"shapes[{name!r}]: resolution {shape.resolution} for {shape.in_features} coordinates")
    require(problem.elements > 0, f"it has {problem.elements} elements")
    for key, value in problem.record.items():
        require(isinstance(value, str | int | float), f"record[{key!r}] is a {type(value).__name__}")
    for name, parameter in problem.parameters().items():
        require(isinstance(parameter, nn.Parameter), f"parameters()[{name!r}] is a {type(parameter).__name__}")


def check_batches(subject: Subject) -> None:
    """A slice and the same elements by number give the same tensors."""
    problem = subject.problem
    count = min(ELEMENTS, problem.elements)
    by_slice, by_number = problem.batch(slice(0, count)), problem.batch(torch.arange(count))
    require(by_slice.keys() == by_number.keys(), f"a slice gives {list(by_slice)}, numbers give {list(by_number)}")
    for name, tensor in by_slice.items():
        same = torch.equal(tensor, by_number[name])
        require(same, f"{name}: the slice 0 to {count} and the numbers 0 to {count} give other values")


def check_loss(subject: Subject) -> None:
    """The loss is one finite number for each element, and its gradient reaches every field."""
    problem = subject.problem
    model, count = stand_in(problem), min(ELEMENTS, problem.elements)
    loss = problem.loss(model, problem.batch(slice(0, count)))
    require(tuple(loss.shape) == (count,), f"{count} elements give a loss of shape {tuple(loss.shape)}")
    require(bool(torch.isfinite(loss).all()), "the loss is not finite")
    loss.sum().backward()  # type: ignore[no-untyped-call]
    for name, parameter in model.named_parameters():
        gradient = parameter.grad
        finite = gradient is not None and bool(torch.isfinite(gradient).all())
        # A loss on derivatives leaves the last bias alone.
        require(finite or (problem.differentiates and name.endswith("bias")), f"no finite gradient reaches {name}")


def check_loss_adds_over_chunks(subject: Subject) -> None:
    """The losses of two halves of a batch are those of the whole."""
    problem = subject.problem
    model, count = stand_in(problem), min(ELEMENTS, problem.elements)
    whole = _loss(problem, model, 0, count)
    halves = torch.cat([_loss(problem, model, 0, count // 2), _loss(problem, model, count // 2, count)])
    error = (whole - halves).abs().max().item()
    require(error <= 1e-4 * max(whole.abs().max().item(), 1e-6), f"two halves change the loss by {error:.2g}")


def check_evaluates(subject: Subject) -> None:
    """A full evaluation has all declared metrics and no others, and a preview of the truth's size."""
    problem = subject.problem
    evaluation = problem.evaluate(stand_in(problem).eval(), full=True)
    declared = {metric.name for metric in _entry(subject).metrics}
    require(set(evaluation.metrics) == declared, f"declared {sorted(declared)}, got {sorted(evaluation.metrics)}")
    _require_floats(evaluation)
    if evaluation.preview is not None:
        truth = problem.truth()
        require(evaluation.preview.dtype == "uint8", f"the preview is {evaluation.preview.dtype}, not uint8")
        same = evaluation.preview.shape == truth.shape
        require(same, f"the preview is {evaluation.preview.shape}, the truth {truth.shape}")


def check_evaluates_along_the_curve(subject: Subject) -> None:
    """An evaluation along the curve has the primary metric, and none that is not declared."""
    problem = subject.problem
    metrics = problem.evaluate(stand_in(problem).eval(), full=False).metrics
    primary = _entry(subject).primary.name
    require(primary in metrics, f"full=False leaves out the primary metric {primary}")
    declared = {metric.name for metric in _entry(subject).metrics}
    require(set(metrics) <= declared, f"metrics that are not declared: {sorted(set(metrics) - declared)}")


def check_baselines(subject: Subject) -> None:
    """Each declared baseline answers with the primary metric, and a model can be measured after it.

    Those whose extra is not installed are left out here and elsewhere.
    """
    entry = _entry(subject)
    if not entry.baselines:
        raise Skipped("it declares no baselines")
    problem = subject.problem
    for name in baselines_at_hand(entry):
        evaluation = problem.baseline(name)
        require(entry.primary.name in evaluation.metrics, f"baseline {name} lacks {entry.primary.name}")
        undeclared = set(evaluation.metrics) - {metric.name for metric in entry.metrics}
        require(not undeclared, f"baseline {name} has metrics that are not declared: {sorted(undeclared)}")
        _require_floats(evaluation)


def check_same_seed_same_data(subject: Subject) -> None:
    """Prepared twice with one seed, whatever torch's own generator has drawn, the data are the same."""
    problems = []
    for state in (1, 2):
        torch.manual_seed(state)
        problems.append(subject.prepare())
    count = min(problem.elements for problem in problems)
    require(problems[0].elements == problems[1].elements, "the number of elements differs")
    one, two = (problem.batch(slice(0, count)) for problem in problems)
    for name in one:
        require(torch.equal(one[name], two[name]), f"{name} differs between two preparations with one seed")


def check_fits_leave_it_alone(subject: Subject) -> None:
    """After a short fit its batches and its baselines are bit for bit what they were."""
    problem = subject.prepare()
    if problem.parameters():
        raise Skipped("it has parameters that are trained beside the model, so it is prepared anew for each run")
    before = _state(subject, problem)
    training = make_training(subject.catalog, steps=3, evaluate_every=1, batch=min(FIT_BATCH, problem.elements))
    fit(problem, stand_in(problem), training, seeds=SeedStreams(0))
    for name, value in _state(subject, problem).items():
        same = torch.equal(value, before[name])
        require(same, f"{name} is not what it was before a fit: the next fit with this problem gets another one")


def stand_in(problem: Problem) -> nn.Module:
    """A smooth little network for each field the problem needs; no plugin is needed for it."""
    torch.manual_seed(0)
    fields: dict[str, nn.Module] = {
        name: nn.Sequential(nn.Linear(shape.in_features, 16), nn.Tanh(), nn.Linear(16, shape.out_features))
        for name, shape in problem.shapes.items()
    }
    return next(iter(fields.values())) if len(fields) == 1 else nn.ModuleDict(fields)


def _state(subject: Subject, problem: Problem) -> dict[str, Tensor]:
    """What a problem gives: its first elements and the metrics of its baselines."""
    batch = problem.batch(slice(0, min(MOST_COMPARED, problem.elements)))
    state = {f"batch()[{name!r}]": tensor.clone() for name, tensor in batch.items()}
    for name in baselines_at_hand(_entry(subject)):
        metrics = problem.baseline(name).metrics
        state[f"baseline({name!r})"] = torch.tensor(list(metrics.values()), dtype=torch.float64).nan_to_num(nan=-1.0)
    return state


def baselines_at_hand(entry: TaskEntry) -> list[str]:
    """The baselines of a task but for those that need an extra which is not installed."""
    return [name for name in entry.baselines if not entry.lacking(name)]


def _loss(problem: Problem, model: nn.Module, start: int, stop: int) -> Tensor:
    batch: Batch = problem.batch(slice(start, stop))
    return problem.loss(model, batch).detach()


def _entry(subject: Subject) -> TaskEntry:
    return cast(TaskEntry, subject.entry)


def _require_floats(evaluation: Evaluation) -> None:
    for name, value in evaluation.metrics.items():
        require(isinstance(value, float), f"{name} is a {type(value).__name__}, not a float")
