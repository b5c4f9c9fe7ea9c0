"""Several drivers and several specs on one folder: good records stay, and each driver shows its own table."""

from __future__ import annotations

import json
import signal
import subprocess
from pathlib import Path

import pytest
from runs_support import RAY, CarryOut, MakeCase, fits, started, times_of_files, wait_until

from inrbench_core.results.load import load_results

pytestmark = pytest.mark.slow


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    """Three seeds of a task whose evaluation is told by the environment what to do."""
    file = tmp_path / "trouble.yaml"
    file.write_text("{task: trouble, fields: [shallow], training: {steps: 3, evaluate_every: 0}, seeds: 3}")
    return file


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Where evaluations leave a file each."""
    folder = tmp_path / "place"
    folder.mkdir()
    return folder


def complete(spec: Path, out: Path) -> dict[str, int]:
    with started("eval", "--spec", spec, "--out", out, "--jobs", "1") as driver:
        assert driver.wait(timeout=120) == 0
    times = times_of_files(out)
    assert len(times) == 4
    return times


def statuses(folder: Path) -> list[str]:
    return [run.status for run in load_results(folder).runs]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL], ids=lambda number: number.name)
def test_repeating_and_being_stopped_loses_no_good_record(
    spec: Path, place: Path, tmp_path: Path, number: signal.Signals
) -> None:
    """`--fresh` and Ctrl-C replaced 5 of 5 good records by `interrupted`."""
    out = tmp_path / "out"
    before = complete(spec, out)
    environment = {"TROUBLE_DO": "hold", "TROUBLE_PLACE": str(place)}
    with started("eval", "--spec", spec, "--out", out, "--jobs", "2", "--fresh", env=environment) as driver:
        wait_until(lambda: len(list(place.iterdir())) == 2)
        driver.send_signal(number)
        _, errors = driver.communicate(timeout=60)
    if number != signal.SIGKILL:
        assert driver.returncode == 130
        assert "stopped: 4 of 4 runs are done and kept in" in errors
    assert statuses(out) == ["ok"] * 4
    after = times_of_files(out)
    # The baseline does not evaluate a field, and was repeated.
    assert sum(after[name] == before[name] for name in before) >= 3


def test_repeating_what_fails_now_loses_no_good_record(spec: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    complete(spec, out)
    before = {run.id: dict(run.metrics) for run in load_results(out).runs}
    arguments = ("eval", "--spec", spec, "--out", out, "--jobs", "1", "--fresh")
    with started(*arguments, env={"TROUBLE_DO": "die"}) as driver:
        output, _ = driver.communicate(timeout=120)
    # It says that something failed, and shows what is kept.
    assert driver.returncode == 1
    assert "3/3" in output
    assert {run.id: dict(run.metrics) for run in load_results(out).runs} == before


@pytest.mark.parametrize("executor", ["local", RAY])
def test_a_second_driver_is_told_and_changes_nothing(tmp_path: Path, case_of: MakeCase, executor: str) -> None:
    case = case_of(executor)
    out, spec = tmp_path / "out", tmp_path / "hold.yaml"
    keys = {"task": {"name": "trouble", "do": "hold"}, "fields": ["shallow"], "training": {"steps": 3}}
    spec.write_text(json.dumps({**keys, "executor": dict(case.spec)}))
    with started("eval", "--spec", spec, "--out", out, "--jobs", "1") as first:
        wait_until(lambda: list(case.place.iterdir()))
        before = times_of_files(out)
        assert before
        with started("eval", "--spec", spec, "--out", out) as second:
            output, errors = second.communicate(timeout=60)
        assert second.returncode == 2
        assert output == ""
        (line,) = errors.splitlines()
        assert f"{out}: in use by process {first.pid} on " in line
        assert "--wait" in line
        assert times_of_files(out) == before
        assert first.poll() is None


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL], ids=lambda number: number.name)
def test_a_driver_that_waits_goes_on_when_the_first_has_gone(
    spec: Path, place: Path, tmp_path: Path, number: signal.Signals
) -> None:
    """A first driver that was killed with -9 leaves no lock behind."""
    out = tmp_path / "out"
    environment = {"TROUBLE_DO": "hold", "TROUBLE_PLACE": str(place)}
    with started("eval", "--spec", spec, "--out", out, "--jobs", "1", env=environment) as first:
        wait_until(lambda: list(place.iterdir()))
        with started("eval", "--spec", spec, "--out", out, "--jobs", "1", "--wait") as second:
            with pytest.raises(subprocess.TimeoutExpired):
                second.wait(timeout=4)
            kept = times_of_files(out)
            first.send_signal(number)
            _, errors = second.communicate(timeout=120)
            assert second.returncode == 0, errors
    assert statuses(out) == ["ok"] * 4
    after = times_of_files(out)
    assert {name: after[name] for name in kept} == kept


ONE = {"name": "one", "task": "line", "fields": ["shallow", "swell"]}
TWO = {"name": "two", "task": "line", "fields": ["swell", {"name": "shallow", "width": 4, "label": "narrow"}]}
ROWS = {"one": ["zero", "wave", "swell"], "two": ["zero", "swell", "narrow"]}


def test_overlapping_specs_one_after_the_other(evaluate: CarryOut, tmp_path: Path) -> None:
    """The first printed the second's table."""
    rows = {}
    for spec in (ONE, TWO, ONE):
        results = evaluate(**spec)
        (board,) = results.boards
        rows[spec["name"]] = [row.label for row in board.rows]
        assert {run.status for run in results.runs} == {"ok"}
    assert rows == ROWS
    # zero and swell are in both.
    assert len(times_of_files(tmp_path / "results")) == 4
    (last,) = load_results(tmp_path / "results").boards
    assert [row.label for row in last.rows] == ROWS["one"]
    (every,) = load_results(tmp_path / "results", every=True).boards
    assert {row.label for row in every.rows} == {*ROWS["one"], *ROWS["two"]}


@pytest.mark.parametrize("executor", ["local", RAY])
def test_overlapping_specs_at_the_same_time(tmp_path: Path, case_of: MakeCase, executor: str) -> None:
    drivers = {}
    common = {"training": {"steps": 500}, "seeds": 2, "executor": dict(case_of(executor).spec)}
    out = tmp_path / "out"
    for spec in (ONE, TWO):
        file = tmp_path / f"{spec['name']}.yaml"
        file.write_text(json.dumps({**spec, **common}))
        drivers[spec["name"]] = started("eval", "--spec", file, "--out", out, "--jobs", "1", "--wait", "--json")
    with drivers["one"] as one, drivers["two"] as two:
        found = {}
        for name, driver in (("one", one), ("two", two)):
            output, errors = driver.communicate(timeout=180)
            assert driver.returncode == 0, errors
            (board,) = json.loads(output)["tasks"]
            found[name] = {row["field"] for row in board["rows"]}
    assert found == {name: set(rows) for name, rows in ROWS.items()}
    assert len(times_of_files(out)) == 7
    assert len(list((out / "experiments").glob("*.json"))) == 2
    results = load_results(out, every=True)
    assert {run.status for run in results.runs} == {"ok"}
    assert len(fits(results)) == 6
