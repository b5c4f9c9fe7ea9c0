"""`inrbench eval --dry-run`: what a spec would do, and how long it would take."""

import json
import re
from pathlib import Path

import pytest

from inrbench_core.runs.check_process import Step

STAND_INS = Path(__file__).parent.parent / "stand_ins"


SWEPT = """
name: swept
tasks: [line, {name: line, curvature: true, label: curved}]
fields:
  - {name: shallow, activation: [wave, kink]}
  - swell
  - {name: shallow, label: own, training: {lr: 0.125}}
training: {steps: 4, lr: 0.5, compile: off}
seeds: 2
executor: inline
"""


def test_dry_run_tells_every_run_with_the_source_of_its_training_and_writes_nothing(
    run_cli, write_spec, tmp_path, plugin
):
    done = run_cli("eval", "--spec", write_spec(SWEPT), "--dry-run", "--json", *plugin, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "results").exists()
    data = json.loads(done.stdout, parse_constant=pytest.fail)
    assert (data["schema"], data["name"], data["done"]) == ("inrbench.plan/3", "swept", 0)
    line = {row["field"]: row for row in data["rows"] if row["task"] == "line" and row["seed"] == 0}
    assert {label: row["baseline"] for label, row in line.items()} == {
        "zero": True,
        "wave": False,
        "kink": False,
        "swell": False,
        "own": False,
    }
    rates = {
        label: (row["training"]["lr"], row["training_sources"]["lr"]) for label, row in line.items() if row["training"]
    }
    assert rates == {
        "wave": (2e-3, "activation wave"),
        "kink": (0.5, "shared training"),
        "swell": (5e-3, "recipe swell"),
        "own": (0.125, "own training"),
    }
    assert {label: row["parameters"] for label, row in line.items()} == {
        "zero": None,
        "wave": 49,
        "kink": 49,
        "swell": 25,
        "own": 49,
    }
    assert all(0 < row["seconds"] < 60 for row in line.values() if row["training"])
    skipped = [(row["task"], row["field"], row["id"]) for row in data["rows"] if row["skip"]]
    assert skipped == [("curved", "kink", None)]
    ids = {row["id"] for row in data["rows"] if row["id"]}
    assert len(ids) == data["runs"] == 2 * 4 + 2 * 4


def test_dry_run_counts_what_is_done_by_its_id(run_cli, write_spec, tmp_path, plugin):
    file = write_spec(SWEPT)
    command = ("eval", "--spec", file, "--set", "tasks=[line]", *plugin)
    evaluated = run_cli(*command, "--set", "fields=[swell]", "--format", "runs", "--json", cwd=tmp_path)
    assert evaluated.returncode == 0, evaluated.stderr
    done_ids = {run["run"] for run in json.loads(evaluated.stdout)["runs"]}
    data = json.loads(run_cli(*command, "--dry-run", "--json", cwd=tmp_path).stdout)
    assert {row["id"] for row in data["rows"] if row["done"]} == done_ids
    assert data["done"] == len(done_ids) == 3
    fresh = json.loads(run_cli(*command, "--dry-run", "--fresh", "--json", cwd=tmp_path).stdout)
    assert fresh["done"] == 0
    text = run_cli(*command, "--set", "fields=[swell]", "--dry-run", cwd=tmp_path).stdout
    assert "3 runs, 3 of them done: nothing is left to do" in text


def test_dry_run_for_people_names_rates_reasons_and_the_time(run_cli, write_spec, tmp_path, plugin):
    text = run_cli("eval", "--spec", write_spec(SWEPT), "--dry-run", *plugin, cwd=tmp_path).stdout
    assert "line (2 seeds, steps 4, batch full)" in text
    rows = {line.split()[0]: line.split() for line in text.splitlines() if len(line.split()) > 4}
    assert rows["swell"][1:6] == ["2", "25", "0.005", "recipe", "swell"]
    assert "zero (baseline)" in text
    assert "kink: skipped: the loss takes 2 derivatives of the field, and kink has only 1" in text
    assert re.search(r"16 runs: about .*; steps are measured without compilation, and start-up is left out", text)


def test_the_seed_of_a_baseline_that_serves_all_seeds_is_not_counted(run_cli, write_spec, tmp_path, plugin):
    spec = write_spec(SWEPT.replace("seeds: 2", "seeds: [5]"))
    text = run_cli("eval", "--spec", spec, "--dry-run", *plugin, cwd=tmp_path).stdout
    assert "line (steps 4, batch full)" in text


def test_measuring_is_told_on_stderr_where_it_takes_long(monkeypatch, capsys):
    from inrbench_core.cli import dry_run

    now = 100.0
    monkeypatch.setattr(dry_run.time, "monotonic", lambda: now)
    lines = dry_run.ProgressLines()
    for done in range(12):
        lines.tell(Step(done, 12, f"line / field {done}"))
        now += 1.0
    captured = capsys.readouterr()
    assert captured.err.splitlines() == [
        "inrbench: measuring 6 of 12: line / field 5",
        "inrbench: measuring 11 of 12: line / field 10",
    ]
    assert captured.out == ""


def test_dry_run_of_a_task_that_cannot_be_prepared_says_that_the_time_is_not_known(run_cli, write_spec, tmp_path):
    (tmp_path / "absent_plugin.py").write_text(
        "from inrbench_core import Metric, TaskEntry, TaskSpec, hookimpl\n"
        "class AbsentSpec(TaskSpec):\n    'A task whose code exits.'\n"
        "def prepare(spec, **options):\n    raise SystemExit(0)\n"
        "@hookimpl\ndef inrbench_tasks():\n"
        "    yield TaskEntry('absent', AbsentSpec, 'absent_plugin:prepare', metrics=(Metric('psnr'),), api=1)\n"
    )
    options = ("--dry-run", "--plugin-file", "absent_plugin.py", "--plugin-file", STAND_INS / "small_plugin.py")
    done = run_cli("eval", "--spec", write_spec("{task: absent, fields: [shallow]}"), *options, cwd=tmp_path)
    assert done.returncode == 0
    assert "1 runs: time not known; steps are measured without compilation" in done.stdout
    assert done.stderr.splitlines() == [
        "inrbench: warning: not all data and budgets are checked: absent: it raised SystemExit: 0"
    ]


def test_fields_with_fewer_trials_than_asked_for_are_told_before_and_with_the_run(
    run_cli, write_spec, tmp_path, plugin
):
    keys = "training: {steps: 1, compile: off}, executor: inline"
    tuning = "tuning: {trials: 8, over: {activation.omega: {choices: [10, 20]}}}"
    command = ("eval", "--spec", write_spec(f"{{task: line, fields: [swell], {keys}, {tuning}}}"), *plugin)
    for more in (["--dry-run"], []):
        done = run_cli(*command, *more, cwd=tmp_path)
        assert done.returncode == 0
        assert "warning: tuning on line: not every field has 8 trials, because" in done.stderr
        assert "make fewer settings for some: swell 3" in done.stderr
