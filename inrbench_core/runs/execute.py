"""From runs to their records, here and now."""

from __future__ import annotations

import math
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch

from inrbench_core import __version__
from inrbench_core.api.errors import DataError, InrbenchError
from inrbench_core.api.executor import Progress
from inrbench_core.api.problem import Evaluation, Problem, SeedStreams
from inrbench_core.api.sources import content_sha256
from inrbench_core.fit import FitResult, build_model
from inrbench_core.fit.build import signal_values
from inrbench_core.fit.calibrate import flops_per_step
from inrbench_core.fit.device import choose_device
from inrbench_core.fit.loop import FitUnderWay
from inrbench_core.fit.stack import fit_stack, most_members
from inrbench_core.plugins.failures import full_traceback, one_line
from inrbench_core.runs.environment import describe_environment
from inrbench_core.runs.identity import settings_of
from inrbench_core.runs.outcome import describe_run, failure
from inrbench_core.runs.record import Array, RunArrays, RunRecord
from inrbench_core.runs.run import AnyRun, BaselineRun, FitRun
from inrbench_core.runs.stacking import equal_parts, stacks
from inrbench_core.spec.training import LEAST_MEMBERS

OnProgress = Callable[[Progress], None]


def execute(run: AnyRun, on_progress: OnProgress | None = None) -> RunRecord:
    """Carry out one run. Whatever goes wrong becomes the record's status.

    Args:
        run: what to do.
        on_progress: called now and then during a fit.
    """
    started = time.perf_counter()
    try:
        tell = on_progress or (lambda progress: None)
        if isinstance(run, BaselineRun):
            return _baseline(run, tell, started)
        prepared = _PreparedFit(run, tell)
        return prepared.record(prepared.fit.carry_out())
    except Exception as error:
        return _failed(run, error, time.perf_counter() - started)


def execute_all(
    runs: Sequence[AnyRun], on_progress: Callable[[AnyRun, Progress], None] | None = None
) -> Iterator[tuple[AnyRun, RunRecord]]:
    """Carry out the runs of one job: in stacks where they are alike and that is faster, else one after the other.

    Args:
        runs: what to do.
        on_progress: called now and then during a fit.

    Yields:
        each run and its record, as soon as it has ended.
    """
    tell = on_progress or (lambda run, progress: None)
    for alike in stacks(runs, workers=1):
        for part in _parts(alike):
            if len(part) >= LEAST_MEMBERS:
                yield from _execute_stack(part, tell)
            else:
                for run in part:
                    yield run, execute(run, partial(tell, run))


def _parts(alike: Sequence[AnyRun]) -> list[list[AnyRun]]:
    """Like runs in the stacks that are faster, as far as they go; what is left has fewer than the least members."""
    size = _stack_size(alike[0]) if len(alike) >= LEAST_MEMBERS else 1
    if size == 1:
        return [[run] for run in alike]
    count = math.ceil(len(alike) / size)
    if len(alike) // count >= LEAST_MEMBERS:
        return equal_parts(alike, count)
    return [list(alike[start : start + size]) for start in range(0, len(alike), size)]


def _stack_size(run: AnyRun) -> int:
    """How many runs like this one train together at the most."""
    assert isinstance(run, FitRun)
    try:
        device = choose_device(run.device)
        problem = _prepared.get(run, device)
        model = build_model(run.field, problem.shapes, seeds=SeedStreams(run.seed), device=device).model.train()
        return most_members(problem, model, run.training)
    except Exception:  # The run itself tells what is wrong with it.
        return 1


def _execute_stack(
    runs: Sequence[AnyRun], tell: Callable[[AnyRun, Progress], None]
) -> Iterator[tuple[AnyRun, RunRecord]]:
    prepared: list[_PreparedFit] = []
    for run in runs:
        assert isinstance(run, FitRun)
        started = time.perf_counter()
        try:
            prepared.append(_PreparedFit(run, partial(tell, run), together=len(runs)))
        except Exception as error:
            yield run, _failed(run, error, time.perf_counter() - started)
    for place, outcome in fit_stack([each.fit for each in prepared]):
        each = prepared[place]
        try:
            if isinstance(outcome, Exception):
                raise outcome
            record = each.record(outcome)
        except Exception as error:
            record = _failed(each.run, error, each.seconds)
        yield each.run, record


def _failed(run: AnyRun, error: Exception, seconds: float) -> RunRecord:
    expected = isinstance(error, InrbenchError)
    message = str(error) if expected else f"{one_line(error)} ({_origin(error)})"
    return failure(run, "failed", message, "" if expected else full_traceback(error), {"total": seconds})


