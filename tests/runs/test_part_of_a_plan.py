"""Carrying out a part of a plan: patterns of labels, and a limit of time."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from runs_support import PLUGINS, CarryOut, MakeExperiment, fits, record_of, started, times_of_files, wait_until

from inrbench_core.api.errors import InrbenchError
from inrbench_core.plugins.catalog import Catalog
from inrbench_core.results.evaluate import Options, carry_out
from inrbench_core.runs import driver as driver_module
from inrbench_core.runs.plan import make_plan

RunCli = Callable[..., subprocess.CompletedProcess[str]]
TASKS: dict[str, Any] = {
    "task": None,
    "tasks": [{"name": "trouble", "signals": ["3", "4"], "label": "curves"}, "line"],
    "fields": ["shallow", "swell", {"name": "swell", "label": "swell [wide]", "width": 12}],
    "seeds": 2,
}


@pytest.fixture
def select(experiment: MakeExperiment, catalog: Catalog) -> Callable[..., set[tuple[str, str, str]]]:
    """(task, signal, field) of the runs that patterns select."""

    def selected(*only: str) -> set[tuple[str, str, str]]:
        plan = make_plan(experiment(**TASKS), catalog, "cpu", only)
        return {(run.task_label, run.signal, run.label) for run in plan.runs.values()}

    return selected


def test_patterns_select_runs_by_the_label_of_field_task_or_signal(
    select: Callable[..., set[tuple[str, str, str]]],
) -> None:
    every = select()
    assert len(every) == 3 * 4
    assert select("swell") == {run for run in every if run[2] == "swell"}
    assert select("sw*") == {run for run in every if run[2].startswith("swell")}
    assert select("swell [wide]") == {run for run in every if run[2] == "swell [wide]"}
    assert select("curves") == {run for run in every if run[0] == "curves"}
    assert select("4") == {run for run in every if run[1] == "4"}
    assert select("4", "wave") == {run for run in every if run[1] == "4" or run[2] == "wave"}


@pytest.mark.parametrize("pattern", ["Swell", "wav", "5"])
def test_a_pattern_without_a_match_is_an_error_that_lists_labels(select: Callable[..., Any], pattern: str) -> None:
    with pytest.raises(InrbenchError) as caught:
        select("wave", pattern)
    assert str(caught.value) == (
        f"only {pattern!r}: no field, task or signal has such a label; "
        "there are fields: zero, wave, swell, swell [wide]; tasks: curves, line; signals: 3, 4, line"
    )


def test_the_other_runs_are_missing_or_known(experiment: MakeExperiment, catalog: Catalog, tmp_path: Path) -> None:
    spec = experiment(fields=["shallow", "swell"], seeds=2)
    first = carry_out(spec, catalog, Options(tmp_path, only=("swell",)), PLUGINS)
    assert {(run.field, run.status) for run in first.runs} == {
        ("zero", "missing"), ("wave", "missing"), ("swell", "ok"),
    }  # fmt: skip
    before = times_of_files(tmp_path)
    assert len(before) == 2
    second = carry_out(spec, catalog, Options(tmp_path, only=("zero",)), PLUGINS)
    assert {(run.field, run.status) for run in second.runs} == {("zero", "ok"), ("wave", "missing"), ("swell", "ok")}
    assert {name: times_of_files(tmp_path)[name] for name in before} == before
    assert len(list((tmp_path / "experiments").iterdir())) == 1


class Clock:
    """A clock that goes on by a second whenever a run is kept."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        monkeypatch.setattr(time, "monotonic", lambda: self.now)
        keep = driver_module.Driver._keep

        def kept(*arguments: Any) -> None:
            self.now += 1
            keep(*arguments)

        monkeypatch.setattr(driver_module.Driver, "_keep", kept)


