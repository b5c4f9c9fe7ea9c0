"""What an analysis implements: it observes a fit at chosen moments and takes no part in it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import numpy as np
from torch import nn

from inrbench_core.api.problem import Problem
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


class Analysis(ABC):
    """Measures something of a fit. One instance observes one fit, and may keep what it saw at its start.

    Attributes:
        moments: when it wants to observe: "start" (before the first step), "evaluation" (at each evaluation along
            the curve, the last included), "end" (after the last step). The last evaluation is also the end: one
            that declares both observes the end only. With no steps, start and end are the same moment, and both are
            observed.
    """

    moments: ClassVar[frozenset[Moment]] = frozenset({"end"})

    def __init__(self, spec: ComponentSpec) -> None:
        self.spec = spec

    @abstractmethod
    def observe(self, model: nn.Module, problem: Problem, moment: Moment) -> Observation:
        """Look at the model, which is in eval mode, with gradients enabled.

        It must not change parameters or the problem. The state of torch's global generator, buffers and gradients
        are put back afterwards, so that a fit is the same with and without analyses. An exception ends this
        analysis, not the run.
        """
