"""What every executor does, tested on local workers, on an outsider's, whose workers share no folder, and on Ray."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from runs_support import PLUGINS, RAY, TINY, ExecutorCase, MakeCase, MakeExperiment, MakePlan, children_of, wait_until

from inrbench_core.api.executor import Executor, ExecutorContext, ExecutorEvent, Job
from inrbench_core.runs.plan import AnyRun, Plan
from inrbench_core.runs.record import RunRecord
from inrbench_core.runs.run import FitRun
from inrbench_core.runs.runfile import decode

OTHERS = ["subprocess", RAY]
IMPLEMENTATIONS = ["local", *OTHERS]
LIMIT_S = 120.0
POLL_S = 0.1
Start = Callable[[], Executor]


@pytest.fixture(params=IMPLEMENTATIONS)
def executor(
    request: pytest.FixtureRequest, experiment: MakeExperiment, monkeypatch: pytest.MonkeyPatch, case_of: MakeCase
) -> Iterator[Executor]:
    """A new executor, whose workers are gone afterwards."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    with running(experiment, case_of(request.param)) as made:
        yield made


@contextmanager
def running(experiment: MakeExperiment, case: ExecutorCase) -> Iterator[Executor]:
    before = set(children_of(os.getpid()))
    component = experiment(executor=case.spec).executor
    if "jobs" in type(component.spec).model_fields:
        component = component.with_spec(jobs=2)
    made: Executor = component.build(ExecutorContext(jobs=2, device="cpu"))
    try:
        yield made
    finally:
        made.shutdown()
        made.shutdown()
        # A cluster ends its workers when it notices that nobody wants them.
        wait_until(lambda: not set(children_of(os.getpid())) - before, 2.0 if case.cluster is None else 20.0)


def job_of(*runs: AnyRun, job_id: str = "") -> Job:
    files = tuple(dict.fromkeys(file for run in runs for file in run.files))
    plugin_files = tuple(str(plugin) for plugin in PLUGINS)
    return Job(job_id or runs[0].id, tuple(run.to_data() for run in runs), plugin_files, files)


def fit_of(plan: Plan) -> FitRun:
    return next(run for run in plan.runs.values() if isinstance(run, FitRun))


def listen(executor: Executor, *job_ids: str) -> list[ExecutorEvent]:
    """All events until each of the jobs has ended or is lost."""
    events: list[ExecutorEvent] = []
    waiting, until = set(job_ids), time.monotonic() + LIMIT_S
    while waiting:
        assert time.monotonic() < until, f"no end of {waiting}"
        for event in executor.events(POLL_S):
            events.append(event)
            if event.what in ("ended", "lost"):
                waiting.discard(event.job_id)
    return events


def kinds(events: list[ExecutorEvent], job_id: str) -> list[str]:
    return [event.what for event in events if event.job_id == job_id and event.what != "progress"]


def records(events: list[ExecutorEvent]) -> dict[str, RunRecord]:
    return {event.run_id: decode(event.content, event.run_id) for event in events if event.what == "finished"}


def test_events_come_in_order_and_end(executor: Executor, plan: MakePlan) -> None:
    runs = list(plan(seeds=2).runs.values())
    jobs = [job_of(run) for run in runs]
    for job in jobs:
        executor.submit(job)
    assert set(executor.unfinished()) == {run.id for run in runs}
    events = listen(executor, *(job.id for job in jobs))
    assert list(executor.unfinished()) == []
    for run in runs:
        own = [event for event in events if event.job_id == run.id]
        assert kinds(own, run.id) == ["started", "finished", "ended"]
        assert [event.what for event in own[1:-2]] == ["progress"] * (len(own) - 3)
        assert {event.run_id for event in own[1:-1]} == {run.id}
    fit = fit_of(plan(seeds=2))
    phases = [event.progress.phase for event in events if event.run_id == fit.id and event.progress is not None]
    assert phases[0] == "preparing"
    assert list(executor.events(0.0)) == []


def test_a_job_of_several_runs_gives_each_as_it_is_done(executor: Executor, plan: MakePlan) -> None:
    runs = list(plan(seeds=3).runs.values())
    executor.submit(job_of(*runs, job_id="all of them"))
    events = listen(executor, "all of them")
    assert kinds(events, "all of them") == ["started", *["finished"] * 4, "ended"]
    assert [event.run_id for event in events if event.what == "finished"] == [run.id for run in runs]
    assert {record.status for record in records(events).values()} == {"ok"}


