"""What is looked at before anything is trained, in a process of its own, whatever a plugin does there."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image
from runs_support import PLUGINS, TINY, MakeExperiment, MakePlan, children_of, wait_until
from torch import Tensor, nn

import inrbench_core as inr
from inrbench_core.api.errors import UnsupportedError
from inrbench_core.api.problem import Batch, Problem
from inrbench_core.fit import calibrate
from inrbench_core.plugins.loading import load_catalog
from inrbench_core.runs import check
from inrbench_core.runs.check_process import Step, check_apart
from inrbench_core.runs.execute import execute, prepare
from inrbench_core.runs.plan import make_plan
from inrbench_core.runs.run import FitRun
from inrbench_core.spec.builder import build_experiment
from inrbench_core.spec.yaml_io import SpecError, document_of

ENDING = '''
import os
import sys
import time
from typing import Literal

from inrbench_core import Metric, TaskEntry, TaskSpec, hookimpl


class EndingSpec(TaskSpec):
    """A task that never comes to be."""

    source: str
    how: Literal["exit", "os_exit", "sleep"]


def prepare(spec, *, device, seeds):
    if spec.how == "exit":
        sys.exit(0)
    if spec.how == "os_exit":
        os._exit(0)
    time.sleep(600)


@hookimpl
def inrbench_tasks():
    yield TaskEntry("ending", EndingSpec, "ending_plugin:prepare", metrics=(Metric("psnr", "dB"),), api=1)
'''
ENDS = {
    "exit": "it raised SystemExit: 0",
    "os_exit": "the process that checks it died (exit status 0)",
    "sleep": "timed out after 3 s",
}


@pytest.fixture
def ending(tmp_path: Path) -> Path:
    """A plugin file with a task that ends its process or hangs."""
    (tmp_path / "signal.txt").write_text("1")
    file = tmp_path / "ending_plugin.py"
    file.write_text(ENDING)
    return file


def ending_spec(folder: Path, how: str) -> dict[str, Any]:
    task = {"name": "ending", "source": str(folder / "signal.txt"), "how": how}
    return {"name": "ending", "task": task, "fields": ["shallow"], "training": TINY, "timeout_s": 3}


@pytest.mark.parametrize("how", ENDS)
def test_a_task_that_ends_or_hangs_its_process_costs_a_warning_and_leaves_no_process(
    ending: Path, tmp_path: Path, how: str
) -> None:
    files = [*PLUGINS, ending]
    catalog = load_catalog(files)
    plan = make_plan(build_experiment(document_of(ending_spec(tmp_path, how)), catalog), catalog, "cpu")
    before = children_of(os.getpid())
    with pytest.warns(UserWarning, match="not all data") as caught:
        assert check_apart(plan, files, plan.runs) == {}
    assert [str(warning.message) for warning in caught] == [
        f"not all data and budgets are checked: ending / signal.txt: {ENDS[how]}"
    ]
    assert set(children_of(os.getpid())) <= set(before)


def test_a_run_whose_task_ends_its_process_is_recorded_as_failed(ending: Path, tmp_path: Path) -> None:
    program = f"""
        import inrbench_core as inr
        results = inr.evaluate({ending_spec(tmp_path, "os_exit")!r}, out={str(tmp_path / "out")!r},
                               plugin_files={[str(file) for file in [*PLUGINS, ending]]!r}, jobs=1)
        print([(run.status, run.record.message) for run in results.runs])
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, cwd=tmp_path, check=False
    )
    assert done.stdout == "[('failed', 'its worker process died (exit status 0)')]\n", done.stderr
    assert done.stderr.count("not all data and budgets are checked") == 1


def test_an_interrupt_ends_the_process_that_checks(ending: Path, tmp_path: Path) -> None:
    files = [*PLUGINS, ending]
    catalog = load_catalog(files)
    plan = make_plan(build_experiment(document_of(ending_spec(tmp_path, "sleep")), catalog), catalog, "cpu")
    before = children_of(os.getpid())

    def interrupt(step: Step) -> None:
        assert set(children_of(os.getpid())) > set(before)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        check_apart(plan, files, plan.runs, on_step=interrupt)
    wait_until(lambda: set(children_of(os.getpid())) <= set(before), 5)


