"""select: and tuning:, on a task with planted optima: each is found, and none is chosen on what a table shows."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from runs_support import PLUGINS, STAND_INS, times_of_files

from inrbench_core.plugins.catalog import Catalog
from inrbench_core.plugins.loading import load_catalog
from inrbench_core.results.evaluate import Options, carry_out
from inrbench_core.results.load import load_results
from inrbench_core.results.results import ResultRow, Results
from inrbench_core.runs.driver import Driver
from inrbench_core.runs.plan import Plan, PlannedRow, make_plan
from inrbench_core.runs.run import FitRun
from inrbench_core.spec.builder import build_experiment
from inrbench_core.spec.yaml_io import document_of

FILES = [*PLUGINS, STAND_INS / "planted_plugin.py"]
OVER = {"omega": [1, 100, "log"], "order": [1, 10, "int"], "kind": {"choices": ["flat", "round"]}}
TUNING = {"trials": 8, "over": OVER}
SPEC: dict[str, Any] = {
    "name": "planted",
    "task": "planted",
    "fields": ["high", "low", "plain"],
    "training": {"steps": 0, "compile": "off"},
    "seeds": [0, 1],
    "executor": "inline",
}
CHOOSING = [{}, {"seeds": [1000, 2000]}, {"signals": ["practice", "exercise"]}, {"signals": ["exam"], "seeds": 2}]
# Signals that only choose leave the table.
LARGER = {"name": "planted", "signals": ["exam", "practice"]}
Tune = Callable[..., Results]


@pytest.fixture(scope="module")
def planted() -> Catalog:
    return load_catalog(FILES)


@pytest.fixture
def plan_of(planted: Catalog) -> Callable[..., Plan]:
    """The plan of a spec's keys."""
    return lambda **keys: make_plan(build_experiment(document_of({**SPEC, **keys}), planted), planted, "cpu")


@pytest.fixture
def tune(planted: Catalog, tmp_path: Path) -> Tune:
    """Carries out a spec's keys in one folder."""

    def run(*, only: tuple[str, ...] = (), **keys: Any) -> Results:
        experiment = build_experiment(document_of({**SPEC, **keys}), planted)
        return carry_out(experiment, planted, Options(tmp_path / "out", only=only), FILES)

    return run


def rows_of(results: Results) -> dict[str, ResultRow]:
    (board,) = results.boards
    return {row.label: row for row in board.rows}


def facts_of(results: Results) -> list[tuple[Any, ...]]:
    """What is the same of results whose runs were repeated."""
    return [
        (row.label, row.chosen, [(run.id, run.role, dict(run.metrics)) for run in (*row.runs, *row.trials)])
        for row in rows_of(results).values()
    ]


def settings_of(row: PlannedRow) -> list[dict[str, Any]]:
    return [dict(trial.options) for trial in row.trials]


def best(field: str, settings: list[dict[str, Any]], signal: str, seed: int) -> dict[str, Any]:
    """The best setting by the formula that the task is made of, with the published options for the others."""
    from planted_plugin import quality

    return max(settings, key=lambda options: quality(field, {"order": 3, **options}, signal, seed))


@pytest.mark.parametrize("choosing", CHOOSING, ids=["default", "seeds", "signals", "both"])
def test_planted_optima_are_found_and_none_is_chosen_on_what_the_table_shows(
    tune: Tune, plan_of: Callable[..., Plan], choosing: dict[str, Any]
) -> None:
    keys = {"tuning": {**TUNING, **choosing}, "task": LARGER if "seeds" not in choosing and choosing else SPEC["task"]}
    rows = rows_of(tune(**keys))
    planned = {row.label: row for row in plan_of(**keys).boards[0].rows}
    for field in ("high", "low", "plain"):
        settings = settings_of(planned[f"{field} (tuned)"])
        chosen = rows[f"{field} (tuned)"].chosen
        assert chosen is not None
        assert chosen.options == best(field, settings, "practice", 1000)
        # Chosen on what the table shows, it would be another one.
        assert chosen.options != best(field, settings, "exam", 0)
        final = {(run.signal, run.seed) for label in (field, f"{field} (tuned)") for run in rows[label].runs}
        assert final == {("exam", 0), ("exam", 1)}
        trials = {(run.signal, run.seed) for run in rows[f"{field} (tuned)"].trials}
        assert {run.role for run in rows[f"{field} (tuned)"].trials} == {"trial"}
        assert trials == {(signal, seed) for signal in chosen.signals for seed in chosen.seeds}
        assert not trials & final
        assert (chosen.metric, chosen.published) == ("quality", field)


