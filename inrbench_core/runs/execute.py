"""execute: from a run to its record, here and now."""

from __future__ import annotations

import math
import time
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch

from inrbench_core import __version__
from inrbench_core.api.errors import DataError, InrbenchError
from inrbench_core.api.executor import Progress
from inrbench_core.api.problem import Evaluation, Problem, SeedStreams
from inrbench_core.api.sources import content_sha256
from inrbench_core.fit import FitResult, build_model, fit
from inrbench_core.fit.calibrate import flops_per_step
from inrbench_core.fit.device import choose_device
from inrbench_core.plugins.failures import full_traceback, one_line
from inrbench_core.runs.environment import describe_environment
from inrbench_core.runs.identity import settings_of
from inrbench_core.runs.outcome import describe_run, failure
from inrbench_core.runs.record import Array, RunArrays, RunRecord
from inrbench_core.runs.run import AnyRun, BaselineRun, FitRun

OnProgress = Callable[[Progress], None]


def execute(run: AnyRun, on_progress: OnProgress | None = None) -> RunRecord:
    """Carry out one run. Whatever goes wrong becomes the record's status.

    Args:
        run: what to do.
        on_progress: called now and then during a fit.
    """
    started = time.perf_counter()
    try:
        return _execute(run, on_progress or (lambda progress: None), started)
    except Exception as error:
        expected = isinstance(error, InrbenchError)
        message = str(error) if expected else f"{one_line(error)} ({_origin(error)})"
        trace = "" if expected else full_traceback(error)
        return failure(run, "failed", message, trace, {"total": time.perf_counter() - started})


def _origin(error: BaseException) -> str:
    """The file and line that raised it; if that was torch, those that called torch."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if "torch" not in Path(frame.filename).parts]
    return f"{Path(ours[-1].filename).name}:{ours[-1].lineno}"


class _Prepared:
    """The problem that was prepared last, for the next run of the same task, signal and seed."""

    def __init__(self) -> None:
        self.key: tuple[Any, ...] = ()
        self.problem: Problem | None = None
        self.picture: Array | None = None

    def get(self, run: AnyRun, device: torch.device) -> Problem:
        key = (run.task.distribution, repr(run.task.to_data()), tuple(run.files.items()), run.seed, device)
        if self.problem is None or key != self.key:
            # Freed before the next one is made: both together may not fit.
            self.problem = self.picture = None
            problem = prepare(run, device)
            # After it was read, so that a change while it was read is seen.
            check_files(run)
            self.problem, self.key = problem, key
        problem = self.problem
        if problem.parameters():
            self.problem = None
        return problem

    def truth(self, problem: Problem, problems: list[str]) -> Array | None:
        """The picture of a perfect answer, drawn once for the problem that was prepared last."""
        if problem is not self.problem:
            return _picture("truth", problem.truth, problems)
        if self.picture is None:
            self.picture = _picture("truth", problem.truth, problems)
        return self.picture


_prepared = _Prepared()


def check_files(run: AnyRun) -> None:
    """Raise DataError if one of the user's files is not what it was when the experiment was planned."""
    for path, planned in run.files.items():
        if f"sha256:{content_sha256(Path(path))}" != planned.partition(".")[0]:
            raise DataError(f"{path}: changed since the experiment was planned; start it again")


def prepare(run: AnyRun, device: torch.device) -> Problem:
    """The run's problem, prepared anew."""
    problem: Problem = run.task.build(device=device, seeds=SeedStreams(run.seed))
    return problem