def test_problems_of_the_other_process_have_lines_and_paths(plan: MakePlan) -> None:
    made = plan(fields=["swell", {"name": "shallow", "width": {"parameters": 5}}])
    with pytest.raises(SpecError, match=r"^spec: fields\[1\]: .*within 2 % of 5 parameters"):
        check_apart(made, PLUGINS, made.runs)


def test_the_other_process_has_the_changes_of_the_command_line(catalog: Any) -> None:
    spec = document_of({"name": "tiny", "task": "line", "fields": ["swell"], "training": TINY})
    width = "fields=[{name: shallow, width: {parameters: 1000}}]"
    made = make_plan(build_experiment(spec, catalog, [width]), catalog, "cpu")
    ((key, cost),) = check_apart(made, PLUGINS, made.runs).items()
    assert key == ("line", "wave", "line")
    # x and one output, with biases: 3 n + 1 parameters.
    assert (cost.width, cost.parameters) == (333, 1000)


def test_a_device_that_is_not_there_is_one_error(experiment: MakeExperiment, catalog: Any) -> None:
    made = make_plan(experiment(fields=[{"name": "shallow", "width": {"parameters": 1000}}]), catalog, "cuda:99")
    with pytest.raises(inr.InrbenchError, match="'cuda:99' is not available") as caught:
        check_apart(made, PLUGINS, made.runs)
    assert not isinstance(caught.value, UnsupportedError | SpecError)


class Counted(set[str]):
    """Counts how often something is looked up in it."""

    looked_up = 0

    def __contains__(self, item: object) -> bool:
        self.looked_up += 1
        return super().__contains__(item)


def test_each_run_is_looked_at_once_however_many_signals_there_are(plan: MakePlan, tmp_path: Path) -> None:
    names = [str(tmp_path / f"{number}.txt") for number in range(30)]
    for number, name in enumerate(names, 3):
        Path(name).write_text(str(number))
    made = plan(task={"name": "trouble", "signals": names}, fields=["shallow", "swell"], seeds=2)
    (board,) = made.boards
    todo = Counted(made.runs)
    chosen = check.runs_to_check(board, todo, everything=False)
    assert todo.looked_up <= len(made.runs) == 30 + 2 * 30 * 2
    assert len(chosen) == 30
    assert all(list(runs) == [0] for runs in chosen.values())
    everything = check.runs_to_check(board, todo, everything=True)
    assert all(list(runs) == [0, 1, 2] for runs in everything.values())
    # A run that is done is not looked at: the next seed of its row is.
    baseline, first = (board.rows[row].runs[0] for row in (0, 1))
    rest = check.runs_to_check(board, set(made.runs) - {baseline.id, first.id}, everything=False)
    assert [(row, run.seed) for row, run in rest[first.signal].items()] == [(1, 1)]


def test_rows_of_one_structure_share_a_measurement(plan: MakePlan, monkeypatch: pytest.MonkeyPatch) -> None:
    measured: list[Any] = []

    def measure(problem: Any, model: Any, training: Any, **options: Any) -> float:
        measured.append((training.batch, sum(item.numel() for item in model.parameters())))
        return float(len(measured))

    monkeypatch.setattr(check, "step_seconds", measure)
    made = plan(
        fields=[
            {"name": "shallow", "activation": {"name": "wave", "omega": 2.0}},
            {"name": "shallow", "training": {"lr": 0.5, "steps": 100}},
            {"name": "shallow", "activation": "kink"},
            {"name": "shallow", "width": 8},
            {"name": "shallow", "training": {"batch": 16}},
        ],
        task={"name": "trouble", "signals": ["3", "4"]},
    )
    steps: list[Step] = []
    answer = check.check_plan(made, made.runs, everything=True, on_step=steps.append)
    assert measured == [("full", 49), ("full", 49), ("full", 25), (16, 49)]
    assert len(answer.costs) == 10
    seconds = {(field, signal): round(cost.seconds) for (_, field, signal), cost in answer.costs.items()}
    labels = [row.label for row in made.boards[0].rows if row.source]
    assert [seconds[label, "4"] for label in labels] == [3 * 1, 100 * 1, 3 * 2, 3 * 3, 3 * 4]
    assert [step.done for step in steps if step.what.count("/") == 2] == list(range(10))
    assert {step.total for step in steps} == {10}


