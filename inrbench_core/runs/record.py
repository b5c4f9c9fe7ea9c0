"""What is known of a run after it has ended, well or not. Imports no torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import Any, Literal

import numpy as np

Status = Literal["ok", "diverged", "failed", "interrupted"]
STATUSES: tuple[Status, ...] = ("ok", "diverged", "failed", "interrupted")
Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class RunArrays:
    """The arrays of a run.

    Args:
        curve: columns step, seconds, loss and the metrics, of equal length.
        outputs: the task's named arrays.
        weights: the trained model's state.
        parameters: what the problem trained beside the model.
        preview: picture of the outputs, uint8 (height, width, 3), or None.
        truth: the picture of a perfect answer, or None.
        analyses: by analysis: `steps`, (moments,), and each observation's arrays as "NAME/NUMBER OF THE MOMENT".
    """

    curve: Mapping[str, Array] = field(default_factory=dict)
    outputs: Mapping[str, Array] = field(default_factory=dict)
    weights: Mapping[str, Array] = field(default_factory=dict)
    parameters: Mapping[str, Array] = field(default_factory=dict)
    preview: Array | None = None
    truth: Array | None = None
    analyses: Mapping[str, Mapping[str, Array]] = field(default_factory=dict)


@dataclass(frozen=True)
class RunRecord:
    """The result of one run. Its arrays are read when they are first asked for.

    Args:
        run: the run as `Run.to_data` gives it.
        status: ok, diverged (non-finite loss or metric), failed (exception), interrupted.
        message: why it is not ok, in one line.
        traceback: the whole traceback of a failure.
        step: optimiser steps done; for a diverged run, the step at which it was found.
        metrics: the final metrics, unrounded; those of analyses are called NAME.METRIC.
        declared: the metrics of the task and of the analyses, the task's primary one first: mappings, as
            `Metric.to_data` gives them.
        rank_by: the metric that ranks where it is defined.
        baseline: whether it is a measure for the others.
        parameters: trainable parameters; a complex one counts as two.
        values: how many values the signal has; 0 where it has no grid.
        width: the width that a parameter budget was solved to, or None.
        flops: estimate of the floating-point operations of the whole training; 0 if unknown.
        times: seconds by phase: prepare, train, compile, evaluate, analyse, total.
        peak_memory_bytes: of the process (CPU) or of the allocator (CUDA).
        compiled: whether torch.compile was used.
        stacked: how many fits, this one included, took their steps together at the start; 1: it was alone.
        data: facts about the task's data: source, licence, scaling.
        environment: versions and machine.
        frame: the problem's frame, as `Frame.to_data` gives it.
        problems: what went wrong beside the fit: an analysis or a preview that raised, one line each.
        read_arrays: reads the arrays.
    """

    run: Mapping[str, Any]
    status: Status
    message: str = ""
    traceback: str = ""
    step: int = 0
    metrics: Mapping[str, float] = field(default_factory=dict)
    declared: tuple[Mapping[str, Any], ...] = ()
    rank_by: str = ""
    baseline: bool = False
    parameters: int = 0
    values: int = 0
    width: int | None = None
    flops: float = 0.0
    times: Mapping[str, float] = field(default_factory=dict)
    peak_memory_bytes: int = 0
    compiled: bool = False
    stacked: int = 1
    data: Mapping[str, Any] = field(default_factory=dict)
    environment: Mapping[str, Any] = field(default_factory=dict)
    frame: Mapping[str, Any] = field(default_factory=dict)
    problems: tuple[str, ...] = ()
    read_arrays: Callable[[], RunArrays] = field(default=RunArrays, compare=False, repr=False)

    @cached_property
    def arrays(self) -> RunArrays:
        """The arrays. Raises InrbenchError if the file they are in is not readable any more."""
        return self.read_arrays()

    def facts(self) -> dict[str, Any]:
        """All but the arrays, as plain data."""
        return {item.name: getattr(self, item.name) for item in fields(self) if item.name != "read_arrays"}

    @classmethod
    def from_facts(cls, facts: Mapping[str, Any], read_arrays: Callable[[], RunArrays]) -> RunRecord:
        """The record that `facts` describes. Raises TypeError, KeyError or ValueError if it is none."""
        known = {item.name for item in fields(cls)} - {"read_arrays"}
        if set(facts) != known or facts["status"] not in STATUSES:
            raise ValueError("these are not the facts of a run")
        lists = {"declared": tuple(facts["declared"]), "problems": tuple(facts["problems"])}
        return cls(**{**facts, **lists}, read_arrays=read_arrays)


@dataclass(frozen=True)
class KnownRecord(RunRecord):
    """What an exported table says of a run that was made elsewhere: asked for its arrays, it raises InrbenchError.

    Args:
        origin: the table's file, and the version of inrbench that made the run.
    """

    origin: str = ""


def done_runs(records: Mapping[str, RunRecord]) -> set[str]:
    """The ids of the runs that have a good result."""
    return {run_id for run_id, record in records.items() if record.status == "ok"}
