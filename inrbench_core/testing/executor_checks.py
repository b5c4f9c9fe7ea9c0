"""Checks of executors: they carry out small jobs, say what happens, and can be stopped."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast

from inrbench_core.api.errors import DataError, UnsupportedError
from inrbench_core.api.executor import Executor, ExecutorContext, ExecutorEvent, Job
from inrbench_core.runs.execute import execute
from inrbench_core.runs.run import FitRun
from inrbench_core.runs.runfile import NotARun, decode
from inrbench_core.testing.outcome import Skipped, require
from inrbench_core.testing.small_runs import STAND_IN, stand_in_runs
from inrbench_core.testing.subject import Subject

# Starting a worker imports torch, and a cluster may take its time to give one.
LIMIT_S = 300.0
POLL_S = 0.2
QUIET_S = 1.0


def check_carries_out_jobs(subject: Subject) -> None:
    """Two jobs are carried out to the end, each with its run's file; one that cannot be done is lost with a reason."""
    runs = stand_in_runs([0, 1])
    jobs = [_job(f"job{index}", run) for index, run in enumerate(runs)]
    impossible = Job("impossible", ({},))
    with _started(subject, jobs=3) as executor:
        for job in (*jobs, impossible):
            executor.submit(job)
        waiting = set(executor.unfinished())
        require(waiting == {"job0", "job1", "impossible"}, f"unfinished() right after three jobs: {sorted(waiting)}")
        events = _events_until_done(executor, waiting)
        left = set(executor.unfinished())
        require(not left, f"unfinished() after all has ended: {sorted(left)}")
    for job, run in zip(jobs, runs, strict=True):
        _require_done(job.id, run, [event for event in events if event.job_id == job.id])
    lost = [event for event in events if event.job_id == "impossible" and event.what == "lost"]
    require(len(lost) == 1 and bool(lost[0].error), "a job whose run is no run should be lost once, with an error")


def check_cancels(subject: Subject) -> None:
    """Of a job that was cancelled there is no event any more, and shutdown may be called twice."""
    first, second = (_job(f"job{seed}", run) for seed, run in enumerate(stand_in_runs([0, 1])))
    with _started(subject, jobs=2) as executor:
        executor.submit(first)
        executor.submit(second)
        executor.cancel(first.id)
        require(first.id not in executor.unfinished(), "a cancelled job is still among the unfinished")
        events = _events_until_done(executor, {second.id})
        until = time.monotonic() + QUIET_S
        while time.monotonic() < until:
            events += executor.events(POLL_S)
        told = [event.what for event in events if event.job_id == first.id]
        require(not told, f"a cancelled job still tells: {', '.join(told)}")


def _job(job_id: str, run: FitRun) -> Job:
    return Job(job_id, (run.to_data(),), plugin_files=(str(STAND_IN),))


@contextmanager
def _started(subject: Subject, *, jobs: int) -> Iterator[Executor]:
    """The executor; whatever happens, it is shut down twice."""
    try:
        executor = subject.component.build(ExecutorContext(jobs=jobs, device="cpu"))
    except (UnsupportedError, DataError) as error:
        raise Skipped(f"it cannot work here: {error}") from None
    require(isinstance(executor, Executor), f"the target gives a {type(executor).__name__}, not an Executor")
    try:
        yield cast(Executor, executor)
    finally:
        executor.shutdown()
        executor.shutdown()


def _events_until_done(executor: Executor, job_ids: set[str]) -> list[ExecutorEvent]:
    """All events until each of the jobs has ended or is lost."""
    events: list[ExecutorEvent] = []
    open_jobs, until = set(job_ids), time.monotonic() + LIMIT_S
    while open_jobs:
        require(time.monotonic() < until, f"after {LIMIT_S:g} s there is no end of {', '.join(sorted(open_jobs))}")
        for event in executor.events(POLL_S):
            events.append(event)
            if event.what in ("ended", "lost"):
                open_jobs.discard(event.job_id)
    return events


def _require_done(job_id: str, run: FitRun, events: list[ExecutorEvent]) -> None:
    kinds = [event.what for event in events if event.what != "progress"]
    reasons = "".join(f" ({event.error})" for event in events if event.error)
    require(kinds == ["started", "finished", "ended"], f"{job_id} tells {kinds}{reasons}, not started, finished, ended")
    (finished,) = [event for event in events if event.what == "finished"]
    require(finished.run_id == run.id, f"{job_id} tells of the run {finished.run_id!r}, not {run.id!r}")
    try:
        record = decode(finished.content, run.id)
    except NotARun as error:
        raise AssertionError(f"{job_id}: its content is not the run's file: {error}") from None
    require(record.status == "ok", f"{job_id}: the run is {record.status}: {record.message}")
    for name, value in execute(run).metrics.items():
        same = math.isclose(record.metrics[name], value, rel_tol=1e-4)
        require(same, f"{job_id}: {name} is {record.metrics[name]:g}, and {value:g} when the run is done here")