def _execute(run: AnyRun, on_progress: OnProgress, started: float) -> RunRecord:
    device = choose_device(run.device)
    steps = run.training.steps if isinstance(run, FitRun) else 0
    on_progress(Progress(0, steps, 0.0, math.nan, phase="preparing"))
    problem = _prepared.get(run, device)
    problems: list[str] = []
    common: dict[str, Any] = {
        **describe_run(run),
        "data": dict(problem.record),
        "environment": describe_environment(device, _versions(run)),
        "frame": problem.frame.to_data(),
    }
    truth = _prepared.truth(problem, problems)
    prepare_s = time.perf_counter() - started
    if isinstance(run, BaselineRun):
        evaluation = problem.baseline(run.name)
        arrays = RunArrays(outputs=evaluation.outputs, preview=_preview(evaluation, problems), truth=truth)
        times = {"prepare": prepare_s, "total": time.perf_counter() - started}
        return RunRecord(
            status="ok",
            metrics=_floats(evaluation.metrics),
            times=times,
            problems=tuple(problems),
            read_arrays=lambda: arrays,
            **common,
        )
    seeds = SeedStreams(run.seed)
    built = build_model(run.field, problem.shapes, seeds=seeds, device=device)
    flops = _flops(run, problem, built.model)
    analyses = {analysis.name: analysis.build() for analysis in run.analyses}
    result = fit(problem, built.model, run.training, seeds=seeds, analyses=analyses, on_progress=on_progress)
    status, message = result.status, result.reason
    primary = run.task_entry.primary.name
    final = result.evaluation
    if final is not None and math.isnan(final.metrics[primary]):
        status, message = "diverged", f"{primary} is not a number after {result.step} steps"
    problems += [f"analysis {name}: {found.error}" for name, found in result.analyses.items() if found.error]
    kept = RunArrays(
        curve=_curve(result),
        outputs=final.outputs if final else {},
        weights=_state(built.model.state_dict()) if final else {},
        parameters=_state(problem.parameters()) if final else {},
        preview=_preview(final, problems) if final else None,
        truth=truth,
        analyses=_analysis_arrays(result),
    )
    return RunRecord(
        status=status,
        message=message,
        step=result.step,
        metrics={**(_floats(final.metrics) if final else {}), **_analysis_metrics(result)},
        parameters=built.parameters,
        width=built.width,
        flops=flops * result.step,
        times={
            "prepare": prepare_s,
            "train": result.train_s,
            "compile": result.compile_s,
            "evaluate": result.evaluate_s,
            "analyse": result.analyse_s,
            "total": time.perf_counter() - started,
        },
        peak_memory_bytes=result.peak_memory_bytes,
        compiled=result.compiled,
        problems=tuple(problems),
        read_arrays=lambda: kept,
        **common,
    )


def _versions(run: AnyRun) -> dict[str, str]:
    """Of inrbench, and of the distributions that the run's components come from."""
    return {"inrbench": __version__, **{part.distribution: part.version for part in run.parts}}


_known_flops: dict[str, float] = {}


def _flops(run: FitRun, problem: Problem, model: torch.nn.Module) -> float:
    """Floating-point operations of a step: the same for every seed, so estimated once for each row and signal."""
    # Not by the signal's label, which two files of the same name share.
    key = settings_of(run.group, {**run.to_data(), "seed": None})
    if key not in _known_flops:
        _known_flops[key] = flops_per_step(problem, model, run.training)
    return _known_flops[key]


def _floats(metrics: Mapping[str, float]) -> dict[str, float]:
    return {name: float(value) for name, value in metrics.items()}


def _picture(name: str, make: Callable[[], Any], problems: list[str]) -> Array | None:
    """A picture that may be kept, or None and a problem: a picture that is wrong costs no figures."""
    try:
        picture = make()
    except Exception as error:
        problems.append(f"{name}: {one_line(error)}")
        return None
    if picture is None:
        return None
    good = isinstance(picture, np.ndarray) and picture.dtype == np.uint8 and picture.ndim == 3
    if not good or picture.shape[2] != 3 or 0 in picture.shape:
        found = f"{picture.dtype} {picture.shape}" if isinstance(picture, np.ndarray) else type(picture).__name__
        problems.append(f"{name}: expected uint8 (height, width, 3), got {found}")
        return None
    return cast(Array, picture)


def _preview(evaluation: Evaluation, problems: list[str]) -> Array | None:
    return _picture("preview", lambda: evaluation.preview, problems)


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


def _state(tensors: Mapping[str, torch.Tensor]) -> dict[str, Array]:
    return {name: tensor.detach().cpu().numpy() for name, tensor in tensors.items()}


def _analysis_metrics(result: FitResult) -> dict[str, float]:
    """What each analysis saw last."""
    found = {}
    for name, analysis in result.analyses.items():
        for observation in analysis.observations[-1:]:
            found.update({f"{name}.{key}": float(value) for key, value in observation.metrics.items()})
    return found


def _analysis_arrays(result: FitResult) -> dict[str, dict[str, Array]]:
    kept: dict[str, dict[str, Array]] = {}
    for name, analysis in result.analyses.items():
        arrays: dict[str, Array] = {"steps": np.array(analysis.steps, dtype=np.int64)}
        names = sorted({key for observation in analysis.observations for key in observation.metrics})
        for key in names:
            arrays[f"metrics/{key}"] = np.array([seen.metrics.get(key, np.nan) for seen in analysis.observations])
        for number, observation in enumerate(analysis.observations):
            for key, array in {**observation.curves, **observation.arrays}.items():
                arrays[f"{key}/{number}"] = np.asarray(array)
            if observation.preview is not None:
                arrays[f"preview/{number}"] = np.asarray(observation.preview)
        kept[name] = arrays
    return kept
