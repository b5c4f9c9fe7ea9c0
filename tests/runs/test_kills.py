"""Kills at random times: nothing is lost, nothing is repeated, nothing is left behind."""

from __future__ import annotations

import itertools
import json
import os
import random
import shutil
import signal
import subprocess
import time
from collections import Counter, deque
from pathlib import Path

import pytest
from runs_support import RAY, ExecutorCase, MakeCase, children_of, started, times_of_files, wait_until

from inrbench_core.results.load import load_results
from inrbench_core.runs.runfile import NotARun, read_file

# 12 fits of about 0.3 s, and a run of a baseline.
SPEC = """
name: sweep
task: line
fields: [shallow, swell, {name: shallow, activation: kink}]
training: {steps: 1000, evaluate_every: 100, compile: "off"}
seeds: 4
"""
RUNS = 13
SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
VICTIMS = ("driver", "worker", "group")
JOBS = (1, 2)
COMBINATIONS = list(itertools.product(VICTIMS, SIGNALS, JOBS))
# How long after its first write into the folder a driver may be killed, in s: half of it is the start of workers.
LATEST_S = {"local": 4.0, "ray": 12.0}
EXECUTORS = ["local", RAY]
Kill = tuple[str, signal.Signals, int]


@pytest.fixture(scope="module")
def spec(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("kills") / "sweep.yaml"
    file.write_text(SPEC)
    return file


@pytest.fixture(scope="module")
def undisturbed(spec: Path) -> dict[str, dict[str, float]]:
    """The metrics of each run of a sweep that nobody stopped."""
    out = spec.parent / "undisturbed"
    complete(evaluation(spec, out, 1, ExecutorCase({"name": "local"}, out)))
    return metrics_of(out)


def evaluation(spec: Path, out: Path, jobs: int, case: ExecutorCase) -> list[str]:
    """The command's arguments."""
    executor = json.dumps(dict(case.spec))
    return ["eval", "--spec", str(spec), "--out", str(out), "--jobs", str(jobs), "--set", f"executor={executor}"]


def complete(arguments: list[str]) -> None:
    with started(*arguments) as driver:
        _, errors = driver.communicate(timeout=300)
        assert driver.returncode == 0, errors
        assert children_of(driver.pid) == []


def metrics_of(out: Path) -> dict[str, dict[str, float]]:
    results = load_results(out)
    assert results.warnings == ()
    found = {run.id: dict(run.metrics) for run in results.runs}
    assert len(found) == RUNS
    return found


def good_files(out: Path) -> dict[str, int]:
    """When each file of a run that is ok was written, in ns; asserts that every file is whole."""
    times = times_of_files(out)
    for name in list(times):
        try:
            record = read_file(out / "runs" / name)
        except NotARun as error:
            pytest.fail(f"{name}: {error}")
        if record.status != "ok":
            assert record.status == "interrupted"
            del times[name]
    return times


def kill(driver: subprocess.Popen[str], out: Path, case: ExecutorCase, kind: Kill, at: random.Random) -> bool:
    """Send the signal at a random time; whether it met anything alive."""
    victim, number, _ = kind
    lock = out / "lock"
    # Before, Python itself is starting, and nothing of ours has been done.
    wait_until(lambda: (lock.exists() and f"process {driver.pid} " in lock.read_text()) or driver.poll() is not None)
    if victim == "worker" and case.cluster is not None:
        # A cluster takes its time to start one.
        wait_until(lambda: case.workers(driver.pid) or driver.poll() is not None)
    time.sleep(at.uniform(0, LATEST_S["local" if victim == "worker" else case.spec["name"]]))
    if driver.poll() is not None:
        return False
    children = children_of(driver.pid)
    workers = case.workers(driver.pid)
    targets = {"driver": [driver.pid], "worker": workers[:1], "group": [driver.pid, *children]}[victim]
    for target in targets:
        try:
            os.kill(target, number)
        except ProcessLookupError:
            continue
    return bool(targets)


def disturb(spec: Path, out: Path, case: ExecutorCase, kind: Kill, at: random.Random) -> bool:
    """Carry out the sweep and kill something; asserts that what was done stays done."""
    victim, number, jobs = kind
    before = good_files(out)
    with started(*evaluation(spec, out, jobs, case)) as driver:
        met = kill(driver, out, case, kind, at)
        _, errors = driver.communicate(timeout=300)
        wait_until(lambda: children_of(driver.pid) == [], 2.0)
        # A cluster ends its workers when it notices that their driver is gone.
        wait_until(lambda: case.workers(driver.pid) == [], 2.0 if case.cluster is None else 20.0)
    assert "Traceback" not in errors, errors
    if victim == "worker" or not met:
        # The run is tried again.
        assert driver.returncode == 0, errors
    else:
        # It may have been at its very end.
        assert driver.returncode in (130, -number, 0), errors
    after = good_files(out)
    assert {name: after.get(name) for name in before} == before
    return met


def carry_out_kills(
    spec: Path,
    folder: Path,
    undisturbed: dict[str, dict[str, float]],
    case: ExecutorCase,
    kills: list[Kill],
    seed: int,
) -> Counter[str]:
    """Kill sweeps until all kills are spent, and complete each sweep; how many of each kind met something."""
    at, counts = random.Random(seed), Counter[str]()
    left = deque(kills)
    while left:
        out = folder / f"out{len(left)}-{sum(counts.values())}"
        (out / "runs").mkdir(parents=True)
        # What the first kill has left is killed again.
        for _ in range(min(2, len(left))):
            kind = left.popleft()
            if disturb(spec, out, case, kind, at):
                counts[f"{kind[0]} {kind[1].name}"] += 1
            else:
                counts["too late"] += 1
                left.append(kind)
                break
        before = good_files(out)
        complete(evaluation(spec, out, 1 + len(left) % 2, case))
        after = good_files(out)
        assert {name: after[name] for name in before} == before
        assert metrics_of(out) == undisturbed
        assert sorted(path.name for path in out.iterdir()) == [
            "experiments",
            "index.sqlite",
            "line.png",
            "lock",
            "runs",
        ]
        assert {path.suffix for path in (out / "runs").iterdir()} == {".h5"}
        shutil.rmtree(out)
    return counts


@pytest.mark.slow
@pytest.mark.parametrize("executor", EXECUTORS)
def test_a_few_kills(
    spec: Path, tmp_path: Path, undisturbed: dict[str, dict[str, float]], case_of: MakeCase, executor: str
) -> None:
    """Each victim and each signal: twice, with one and with two jobs; on Ray, which takes longer to start, once."""
    jobs_of = {"local": JOBS, "ray": JOBS[1:]}[executor]
    kills = [(victim, SIGNALS[(index + jobs) % 3], jobs) for jobs in jobs_of for index, victim in enumerate(VICTIMS)]
    counts = carry_out_kills(spec, tmp_path, undisturbed, case_of(executor), kills, 0)
    assert counts.total() - counts["too late"] == len(kills)


@pytest.mark.long
@pytest.mark.parametrize("executor", EXECUTORS)
def test_sixty_kills(
    spec: Path, tmp_path: Path, undisturbed: dict[str, dict[str, float]], case_of: MakeCase, executor: str
) -> None:
    kills = [COMBINATIONS[index % len(COMBINATIONS)] for index in range(60)]
    random.Random(1).shuffle(kills)
    counts = carry_out_kills(spec, tmp_path, undisturbed, case_of(executor), kills, 1)
    print(dict(counts))
    assert counts.total() - counts["too late"] == 60
