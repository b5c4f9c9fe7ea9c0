"""What an analysis implements: it observes a fit at chosen moments and takes no part in it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import torch
from torch import nn

from inrbench_core.api.problem import Problem, SeedStreams
from inrbench_core.api.spec import ComponentSpec

Moment = Literal["start", "evaluation", "end"]


@dataclass(frozen=True)
class Observation:
    """What an analysis saw at one moment.

    Args:
        metrics: figures by the names that the entry declares; NaN where one is not defined.
        curves: one-dimensional arrays to plot against each other, such as a spectrum.
        arrays: any other arrays to keep.
        preview: a picture, uint8, (height, width, 3), or None.
    """

    metrics: Mapping[str, float] = field(default_factory=dict)
    curves: Mapping[str, np.ndarray[Any, Any]] = field(default_factory=dict)
    arrays: Mapping[str, np.ndarray[Any, Any]] = field(default_factory=dict)
    preview: np.ndarray[Any, Any] | None = None


@dataclass
class FitState:
    """The fit that an analysis observes. The engine keeps `step` up to date; nothing in it may be changed.

    Args:
        seeds: the run's random streams.
        steps: optimiser steps of the whole fit.
        batch: training elements of a step; 0 if there are no steps.
        optimizer: with its state, such as Adam's second moments; None if there are no steps.
        learning_rate: the rate of a step, counted from 0, of parameters without a rate of their own.
        step: optimiser steps done.
    """

    seeds: SeedStreams
    steps: int = 0
    batch: int = 0
    optimizer: torch.optim.Optimizer | None = None
    learning_rate: Callable[[int], float] = lambda step: 0.0
    step: int = 0


class Analysis(ABC):
    """Measures something of a fit. One instance observes one fit, and may keep what it saw at its start.

    Attributes:
        moments: when it wants to observe: "start" (before the first step), "evaluation" (at each evaluation along
            the curve, the last included), "end" (after the last step). The last evaluation is also the end: one
            that declares both observes the end only. With no steps, start and end are the same moment, and both are
            observed. An instance may set its own.
        fit: the fit that it observes; set before the first observation.
    """

    moments: frozenset[Moment] = frozenset({"end"})

    def __init__(self, spec: ComponentSpec) -> None:
        self.spec = spec
        self.fit = FitState(SeedStreams(0))

    @abstractmethod
    def observe(self, model: nn.Module, problem: Problem, moment: Moment) -> Observation:
        """Look at the model, which is in eval mode, with gradients enabled.

        It must not change parameters or the problem. The state of torch's global generator, buffers and gradients
        are put back afterwards, so that a fit is the same with and without analyses. An exception ends this
        analysis, not the run.
        """
