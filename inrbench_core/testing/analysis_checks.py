"""Checks of analyses, which look at a fit and leave it as it is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast, get_args

import numpy as np
import torch
from torch import nn

from inrbench_core.api.analysis import Analysis, FitState, Moment, Observation
from inrbench_core.api.entries import AnalysisEntry
from inrbench_core.api.errors import InrbenchError
from inrbench_core.api.problem import Problem, SeedStreams
from inrbench_core.fit.loop import FitResult, fit
from inrbench_core.fit.observers import Observers
from inrbench_core.testing.outcome import Skipped, require
from inrbench_core.testing.small_runs import make_training, stand_in_model, stand_in_problem
from inrbench_core.testing.subject import Subject

PLANE = {"dimensions": 2}
OTHER_PROBLEMS: dict[str, dict[str, Any]] = {
    "one coordinate": {"dimensions": 1},
    "a truth that is not known": {"dimensions": 2, "known": False},
    "two fields": {"dimensions": 2, "fields": 2},
}
STEPS, EVALUATE_EVERY = 4, 2
MOMENTS = get_args(Moment)


def check_observes(subject: Subject) -> None:
    """At each moment it declares it gives an Observation: floats by declared names, numpy arrays, a uint8 preview."""
    observations = list(_observations(subject, stand_in_problem(**PLANE)))
    declared = {metric.name for metric in cast(AnalysisEntry, subject.entry).metrics}
    for moment, observation in observations:
        _require_plain(observation, moment)
        undeclared = sorted(set(observation.metrics) - declared)
        require(not undeclared, f"{moment}: metrics that the entry does not declare: {', '.join(undeclared)}")
    moment, last = observations[-1]
    missing = sorted(declared - set(last.metrics))
    require(not missing, f"{moment}: declared metrics are missing (NaN where undefined): {', '.join(missing)}")


def check_observes_other_problems(subject: Subject) -> None:
    """It copes with one coordinate, an unknown truth and several fields, or raises UnsupportedError or DataError."""
    refused = []
    for what, options in OTHER_PROBLEMS.items():
        try:
            for moment, observation in _observations(subject, stand_in_problem(**options)):
                _require_plain(observation, f"with {what}, {moment}")
        except InrbenchError as error:
            refused.append(f"{what} ({error})")
    if refused:
        raise Skipped(f"it does not analyse {'; '.join(refused)}")


def check_leaves_the_fit_alone(subject: Subject) -> None:
    """A fit with it ends bit for bit as without, and its problem holds the same data; it sees every step it should."""
    plain, _, _ = _fit(subject, with_it=False)
    problem = stand_in_problem(**PLANE)
    before = {name: tensor.clone() for name, tensor in problem.batch(slice(0, problem.elements)).items()}
    model, result, analysis = _fit(subject, with_it=True, problem=problem)
    seen = result.analyses["it"]
    require(not seen.error, f"observe() raised {seen.error}")
    for name, tensor in plain.state_dict().items():
        require(torch.equal(tensor, model.state_dict()[name]), f"{name} ends with other values than without it")
    for name, tensor in problem.batch(slice(0, problem.elements)).items():
        require(torch.equal(tensor, before[name]), f"it changes the problem's {name}")
    at = {"start": [0], "evaluation": list(range(EVALUATE_EVERY, STEPS + 1, EVALUATE_EVERY)), "end": [STEPS]}
    wanted = sorted({step for moment in analysis.moments for step in at[moment]})
    require(seen.steps == wanted, f"it observes after steps {seen.steps}, and declares moments at {wanted}")


def check_leaves_the_model_alone(subject: Subject) -> None:
    """Parameters, buffers and the training mode are as they were after it has looked, on the engine's terms."""
    problem = stand_in_problem(**PLANE)
    model = stand_in_model(problem).train()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    analysis = _build(subject)
    observers = Observers({"it": analysis}, problem, FitState(SeedStreams(0)))
    for moment in _in_order(analysis):
        observers.observe(model, 0, moment)
        for name, tensor in model.state_dict().items():
            require(torch.equal(tensor, before[name]), f"{moment}: it changes {name}")
        require(all(part.training for part in model.modules()), f"{moment}: it leaves a module in eval mode")
        require(all(p.requires_grad for p in model.parameters()), f"{moment}: it freezes a parameter")


def _build(subject: Subject) -> Analysis:
    analysis = subject.component.build()
    require(isinstance(analysis, Analysis), f"the target gives a {type(analysis).__name__}, not an Analysis")
    moments = analysis.moments
    require(bool(moments) and set(moments) <= set(MOMENTS), f"moments {set(moments)} should be of {set(MOMENTS)}")
    return cast(Analysis, analysis)


def _in_order(analysis: Analysis) -> list[Moment]:
    return [moment for moment in MOMENTS if moment in analysis.moments]


def _observations(subject: Subject, problem: Problem) -> Iterator[tuple[Moment, Observation]]:
    """What one instance sees of one model at each of its moments."""
    model, analysis = stand_in_model(problem).eval(), _build(subject)
    for moment in _in_order(analysis):
        observation = analysis.observe(model, problem, moment)
        given = type(observation).__name__
        require(isinstance(observation, Observation), f"{moment}: it gives a {given}, not an Observation")
        yield moment, observation


def _require_plain(observation: Observation, where: str) -> None:
    for name, value in observation.metrics.items():
        require(isinstance(value, float), f"{where}: {name} is a {type(value).__name__}, not a float")
    for name, array in {**observation.arrays, **observation.curves}.items():
        numbers = isinstance(array, np.ndarray) and array.dtype.kind in "biufc"
        require(numbers, f"{where}: {name} is not a numpy array of numbers")
    for name, curve in observation.curves.items():
        require(curve.ndim == 1, f"{where}: the curve {name} has {curve.ndim} dimensions, not one")
    preview = observation.preview
    if preview is not None:
        fits = preview.dtype == np.uint8 and preview.ndim == 3 and preview.shape[2] == 3
        require(fits, f"{where}: the preview is {preview.dtype}, {preview.shape}, not uint8, (height, width, 3)")


def _fit(subject: Subject, *, with_it: bool, problem: Problem | None = None) -> tuple[nn.Module, FitResult, Analysis]:
    """A short fit whose steps depend on torch's global generator, as dropout does."""
    problem = problem or stand_in_problem(**PLANE)
    model = nn.Sequential(stand_in_model(problem), nn.Dropout(0.2))
    analysis = _build(subject)
    training = make_training(subject.catalog, steps=STEPS, evaluate_every=EVALUATE_EVERY)
    analyses = {"it": analysis} if with_it else {}
    return model, fit(problem, model, training, seeds=SeedStreams(0), analyses=analyses), analysis