def test_every_field_has_the_same_number_of_trials_of_the_options_that_it_has(plan_of: Callable[..., Plan]) -> None:
    rows = {
        row.label: row
        for row in plan_of(fields=[*SPEC["fields"], "bare"], tuning=TUNING).boards[0].rows
        if row.published
    }
    assert {label: len(row.trials) for label, row in rows.items()} == {
        "high (tuned)": 8, "low (tuned)": 8, "plain (tuned)": 8, "bare (tuned)": 0,
    }  # fmt: skip
    assert rows["bare (tuned)"].skip == "it has none of the options that tuning goes over"
    high, low, plain = (settings_of(rows[f"{field} (tuned)"]) for field in ("high", "low", "plain"))
    assert high[0] == {"omega": 1.0, "order": 1, "kind": "flat"}
    assert plain[0] == {"order": 3}
    # Fields with the same options are tried with the same values, and no setting is tried twice.
    assert high == low
    assert len({tuple(setting.values()) for setting in plain}) == 8
    assert all(1 <= setting["omega"] <= 100 and setting["order"] in range(1, 11) for setting in high)
    assert {setting["kind"] for setting in high} == {"flat", "round"}


def test_settings_depend_on_the_seed_of_the_tuning_only(plan_of: Callable[..., Plan]) -> None:
    def ids(seed: int, **keys: Any) -> set[str]:
        return set(plan_of(tuning={**TUNING, "seed": seed, "seeds": [1000]}, **keys).runs)

    assert ids(0) == ids(0)
    common = ids(0) & ids(1)
    assert len(common) < len(ids(0)) / 2
    # More seeds of the table change no trial.
    assert ids(0) < ids(0, seeds=[0, 1, 2])


def test_the_published_setting_is_kept_where_no_trial_is_better(tune: Tune) -> None:
    fields = [{"name": "high", "omega": 31.6227766, "order": 7, "kind": "round"}]
    results = tune(fields=fields, tuning=TUNING)
    rows = rows_of(results)
    published, tuned = rows["high"], rows["high (tuned)"]
    assert tuned.chosen is not None
    assert tuned.chosen.options == {"omega": 31.6227766, "order": 7, "kind": "round"}
    assert [run.id for run in tuned.runs] == [run.id for run in published.runs]


def test_trials_that_fail_are_the_worst_and_a_field_without_a_good_one_is_skipped(tune: Tune) -> None:
    over = {"omega": [1, 100, "log"], "kind": {"choices": ["broken", "round"]}}
    fields = ["high", {"name": "low", "kind": "broken", "label": "hopeless"}]
    results = tune(fields=fields, tuning={"trials": 6, "over": over})
    chosen = rows_of(results)["high (tuned)"].chosen
    assert chosen is not None
    assert chosen.options["kind"] == "round"
    only = {"trials": 3, "over": {"omega": [1, 100, "log"]}}
    row = rows_of(tune(fields=fields[1:], tuning=only))["hopeless (tuned)"]
    assert (row.runs, row.chosen) == ((), None)
    assert row.skip.startswith(
        "none of its 3 trials has a figure to choose by (failed: ValueError: this kind is broken"
    )


@pytest.mark.parametrize(
    ("kind", "status", "again"),
    [("endless", "diverged", 0), ("broken", "failed", 3)],
)
def test_trials_without_a_figure_are_counted_and_only_those_that_failed_are_tried_again(
    tune: Tune, tmp_path: Path, kind: str, status: str, again: int
) -> None:
    over = {"omega": [1, 100, "log"], "kind": {"choices": [kind, "round"]}}
    with pytest.warns(UserWarning, match=f"^of 6 trial runs 3 {status}; their settings are not chosen$"):
        results = tune(fields=["high"], tuning={"trials": 6, "over": over})
    row = rows_of(results)["high (tuned)"]
    assert row.chosen is not None
    assert [run.status for run in row.trials].count(status) == 3
    assert (row.chosen.trials, row.chosen.diverged + row.chosen.failed, getattr(row.chosen, status)) == (6, 3, 3)
    # They are no failure of the experiment, all of whose rows are whole.
    assert results.failed == frozenset()
    before = times_of_files(tmp_path / "out")
    with warnings.catch_warnings(record=True) as told:
        repeated = tune(fields=["high"], tuning={"trials": 6, "over": over})
    assert len(told) == bool(again)
    assert sum(before[name] != time for name, time in times_of_files(tmp_path / "out").items()) == again
    assert facts_of(repeated) == facts_of(results)


def test_a_final_run_that_diverged_is_carried_out_again_and_is_a_failure(tune: Tune) -> None:
    for _ in range(2):
        results = tune(fields=[{"name": "high", "kind": "endless"}], seeds=1, tuning={"trials": 2, "over": OVER})
        assert results.failed == {run.id for run in rows_of(results)["high"].runs}


