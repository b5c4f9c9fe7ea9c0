"""Baselines that need an extra."""

from __future__ import annotations

from pathlib import Path

import pytest
from runs_support import PLUGINS, MakeExperiment

from inrbench_core.api.entries import Metric, TaskEntry
from inrbench_core.api.spec import TaskSpec
from inrbench_core.plugins.catalog import Catalog
from inrbench_core.results.evaluate import Options, carry_out
from inrbench_core.results.verify.verify import verify

REASON = "it needs an extra: pip install 'inrbench-task-none[smooth]'"


def test_a_baseline_names_the_extra_that_is_not_installed() -> None:
    lacking = ("no_module_of_this_name", "no_module_of_this_name.inner", "math.inner")
    extras = {f"smooth {name}": (name, "inrbench-task-none[smooth]") for name in lacking}
    extras["quick"] = ("math", "none[quick]")
    baselines = (*extras, "plain")
    entry = TaskEntry(
        "none", TaskSpec, "none:prepare", metrics=(Metric("psnr"),), baselines=baselines, extras=extras, api=1
    )
    assert [entry.lacking(name) for name in baselines] == [REASON, REASON, REASON, "", ""]


def test_a_baseline_without_its_extra_is_a_skipped_row_and_no_failure(
    experiment: MakeExperiment, catalog: Catalog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = experiment(fields=["shallow"], seeds=1)
    monkeypatch.setattr(TaskEntry, "lacking", lambda entry, name: REASON if name == "zero" else "")
    results = carry_out(spec, catalog, Options(tmp_path), PLUGINS)
    (table,) = results.boards
    rows = {row.label: row for row in table.rows}
    assert rows["zero"].skip == REASON
    assert rows["zero"].runs == ()
    assert {run.field: run.status for run in results.runs} == {"wave": "ok"}
    monkeypatch.undo()
    again = carry_out(spec, catalog, Options(tmp_path), PLUGINS)
    assert {run.field: run.status for run in again.runs} == {"zero": "ok", "wave": "ok"}


def test_what_was_carried_out_where_the_extra_is_installed_stays_and_verifies(
    experiment: MakeExperiment, catalog: Catalog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = experiment(fields=["shallow"], seeds=1)
    carry_out(spec, catalog, Options(tmp_path / "with"), PLUGINS)
    with monkeypatch.context() as patch:
        patch.setattr(TaskEntry, "lacking", lambda entry, name: REASON if name == "zero" else "")
        again = carry_out(spec, catalog, Options(tmp_path / "with"), PLUGINS)
        assert {run.field: run.status for run in again.runs} == {"zero": "ok", "wave": "ok"}
        carry_out(spec, catalog, Options(tmp_path / "without"), PLUGINS)
        assert verify(tmp_path / "with", catalog).findings == ()
    # Nothing is missing where it could not be had.
    assert verify(tmp_path / "without", catalog).findings == ()
