"""A Ray cluster of three nodes on loopback: what is lost with a node, and what is said when something is not there."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from inrbench_executor_ray.executor import RayExecutor
from inrbench_executor_ray.plugin import RaySpec
from inrbench_executor_ray.testing import LocalCluster

import inrbench_core as inr
from inrbench_core import ExecutorContext, ExecutorEvent, Job
from inrbench_core.api.errors import UnsupportedError
from inrbench_core.testing.small_runs import STAND_IN, stand_in_runs

pytestmark = [pytest.mark.ray, pytest.mark.slow]
FITS = 24


@pytest.fixture(scope="module")
def cluster() -> Iterator[LocalCluster]:
    with LocalCluster(nodes=3, cpus=1) as made:
        yield made


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[ExecutorEvent]:
    """All that Ray's executor tells the driver, without progress."""
    events: list[ExecutorEvent] = []
    original = RayExecutor.events

    def listen(self: RayExecutor, timeout_s: float) -> Iterable[ExecutorEvent]:
        for event in original(self, timeout_s):
            if event.what != "progress":
                events.append(event)
            yield event

    monkeypatch.setattr(RayExecutor, "events", listen)
    return events


def evaluate(out: Path, executor: dict[str, Any], fits: int = FITS, steps: int = 2000) -> inr.Results:
    spec = {
        "name": "sweep",
        "task": "stand_in",
        "fields": ["stand_in"],
        "training": {"steps": steps, "evaluate_every": 0, "compile": "off"},
        "seeds": fits,
        "executor": executor,
    }
    return inr.evaluate(spec, out=out, plugin_files=[STAND_IN])


