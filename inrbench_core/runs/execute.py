"""execute: a pure function from a RunSpec to its record."""

from __future__ import annotations

import math
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from inrbench_core.api.errors import InrbenchError, UnsupportedError
from inrbench_core.api.executor import Progress
from inrbench_core.api.problem import Problem, SeedStreams
from inrbench_core.fit import FitResult, build_model, fit
from inrbench_core.plugins.failures import full_traceback, one_line
from inrbench_core.runs.environment import describe_environment
from inrbench_core.runs.record import Array, RunRecord
from inrbench_core.spec.runspec import RunSpec


def execute(run: RunSpec, on_progress: Callable[[Progress], None] | None = None) -> RunRecord:
    """Carry out one run here and now. Whatever goes wrong becomes the record's status.

    Args:
        run: what to do.
        on_progress: called now and then during a fit.
    """
    started = time.perf_counter()
    if run.skip:
        return RunRecord(run.id, run.to_data(), "skipped", message=run.skip)
    try:
        return _execute(run, on_progress, started)
    except Exception as error:
        expected = isinstance(error, InrbenchError)
        return RunRecord(
            run.id,
            run.to_data(),
            "failed",
            message=str(error) if expected else f"{one_line(error)} ({_origin(error)})",
            traceback="" if expected else full_traceback(error),
            times={"total": time.perf_counter() - started},
        )


def _origin(error: BaseException) -> str:
    """The file and line that raised it; if that was torch, those that called torch."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if "torch" not in Path(frame.filename).parts]
    return f"{Path(ours[-1].filename).name}:{ours[-1].lineno}"


def choose_device(name: str) -> torch.device:
    """The torch device of a spec's `device`. Raises UnsupportedError if it is not there."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise UnsupportedError(f"no device {name!r}; there are auto, cpu, cuda and cuda:N") from None
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise UnsupportedError(f"device {name!r} is not available: torch sees {torch.cuda.device_count()} CUDA devices")
    return device


def prepare(run: RunSpec, device: torch.device) -> Problem:
    """The run's problem, ready on the device."""
    problem: Problem = run.task.build(device=device, seeds=SeedStreams(run.seed))
    return problem


def _execute(run: RunSpec, on_progress: Callable[[Progress], None] | None, started: float) -> RunRecord:
    device = choose_device(run.device)
    problem = prepare(run, device)
    common: dict[str, Any] = {
        "id": run.id,
        "spec": run.to_data(),
        "data": dict(problem.record),
        "environment": describe_environment(device, run.versions()),
        "truth": problem.truth(),
    }
    prepare_s = time.perf_counter() - started
    if run.field is None:
        evaluation = problem.baseline(run.baseline)
        return RunRecord(
            status="ok",
            metrics=evaluation.metrics,
            outputs=evaluation.outputs,
            preview=evaluation.preview,
            times={"prepare": prepare_s, "total": time.perf_counter() - started},
            **common,
        )
    assert run.training is not None
    seeds = SeedStreams(run.seed)
    built = build_model(run.field, problem.shapes, seeds=seeds, device=device)
    result = fit(problem, built.model, run.training, seeds=seeds, on_progress=on_progress)
    status, message = result.status, result.reason
    primary = run.task_entry.primary.name
    if result.evaluation is not None and math.isnan(result.evaluation.metrics[primary]):
        status, message = "diverged", f"{primary} is not a number after {result.step} steps"
    return RunRecord(
        status=status,
        message=message,
        step=result.step,
        metrics=result.evaluation.metrics if result.evaluation else {},
        outputs=result.evaluation.outputs if result.evaluation else {},
        preview=result.evaluation.preview if result.evaluation else None,
        parameters=built.parameters,
        width=built.width,
        times={
            "prepare": prepare_s,
            "train": result.train_s,
            "compile": result.compile_s,
            "evaluate": result.evaluate_s,
            "total": time.perf_counter() - started,
        },
        peak_memory_bytes=result.peak_memory_bytes,
        compiled=result.compiled,
        curve=_curve(result),
        weights=_weights(built.model) if result.evaluation is not None else {},
        **common,
    )


def _curve(result: FitResult) -> dict[str, Array]:
    names = sorted({name for point in result.curve for name in point.metrics})
    columns: dict[str, Array] = {
        "step": np.array([point.step for point in result.curve], dtype=np.int64),
        "seconds": np.array([point.seconds for point in result.curve]),
        "loss": np.array([point.loss for point in result.curve]),
    }
    for name in names:
        columns[name] = np.array([point.metrics.get(name, np.nan) for point in result.curve])
    return columns


def _weights(model: torch.nn.Module) -> dict[str, Array]:
    return {name: tensor.detach().cpu().numpy() for name, tensor in model.state_dict().items()}