def test_no_run_begins_after_the_limit_and_the_same_call_continues(
    experiment: MakeExperiment, catalog: Catalog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Clock(monkeypatch)
    spec = experiment(seeds=7)
    limited = Options(tmp_path, max_time_s=2.5)
    with pytest.warns(UserWarning, match=r"the time is over: 3 of 8 runs are done and kept in .*; the same command c"):
        first = carry_out(spec, catalog, limited, PLUGINS)
    # In the order of the plan.
    assert [(run.field, run.seed) for run in first.runs if run.status == "ok"] == [
        ("zero", 0), ("wave", 0), ("wave", 1),
    ]  # fmt: skip
    assert first.failed == frozenset()
    assert {run.status for run in first.runs} == {"ok", "missing"}
    with pytest.warns(UserWarning, match="6 of 8 runs are done"):
        carry_out(spec, catalog, limited, PLUGINS)
    last = carry_out(spec, catalog, limited, PLUGINS)
    assert {run.status for run in last.runs} == {"ok"}


def test_a_run_that_is_known_to_take_longer_than_what_is_left_does_not_begin(
    evaluate: CarryOut, experiment: MakeExperiment, catalog: Catalog, tmp_path: Path
) -> None:
    """Its other seed is known to take a second or so to compile, train and evaluate; baselines take nothing."""
    slow = {"fields": [{"name": "shallow", "training": {"steps": 3000, "evaluate_every": 0, "compile": "off"}}]}
    baseline, known = evaluate(**slow, out="results").runs
    baseline.path.unlink()
    assert known.record is not None
    took = known.record.times["total"]
    limited = Options(tmp_path / "results", max_time_s=took / 2)
    with pytest.warns(
        UserWarning, match=r"2 of 3 runs are done.*; the shortest of the others takes about \d+ s: give mo"
    ):
        results = carry_out(experiment(**slow, seeds=2), catalog, limited, PLUGINS)
    assert [(run.field, run.status) for run in results.runs] == [("zero", "ok"), ("wave", "ok"), ("wave", "missing")]


def test_a_run_that_is_under_way_at_the_limit_is_recorded_as_interrupted(
    evaluate: CarryOut, monkeypatch: pytest.MonkeyPatch
) -> None:
    take = driver_module.Driver._take

    def taken(driver: Any, event: Any) -> None:
        take(driver, event)
        if event.what == "started" and any(
            not run.is_baseline for run in driver._submitted[event.job_id].runs.values()
        ):
            driver.deadline = time.monotonic() + 0.1

    monkeypatch.setattr(driver_module.Driver, "_take", taken)
    executor = {"name": "local", "jobs": 1}
    with pytest.warns(UserWarning, match="the time is over: 1 of 3 runs are done and kept in"):
        results = evaluate(task={"name": "trouble", "do": "sleep"}, executor=executor, seeds=2)
    assert {(run.field, run.seed, run.status) for run in results.runs} == {
        ("zero", 0, "ok"), ("wave", 0, "interrupted"), ("wave", 1, "missing"),
    }  # fmt: skip
    assert results.failed == frozenset()
    assert record_of(fits(results)[0]).message == "interrupted at the time limit of the experiment"


@pytest.mark.parametrize("text", ["", "90", "1.5h", "h", "0s", "30m1x", "-5s"])
def test_a_time_span_that_is_none_is_one_line(run_cli: RunCli, tmp_path: Path, text: str) -> None:
    done = run_cli("eval", "--spec", tmp_path / "no.yaml", f"--max-time={text}")
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert f"expected a time span such as 90s, 30m, 8h or 1h30m, got {text!r}" in line


def test_results_are_shown_while_a_driver_is_under_way(run_cli: RunCli, tmp_path: Path) -> None:
    spec = tmp_path / "spec.yaml"
    keys = {"task": "trouble", "fields": ["shallow"], "training": {"steps": 3, "evaluate_every": 0}, "seeds": 2}
    spec.write_text(json.dumps(keys))
    (tmp_path / "place").mkdir()
    environment = {"TROUBLE_DO": "hold", "TROUBLE_PLACE": str(tmp_path / "place")}
    with started("eval", "--spec", spec, "--out", tmp_path / "out", "--jobs", "1", env=environment) as driver:
        wait_until(lambda: list((tmp_path / "place").iterdir()))
        done = run_cli("results", tmp_path / "out", "--json")
        assert driver.poll() is None
    assert done.returncode == 0, done.stderr
    rows = {row["field"]: row for row in json.loads(done.stdout)["tasks"][0]["rows"]}
    assert rows["zero"]["metrics"]["psnr"]["mean"] is not None
    assert rows["wave"]["statuses"] == {"missing": 2}