@pytest.mark.slow
@pytest.mark.parametrize("name", OTHERS)
def test_implementations_give_the_same_numbers_bit_for_bit(
    experiment: MakeExperiment,
    plan: MakePlan,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    case_of: MakeCase,
    name: str,
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    file = tmp_path / "frequency"
    file.write_text("5")
    tasks = ["line", {"name": "trouble", "source": str(file)}]
    made = plan(task=None, tasks=tasks, fields=["shallow", "swell"], training={**TINY, "steps": 40, "batch": 16})
    found = []
    for case in (ExecutorCase({"name": "local"}, tmp_path), case_of(name)):
        with running(experiment, case) as executor:
            for run in made.runs.values():
                executor.submit(job_of(run))
            found.append(records(listen(executor, *made.runs)))
    local, other = found
    assert set(local) == set(other) == set(made.runs)
    for run_id, record in local.items():
        assert record.status == "ok", record.message
        assert dict(record.metrics) == dict(other[run_id].metrics)
        assert record.run == other[run_id].run == made.runs[run_id].to_data()
        for group in ("outputs", "weights"):
            ours, theirs = getattr(record.arrays, group), getattr(other[run_id].arrays, group)
            assert set(ours) == set(theirs)
            for key in ours:
                np.testing.assert_array_equal(ours[key], theirs[key])
    # The user's file was read: with 3 rad per unit the figures are others.
    mae = {record.run["task"]["name"]: record.metrics["mae"] for record in local.values() if record.baseline}
    assert mae["line"] != mae["trouble"]


def test_a_cancelled_job_tells_nothing_more_and_others_go_on(executor: Executor, plan: MakePlan) -> None:
    slow = [job_of(fit_of(plan(task={"name": "trouble", "do": "sleep"}, seeds=[seed]))) for seed in range(3)]
    for job in slow:
        executor.submit(job)
    started: set[str] = set()

    def both_started() -> bool:
        started.update(event.job_id for event in executor.events(POLL_S) if event.what == "started")
        return len(started) == 2

    wait_until(both_started, LIMIT_S)
    (waiting,) = {job.id for job in slow} - started
    executor.cancel(waiting)
    executor.cancel(slow[0].id)
    executor.cancel("unheard-of")
    assert set(executor.unfinished()) == started - {slow[0].id}
    quick = job_of(fit_of(plan()))
    executor.submit(quick)
    events = listen(executor, quick.id)
    assert kinds(events, quick.id) == ["started", "finished", "ended"]
    assert {event.job_id for event in events} <= {quick.id, *started} - {slow[0].id, waiting}


def test_a_worker_that_dies_loses_its_own_job_which_may_be_submitted_again(executor: Executor, plan: MakePlan) -> None:
    deadly, sound = job_of(fit_of(plan(task={"name": "trouble", "do": "die_once"}))), job_of(fit_of(plan()))
    executor.submit(deadly)
    events = listen(executor, deadly.id)
    (lost,) = [event for event in events if event.what == "lost"]
    assert kinds(events, deadly.id) == ["started", "lost"]
    assert (lost.job_id, lost.retry) == (deadly.id, True)
    assert "process" in lost.error
    assert list(executor.unfinished()) == []
    executor.submit(deadly)
    executor.submit(sound)
    events = listen(executor, deadly.id, sound.id)
    for job in (deadly, sound):
        assert kinds(events, job.id) == ["started", "finished", "ended"]
    assert {record.status for record in records(events).values()} == {"ok"}


def test_a_job_that_cannot_be_done_is_lost_with_the_reason_and_not_for_another_try(
    executor: Executor, plan: MakePlan
) -> None:
    good = job_of(fit_of(plan()))
    impossible = Job("impossible", ({},))
    other_code = Job("other code", ({**good.runs[0], "code": {"inrbench": "0"}},), good.plugin_files)
    for job in (impossible, other_code, good):
        executor.submit(job)
    events = listen(executor, impossible.id, other_code.id, good.id)
    lost = {event.job_id: event for event in events if event.what == "lost"}
    assert set(lost) == {impossible.id, other_code.id}
    assert "is not what the experiment was planned with" in lost[other_code.id].error
    assert [event.retry for event in lost.values()] == [False, False]
    assert kinds(events, good.id) == ["started", "finished", "ended"]


def test_shutdown_ends_jobs_under_way(executor: Executor, plan: MakePlan) -> None:
    """That no process is left is asserted after every test."""
    executor.submit(job_of(fit_of(plan(task={"name": "trouble", "do": "hold"}))))
    wait_until(lambda: [event for event in executor.events(POLL_S) if event.what == "started"], LIMIT_S)
    executor.shutdown()
    assert list(executor.unfinished()) == []
    assert list(executor.events(0.0)) == []


def test_shutdown_before_anything_was_submitted(executor: Executor) -> None:
    executor.shutdown()
    assert list(executor.events(0.0)) == []
