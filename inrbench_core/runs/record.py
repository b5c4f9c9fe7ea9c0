"""What is known of a run after it has ended, well or not. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

Status = Literal["ok", "diverged", "failed", "interrupted", "skipped"]
Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class RunRecord:
    """The result of one run.

    Args:
        id: the run's id.
        spec: the run as `RunSpec.to_data` gives it.
        status: ok, diverged (non-finite loss or metric), failed (exception), interrupted, skipped.
        message: why it is not ok, in one line.
        traceback: the whole traceback of a failure.
        step: optimiser steps done; for a diverged run, the step at which it was found.
        metrics: the final metrics, unrounded.
        parameters: trainable parameters; a complex one counts as two.
        width: the width that a parameter budget was solved to, or None.
        times: seconds by phase: prepare, train, compile, evaluate, total.
        peak_memory_bytes: of the process (CPU) or of the allocator (CUDA).
        compiled: whether torch.compile was used.
        data: facts about the task's data: source, licence, scaling.
        environment: versions and machine.
        curve: columns step, seconds, loss and the metrics, of equal length.
        outputs: the task's named arrays.
        preview: picture of the outputs, uint8 (height, width, 3), and `truth` that of a perfect answer.
        weights: the trained model's state.
    """

    id: str
    spec: Mapping[str, Any]
    status: Status
    message: str = ""
    traceback: str = ""
    step: int = 0
    metrics: Mapping[str, float] = field(default_factory=dict)
    parameters: int = 0
    width: int | None = None
    times: Mapping[str, float] = field(default_factory=dict)
    peak_memory_bytes: int = 0
    compiled: bool = False
    data: Mapping[str, Any] = field(default_factory=dict)
    environment: Mapping[str, Any] = field(default_factory=dict)
    curve: Mapping[str, Array] = field(default_factory=dict)
    outputs: Mapping[str, Array] = field(default_factory=dict)
    preview: Array | None = None
    truth: Array | None = None
    weights: Mapping[str, Array] = field(default_factory=dict)
