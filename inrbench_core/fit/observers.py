"""Analyses during a fit: they see it at the moments that they ask for, and leave it as it was."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import nn

from inrbench_core.api.analysis import Analysis, FitState, Moment, Observation
from inrbench_core.api.problem import Problem
from inrbench_core.fit.chunks import unchanged
from inrbench_core.fit.hooks import set_progress
from inrbench_core.plugins.failures import one_line


@dataclass
class AnalysisResult:
    """What an analysis saw.

    Args:
        steps: optimiser steps done at each observation; with no steps, start and end are both at 0.
        observations: one for each of `steps`.
        error: why it ended before the fit, one line, or "".
    """

    steps: list[int] = field(default_factory=list)
    observations: list[Observation] = field(default_factory=list)
    error: str = ""


class Observers:
    """The analyses of one fit.

    Args:
        analyses: by the names that results call them.
        problem: what is fitted.
        state: of the fit, for the analyses.

    Attributes:
        results: what each saw, by name.
        seconds: time spent in all of them, in s.
    """

    def __init__(self, analyses: Mapping[str, Analysis], problem: Problem, state: FitState) -> None:
        self._analyses = analyses
        self._problem = problem
        self._state = state
        for analysis in analyses.values():
            analysis.fit = state
        self.results = {name: AnalysisResult() for name in analyses}
        self.seconds = 0.0

    def wants(self, *moments: Moment) -> bool:
        """Whether any analysis that has not failed declares one of these moments."""
        return any(self._moment_of(name, moments) for name in self._analyses)

    def observe(self, model: nn.Module, step: int, *moments: Moment) -> None:
        """Let the analyses look at the model; one that raises is not asked again.

        Args:
            model: is in the same mode afterwards, and its buffers and torch's generators are what they were; its
                gradients are None.
            step: optimiser steps done.
            moments: what this is a moment of; an analysis that declares several of them observes the last of those.
        """
        started = time.perf_counter()
        self._state.step = step
        for name, analysis in self._analyses.items():
            moment = self._moment_of(name, moments)
            if moment is None:
                continue
            result = self.results[name]
            try:
                observation = _checked(_look(analysis, model, self._problem, moment))
            except (Exception, SystemExit) as error:
                result.error = one_line(error)
            else:
                result.steps.append(step)
                result.observations.append(observation)
        self.seconds += time.perf_counter() - started

    def _moment_of(self, name: str, moments: tuple[Moment, ...]) -> Moment | None:
        declared = [] if self.results[name].error else [m for m in moments if m in self._analyses[name].moments]
        return declared[-1] if declared else None


def _look(analysis: Analysis, model: nn.Module, problem: Problem, moment: Moment) -> Observation:
    training = model.training
    with unchanged(model), torch.enable_grad():
        try:
            set_progress(model, 1.0)
            return analysis.observe(model.eval(), problem, moment)
        finally:
            model.train(training)


def _checked(observation: Observation) -> Observation:
    """The same, copied, in plain floats and numpy arrays. Raises TypeError or ValueError if it is not as documented."""
    if not isinstance(observation, Observation):
        raise TypeError(f"observe() returned a {type(observation).__name__}, not an Observation")
    metrics = {name: float(value) for name, value in observation.metrics.items()}
    curves = {name: np.array(curve) for name, curve in observation.curves.items()}
    arrays = {name: np.array(array) for name, array in observation.arrays.items()}
    for name, array in {**arrays, **curves}.items():
        if array.dtype.kind not in "biufc":
            raise TypeError(f"{name!r} is an array of {array.dtype}, not of numbers")
    for name, curve in curves.items():
        if curve.ndim != 1:
            raise ValueError(f"the curve {name!r} has {curve.ndim} dimensions, not one")
    preview = observation.preview
    if preview is not None:
        preview = np.array(preview)
        if preview.dtype != np.uint8 or preview.ndim != 3 or preview.shape[2] != 3:
            raise ValueError(f"the preview is {preview.dtype}, {preview.shape}; it has to be uint8, (height, width, 3)")
    return Observation(metrics, curves, arrays, preview)