def _origin(error: BaseException) -> str:
    """The file and line that raised it; if that was torch, those that called torch."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if "torch" not in Path(frame.filename).parts]
    return f"{Path(ours[-1].filename).name}:{ours[-1].lineno}"


class _Prepared:
    """The problem that was prepared last, for the next run of the same task, signal and data seed."""

    def __init__(self) -> None:
        self.key: tuple[Any, ...] = ()
        self.problem: Problem | None = None
        self.picture: Array | None = None

    def get(self, run: AnyRun, device: torch.device) -> Problem:
        key = run.data_key, device
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
    problem: Problem = run.task.build(device=device, seeds=SeedStreams(run.data_streams_seed))
    return problem


def _baseline(run: BaselineRun, on_progress: OnProgress, started: float) -> RunRecord:
    on_progress(Progress(0, 0, 0.0, math.nan, phase="preparing"))
    device = choose_device(run.device)
    problem = _prepared.get(run, device)
    problems: list[str] = []
    truth = _prepared.truth(problem, problems)
    prepare_s = time.perf_counter() - started
    evaluation = problem.baseline(run.name)
    arrays = RunArrays(outputs=evaluation.outputs, preview=_preview(evaluation, problems), truth=truth)
    return RunRecord(
        status="ok",
        metrics=_floats(evaluation.metrics),
        parameters=evaluation.parameters or 0,
        times={"prepare": prepare_s, "total": time.perf_counter() - started},
        problems=tuple(problems),
        read_arrays=lambda: arrays,
        **_facts(run, problem, device),
    )


class _PreparedFit:
    """The fit of a run, ready to train, and how its result becomes a record."""

    def __init__(self, run: FitRun, on_progress: OnProgress, together: int = 1) -> None:
        self._started = time.perf_counter()
        self._together = together
        self.run = run
        on_progress(Progress(0, run.training.steps, 0.0, math.nan, phase="preparing", together=together))
        device = choose_device(run.device)
        problem = _prepared.get(run, device)
        self._problems: list[str] = []
        self._common = _facts(run, problem, device)
        self._truth = _prepared.truth(problem, self._problems)
        self._prepare_s = time.perf_counter() - self._started
        seeds = SeedStreams(run.seed)
        self._built = build_model(run.field, problem.shapes, seeds=seeds, device=device)
        self._flops = _flops(run, problem, self._built.model)
        analyses = {analysis.name: analysis.build() for analysis in run.analyses}
        self.fit = FitUnderWay(problem, self._built.model, run.training, seeds, analyses, on_progress)
        self._ready_s = time.perf_counter() - self._started

    @property
    def seconds(self) -> float:
        """What the run took until now; its share of what was done for several runs at a time."""
        if self._together == 1:
            return time.perf_counter() - self._started
        result = self.fit.result
        return self._ready_s + result.train_s + result.compile_s + result.evaluate_s + result.analyse_s

    def record(self, result: FitResult) -> RunRecord:
        """The record of the run, whose fit gave this."""
        status, message = result.status, result.reason
        primary = self.run.task_entry.primary.name
        final = result.evaluation
        if final is not None and math.isnan(final.metrics[primary]):
            status, message = "diverged", f"{primary} is not a number after {result.step} steps"
        problems = self._problems
        problems += [f"analysis {name}: {found.error}" for name, found in result.analyses.items() if found.error]
        kept = RunArrays(
            curve=_curve(result),
            outputs=final.outputs if final else {},
            weights=_state(self._built.model.state_dict()) if final else {},
            parameters=_state(self.fit.problem.parameters()) if final else {},
            preview=_preview(final, problems) if final else None,
            truth=self._truth,
            analyses=_analysis_arrays(result),
        )
        return RunRecord(
            status=status,
            message=message,
            step=result.step,
            metrics={**(_floats(final.metrics) if final else {}), **_analysis_metrics(result)},
            parameters=self._built.parameters,
            width=self._built.width,
            flops=self._flops * result.step,
            times={
                "prepare": self._prepare_s,
                "train": result.train_s,
                "compile": result.compile_s,
                "evaluate": result.evaluate_s,
                "analyse": result.analyse_s,
                "total": self.seconds,
            },
            peak_memory_bytes=result.peak_memory_bytes,
            compiled=result.compiled,
            stacked=result.stacked,
            problems=tuple(problems),
            read_arrays=lambda: kept,
            **self._common,
        )


def _facts(run: AnyRun, problem: Problem, device: torch.device) -> dict[str, Any]:
    """What the records of fits and baselines have in common."""
    return {
        **describe_run(run),
        "data": dict(problem.record),
        "values": signal_values(problem.shapes),
        "environment": describe_environment(device, _versions(run)),
        "frame": problem.frame.to_data(),
    }


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