def test_a_node_that_is_removed_costs_its_own_run_and_the_sweep_is_that_of_a_local_one(
    cluster: LocalCluster, told: list[ExecutorEvent], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    removed_after = 0
    original = RayExecutor._take

    def take(self: RayExecutor, *message: Any) -> None:
        nonlocal removed_after
        original(self, *message)
        done = sum(event.what == "ended" for event in told)
        # Each node has one CPU, so that each is in the middle of a run.
        if not removed_after and done >= FITS // 3:
            cluster.remove_node()
            removed_after = done

    monkeypatch.setattr(RayExecutor, "_take", take)
    found = evaluate(tmp_path / "ray", {"name": "ray", "address": cluster.address})
    assert FITS // 3 <= removed_after < FITS // 2
    runs = {run.id: run.record for run in found.runs}
    lost = [event for event in told if event.what == "lost"]
    assert [event.retry for event in lost] == [True]
    assert "its worker process or its node died" in lost[0].error
    # Complete, and no run's file came twice.
    finished = [event.run_id for event in told if event.what == "finished"]
    assert sorted(finished) == sorted(runs)
    assert len(list((tmp_path / "ray" / "runs").glob("*.h5"))) == len(runs) >= FITS
    local = evaluate(tmp_path / "local", {"name": "local", "jobs": 2})
    assert {run.id for run in local.runs} == set(runs)
    for run in local.runs:
        ours, theirs = run.record, runs[run.id]
        assert ours is not None
        assert theirs is not None
        assert (ours.status, dict(ours.metrics)) == ("ok", dict(theirs.metrics))
        assert set(ours.arrays.weights) == set(theirs.arrays.weights)
        for name, weights in ours.arrays.weights.items():
            np.testing.assert_array_equal(weights, theirs.arrays.weights[name])


def test_a_run_for_which_there_is_no_node_fails_with_the_reason(cluster: LocalCluster, tmp_path: Path) -> None:
    executor = {"name": "ray", "address": cluster.address, "gpus_per_run": 1, "wait_s": 15}
    with pytest.warns(UserWarning, match=r"waiting for a Ray node with 1 CPU and 1 GPU free; the cluster has \d"):
        results = evaluate(tmp_path, executor, fits=1)
    for run in results.runs:
        assert run.record is not None
        assert run.record.status == "failed"
        expected = "there has been no Ray node with 1 CPU and 1 GPU for 15 s; the cluster has "
        assert run.record.message.startswith(expected)
        assert run.record.message.endswith("at most 1 CPU and 0 GPU in one")


def test_runs_that_share_a_gpu_see_that_gpu_and_no_more_of_them_start(told: list[ExecutorEvent]) -> None:
    """Of GPUs that the node only says it has; the processes that fit are told which is theirs."""
    runs = stand_in_runs([0, 1, 2], steps=10**7)
    with LocalCluster(nodes=1, cpus=3, gpus=1) as cluster:
        spec = RaySpec(address=cluster.address, gpus_per_run=0.5)
        executor = RayExecutor(spec, ExecutorContext(jobs=3, device="cpu"))
        try:
            for run in runs:
                executor.submit(Job(run.id, (run.to_data(),), plugin_files=(str(STAND_IN),)))
            until = time.monotonic() + 60
            trained: set[str] = set()
            while len(trained) < 2:
                assert time.monotonic() < until
                trained |= {event.job_id for event in executor.events(0.2) if event.what == "progress"}
            until = time.monotonic() + 3
            while time.monotonic() < until:
                list(executor.events(0.2))
            assert [event.what for event in told] == ["started"] * 2
            assert visible_devices(cluster.process.pid) == ["0", "0"]
        finally:
            executor.shutdown()


def visible_devices(session: int) -> list[str]:
    """CUDA_VISIBLE_DEVICES of the processes that fit, of those in a session."""
    found = []
    for folder in Path("/proc").iterdir():
        if not folder.name.isdecimal():
            continue
        try:
            in_session = os.getsid(int(folder.name)) == session
            command, environment = ((folder / name).read_bytes() for name in ("cmdline", "environ"))
        except OSError:
            continue
        if in_session and b"inrbench_core.runs.serve" in command:
            variables = dict(line.split("=", 1) for line in environment.decode().split("\0") if "=" in line)
            found.append(variables.get("CUDA_VISIBLE_DEVICES", "not set"))
    return found


def test_where_there_is_no_ray_one_line_says_so(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedError, match=r"executor ray: .*127\.0\.0\.1:9.*; start Ray with 'ray start --head'"):
        evaluate(tmp_path, {"name": "ray", "address": "127.0.0.1:9", "wait_s": 8})
    assert list((tmp_path / "runs").glob("*.h5")) == []


def test_a_run_that_is_killed_for_memory_is_tried_twice_and_recorded_with_the_reason(
    told: list[ExecutorEvent], tmp_path: Path
) -> None:
    """The node counts as short of memory from the beginning."""
    config = {"memory_usage_threshold": 0.001, "memory_monitor_refresh_ms": 100, "min_memory_free_bytes": -1}
    with LocalCluster(nodes=1, cpus=1, config=config) as cluster:
        results = evaluate(tmp_path, {"name": "ray", "address": cluster.address}, fits=1, steps=10**6)
    runs = list(results.runs)
    assert [event.retry for event in told if event.what == "lost"] == [True] * 2 * len(runs)
    for run in runs:
        assert run.record is not None
        assert run.record.status == "failed"
        assert "killed by Ray, because the node's memory was short" in run.record.message


@pytest.mark.filterwarnings("ignore:the executor raised ClusterLost")
def test_a_cluster_that_goes_away_is_given_up_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    original = RayExecutor._take
    with LocalCluster(nodes=1, cpus=1) as cluster:

        def take(self: RayExecutor, number: int, what: str, content: Any) -> None:
            original(self, number, what, content)
            if what == "finished":
                monkeypatch.undo()
                cluster.remove_head()

        monkeypatch.setattr(RayExecutor, "_take", take)
        results = evaluate(tmp_path, {"name": "ray", "address": cluster.address, "wait_s": 10}, fits=3)
    records = [run.record for run in results.runs if run.record is not None]
    assert {record.status for record in records} == {"ok", "failed"}
    failed = [record.message for record in records if record.status == "failed"]
    assert all(f"the Ray cluster at {cluster.address} has" in message for message in failed), failed