@pytest.fixture
def order(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """Field and seed of every run that is carried out, in that order."""
    found: list[tuple[str, int]] = []
    keep = Driver._keep

    def kept(driver: Driver, run: FitRun, content: bytes) -> None:
        found.append((run.label, run.seed))
        keep(driver, run, content)

    monkeypatch.setattr(Driver, "_keep", kept)
    return found


def test_tuned_rows_have_their_first_seed_before_any_row_has_its_second(
    tune: Tune, order: list[tuple[str, int]]
) -> None:
    # Far from its optimum, so that another setting is chosen.
    far = {"name": "plain", "order": 90, "label": "plain"}
    tune(fields=["high", far], tuning={"trials": 2, "over": {"order": [1, 10, "int"]}})
    final = [(label, seed) for seed in (0, 1) for label in ("high", "high (tuned)", "plain", "plain (tuned)")]
    trials = [(f"{label} (tuned), trial {number}", 1000) for number in (0, 1) for label in ("high", "plain")]
    published = [("high", 0), ("plain", 0)]
    assert order == [*published, *trials, *(run for run in final if run not in published)]


def test_a_metric_of_which_less_is_better_chooses_its_least(tune: Tune) -> None:
    by_default, by_distance = (rows_of(tune(tuning={**TUNING, **by})) for by in ({}, {"by": "distance"}))
    for label in ("high (tuned)", "low (tuned)"):
        first, second = by_default[label].chosen, by_distance[label].chosen
        assert first is not None
        assert second is not None
        assert (first.options, second.metric) == (second.options, "distance")


def test_a_choice_is_the_same_after_a_stop_and_the_folder_has_one_experiment(tune: Tune, tmp_path: Path) -> None:
    whole = tune(tuning=TUNING)
    out = tmp_path / "out"
    assert len(list((out / "experiments").iterdir())) == 1
    assert load_results(out).boards == whole.boards
    trials = [run for row in rows_of(whole).values() for run in row.trials]
    final = {run.path for run in whole.runs}
    kept = times_of_files(out)
    for path in {trials[3].path, *sorted(final)[:2]}:
        path.unlink()
    pending = load_results(out)
    assert any(run.status == "missing" for run in pending.runs)
    again = tune(tuning=TUNING)
    assert facts_of(again) == facts_of(whole)
    after = times_of_files(out)
    assert sum(after[name] == kept[name] for name in kept) == len(kept) - 3
    assert len(list((out / "experiments").iterdir())) == 1


def test_results_before_the_choice_tell_how_far_the_trials_are(tune: Tune, tmp_path: Path) -> None:
    """The trials of the others are not carried out."""
    tune(tuning={**TUNING, "trials": 4}, only=("plain",))
    rows = rows_of(load_results(tmp_path / "out"))
    assert rows["plain (tuned)"].chosen is not None
    assert {run.status for label in ("plain", "plain (tuned)") for run in rows[label].runs} == {"ok"}
    assert rows["high (tuned)"].skip == "its options are not chosen yet: 0 of 4 trial runs are done"
    assert {run.status for run in rows["high"].runs} == {"missing"}


def test_records_list_trials_with_their_role_and_runs_do_not(tune: Tune) -> None:
    results = tune(fields=["high"], tuning={**TUNING, "trials": 4})
    roles = [record["role"] for record in results.to_records() if record["metric"] == "quality"]
    assert (roles.count("trial"), roles.count("final")) == (4, 4)
    assert {run.role for run in results.runs} == {"final"}


def test_tuning_replaces_what_a_field_says_of_its_own_training(plan_of: Callable[..., Plan]) -> None:
    fields = [{"name": "high", "training": {"lr": 0.5, "optimizer": {"name": "sgd", "momentum": 0.3}}}]
    over = {"training.lr": [1e-3, 1e-1, "log"], "training.optimizer.momentum": [0.5, 0.9]}
    (_, row) = plan_of(fields=fields, tuning={"trials": 4, "over": over}).boards[0].rows
    runs = [trial.runs[0] for trial in row.trials]
    assert all(isinstance(run, FitRun) for run in runs)
    rates = [run.training.lr for run in runs if isinstance(run, FitRun)]
    assert rates[0] == 0.5
    assert all(1e-3 <= rate <= 1e-1 for rate in rates[1:])
    moments = [run.training.optimizer.spec.momentum for run in runs if isinstance(run, FitRun)]  # type: ignore[attr-defined]
    assert moments[0] == 0.3
    assert all(0.5 <= moment <= 0.9 for moment in moments[1:])


@pytest.mark.parametrize("choosing", CHOOSING, ids=["default", "seeds", "signals", "both"])
def test_select_folds_the_rows_of_a_sweep_into_the_best_by_trials(tune: Tune, choosing: dict[str, Any]) -> None:
    sweep = {"field.order": [1, 2, 5, 7, 9], "training.lr": [0.1, 0.2]}
    select = {"over": ["field.order"], **choosing}
    rows = rows_of(tune(fields=["high", {"name": "low", "label": "mine"}], sweep=sweep, select=select))
    assert {label: row.chosen.options for label, row in rows.items() if row.chosen} == {
        f"{label} (lr={lr})": {"field.order": order} for label, order in (("high", 7), ("mine", 2)) for lr in (0.1, 0.2)
    }
    assert len(rows) == 4
    for row in rows.values():
        assert row.chosen is not None
        assert (row.chosen.trials, row.chosen.published) == (5, "")
        final = {(run.signal, run.seed) for run in row.runs}
        assert len(final) == 2
        assert not final & {(run.signal, run.seed) for run in row.trials}
