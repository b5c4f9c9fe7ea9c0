"""Helpers of the tests of runs; conftest.py puts this folder on the path."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from inrbench_core.results.results import ResultRun, Results
from inrbench_core.runs.plan import Plan
from inrbench_core.runs.record import RunRecord
from inrbench_core.spec.experiment import Experiment

STAND_INS = Path(__file__).parent.parent / "stand_ins"
PLUGINS = [STAND_INS / f"{name}.py" for name in ("small_plugin", "trouble_plugin", "executors_plugin")]
PLUGIN_OPTIONS = [option for plugin in PLUGINS for option in ("--plugin-file", str(plugin))]
# A fit of a few milliseconds.
TINY = {"steps": 3, "evaluate_every": 0, "compile": "off"}
MakeExperiment = Callable[..., Experiment]
MakePlan = Callable[..., Plan]
CarryOut = Callable[..., Results]
RAY = pytest.param(
    "ray",
    marks=[
        pytest.mark.ray,
        pytest.mark.slow,
        pytest.mark.skipif(find_spec("inrbench_executor_ray") is None, reason="needs inrbench-executor-ray"),
    ],
)


@dataclass(frozen=True)
class ExecutorCase:
    """An executor under test.

    Args:
        spec: as in a spec's `executor:`.
        place: where evaluations of the task `trouble` leave a file each; empty.
        cluster: the process under which its workers are, or None: they are under the driver.
    """

    spec: Mapping[str, Any]
    place: Path
    cluster: int | None = None

    def workers(self, driver: int) -> list[int]:
        """The ids of the processes that fit."""
        found = children_of(self.cluster or driver)
        return [process_id for process_id in found if "inrbench_core.runs.serve" in command_line(process_id)]


def command_line(process_id: int) -> str:
    """What a process was started with; "" if it is gone."""
    try:
        return Path(f"/proc/{process_id}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except OSError:
        return ""


MakeCase = Callable[[str], ExecutorCase]


def fits(results: Results) -> list[ResultRun]:
    """The runs of fields, without the tasks' own baselines."""
    return [run for run in results.runs if not run.baseline]


def record_of(run: ResultRun) -> RunRecord:
    """The record of a run that has one."""
    assert run.record is not None, run
    return run.record


def times_of_files(folder: Path) -> dict[str, int]:
    """When each run file of a folder of results was changed last, in ns."""
    return {file.name: file.stat().st_mtime_ns for file in (folder / "runs").glob("*.h5")}


def command(*arguments: str | Path) -> list[str]:
    """The command line of `inrbench` with the stand-ins."""
    return [sys.executable, "-m", "inrbench_core.cli.app", *map(str, arguments), *PLUGIN_OPTIONS]


@contextmanager
def started(*arguments: str | Path, **options: Any) -> Iterator[subprocess.Popen[str]]:
    """`inrbench` in a process group of its own, ended with all that it started."""
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, **options}
    # What it leaves behind is found by a mark in its environment, which children inherit.
    environment = {**os.environ, "NO_COLOR": "1", "OMP_NUM_THREADS": "1", **options.pop("env", {})}
    process = subprocess.Popen(command(*arguments), env=environment, start_new_session=True, **options)
    try:
        yield process
    finally:
        for process_id in [process.pid, *children_of(process.pid)]:
            try:
                os.kill(process_id, signal.SIGKILL)
            except ProcessLookupError:
                continue
        process.communicate()


def children_of(process_id: int) -> list[int]:
    """The ids of all living processes that descend from a process, those of its session included."""
    parents, sessions = {}, {}
    for folder in Path("/proc").iterdir():
        if not folder.name.isdecimal():
            continue
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if fields[0] != "Z":
            parents[int(folder.name)], sessions[int(folder.name)] = int(fields[1]), int(fields[3])
    found = {child for child, session in sessions.items() if session == process_id} - {process_id}
    while new := {child for child, parent in parents.items() if parent in {*found, process_id}} - found - {process_id}:
        found |= new
    return sorted(found)


def wait_until(condition: Callable[[], Any], limit_s: float = 60.0) -> Any:
    """What `condition` gives as soon as that is true."""
    until = time.monotonic() + limit_s
    while not (found := condition()):
        assert time.monotonic() < until, f"not after {limit_s:g} s"
        time.sleep(0.02)
    return found