def test_a_measurement_is_what_a_step_takes(plan: MakePlan, monkeypatch: pytest.MonkeyPatch) -> None:
    made = plan(task={"name": "line", "samples": 4096}, training={**TINY, "steps": 50})
    (run,) = [run for run in made.runs.values() if isinstance(run, FitRun)]
    problem = prepare(run, check.choose_device("cpu"))
    clock = SimpleNamespace(now=0.0)
    clock.perf_counter = lambda: clock.now
    loss = type(problem).loss

    def slow(self: Problem, model: nn.Module, batch: Batch) -> Tensor:
        # Probes before the first step see fewer.
        clock.now += 0.02 * (len(batch["coords"]) == 4096)
        return loss(self, model, batch)

    monkeypatch.setattr(type(problem), "loss", slow)
    for module in (calibrate, check):
        monkeypatch.setattr(module, "time", clock)
    (cost,) = check.check_plan(made, made.runs, everything=True).costs.values()
    assert cost.seconds == pytest.approx(50 * 0.02)


def test_flops_are_of_the_signal_though_two_files_have_one_name(plan: MakePlan, tmp_path: Path) -> None:
    for size in (8, 16):
        (tmp_path / str(size)).mkdir()
        pixels = np.random.default_rng(0).integers(0, 256, (size, size, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / str(size) / "same.png")
    tasks = [{"name": "image", "source": str(tmp_path / size / "same.png")} for size in ("8", "16")]
    made = plan(task=None, tasks=tasks, fields=["shallow"], training={**TINY, "batch": "full"})
    records = [execute(run) for run in made.runs.values() if isinstance(run, FitRun)]
    small, large = (record.flops for record in records)
    # Four times the pixels; what is counted of a few differs by little.
    assert large == pytest.approx(4 * small, rel=0.02)
    assert small > 0


EXITS = '''
import sys
from pathlib import Path

from pydantic import field_validator

from inrbench_core import Metric, TaskEntry, TaskSpec, hookimpl


class ExitSpec(TaskSpec):
    """A task whose spec ends the process."""

    where: str

    @field_validator("where")
    @classmethod
    def _where(cls, value):
        if value == "validator":
            sys.exit(0)
        return value

    def user_files(self) -> list[Path]:
        return sys.exit(0) if self.where == "user_files" else []

    def accepts(self, field):
        sys.exit(0)


@hookimpl
def inrbench_tasks():
    yield TaskEntry("exits", ExitSpec, "exits_plugin:none", metrics=(Metric("psnr", "dB"),), api=1)
'''


@pytest.mark.parametrize("where", ["validator", "user_files", "accepts"])
def test_a_spec_of_a_plugin_that_exits_is_one_line_and_counts_as_broken(tmp_path: Path, where: str) -> None:
    file = tmp_path / "exits_plugin.py"
    file.write_text(EXITS)
    spec = {"name": "exits", "task": {"name": "exits", "where": where}, "fields": ["shallow"]}
    with pytest.raises(SpecError) as caught:
        build_experiment(document_of(spec), load_catalog([*PLUGINS, file]))
    (line,) = str(caught.value).splitlines()
    assert "task 'exits' of exits_plugin.py raised SystemExit: 0" in line
    assert caught.value.broken


def test_a_plugin_file_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    spec = {"name": "tiny", "task": "line", "fields": ["shallow"]}
    with pytest.raises(inr.InrbenchError, match=r"^plugin_files: nope\.py: no such file$"):
        inr.evaluate(spec, out=tmp_path / "out", plugin_files=[*PLUGINS, "nope.py"])
    assert not (tmp_path / "out").exists()
