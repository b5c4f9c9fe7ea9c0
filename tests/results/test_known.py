"""evaluate(known=...): what an exported table has is not fitted again, and the folder keeps what was taken from it."""

import csv
import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

import inrbench_core as inr
from inrbench_core.api.errors import InrbenchError
from inrbench_core.results.results import Results
from inrbench_core.runs.identity import run_id

STAND_INS = Path(__file__).parent.parent / "stand_ins"
PLUGINS = [STAND_INS / "small_plugin.py", STAND_INS / "executors_plugin.py"]
SMALL = {
    "name": "small",
    "task": "line",
    "fields": [{"name": "shallow", "activation": ["wave", "kink"]}],
    "training": {"steps": 5, "evaluate_every": 0, "compile": "off"},
    "seeds": 2,
    # Baselines have a run of each seed as well.
    "data_seed": "seed",
    "executor": "inline",
}
ONE_MORE = {**SMALL, "fields": [*SMALL["fields"], "swell"]}


@pytest.fixture(scope="module")
def mine(tmp_path_factory):
    """The folder of the person who shares."""
    folder = tmp_path_factory.mktemp("mine") / "out"
    inr.evaluate(SMALL, out=folder, plugin_files=PLUGINS)
    return folder


@pytest.fixture
def shared(mine, tmp_path):
    path = tmp_path / "all.csv"
    inr.load_results(mine).export(path)
    return path


def evaluate(spec, folder, *known, **options):
    return inr.evaluate(spec, out=folder, plugin_files=PLUGINS, known=known, **options)


def fitted(folder):
    """The fields and baselines that have a run file in the folder."""
    labels = [inr.load_results(folder, every=True)]
    ids = {path.stem for path in (folder / "runs").glob("*.h5")}
    return sorted(
        (run.field, run.seed) for results in labels for run in results.runs if run.id in ids and not run.origin
    )


def figures(results):
    return {(run.field, run.seed): dict(run.metrics) for run in results.runs}


def changed(results, factor, **of_record):
    """The results with every metric multiplied."""

    def run(item):
        metrics = {name: value * factor for name, value in item.record.metrics.items()}
        return replace(item, record=replace(item.record, metrics=metrics, **of_record))

    boards = tuple(
        replace(board, rows=tuple(replace(row, runs=tuple(map(run, row.runs))) for row in board.rows))
        for board in results.boards
    )
    return Results(boards)


def made_with(results, code=None, device="cpu"):
    """The results as if other code, or a device of another kind, had made them."""
    boards = []
    for board in results.boards:
        rows = []
        for row in board.rows:
            runs = []
            for run in row.runs:
                data = {**run.record.run, "device": device}
                data["code"] = dict.fromkeys(data["code"], code) if code else data["code"]
                runs.append(replace(run, id=run_id(data), record=replace(run.record, run=data)))
            rows.append(replace(row, runs=tuple(runs)))
        boards.append(replace(board, rows=tuple(rows)))
    return Results(tuple(boards))


def test_nothing_is_fitted_where_all_is_known_and_the_figures_are_those_of_the_table(shared, mine, tmp_path):
    results = evaluate(SMALL, tmp_path / "out", shared)
    assert list((tmp_path / "out" / "runs").iterdir()) == []
    assert figures(results) == figures(inr.load_results(mine))
    assert {run.origin for run in results.runs} == {f"all.csv, inrbench {inr.__version__}"}
    assert results.failed == frozenset()


def test_only_the_field_that_is_new_is_fitted(shared, tmp_path):
    results = evaluate(ONE_MORE, tmp_path / "out", shared)
    assert fitted(tmp_path / "out") == [("swell", 0), ("swell", 1)]
    assert {run.field for run in results.runs if not run.origin} == {"swell"}
    assert {run.status for run in results.runs} == {"ok"}
    assert [row.rank for row in results.leaderboards()[0].rows if not row.baseline] == [1, 2, 3]


def test_the_folder_shows_the_same_table_without_the_file(shared, tmp_path):
    results = evaluate(ONE_MORE, tmp_path / "out", shared)
    shared.unlink()
    (tmp_path / "out").rename(tmp_path / "moved")
    again = inr.load_results(tmp_path / "moved")
    assert [(run.id, run.origin, run.metrics) for run in again.runs] == [
        (run.id, run.origin, run.metrics) for run in results.runs
    ]
    again.export(tmp_path / "again.csv")
    assert figures(inr.load_results(tmp_path / "again.csv")) == figures(results)


@pytest.mark.parametrize("damage", ["gone", "edited"])
def test_a_kept_table_that_is_not_usable_is_told_and_costs_the_other_runs_nothing(shared, tmp_path, damage):
    evaluate(ONE_MORE, tmp_path / "out", shared)
    (kept,) = (tmp_path / "out" / "known").iterdir()
    if damage == "gone":
        kept.unlink()
    else:
        kept.write_text(kept.read_text().replace("ok", "OK"))
    results = inr.load_results(tmp_path / "out")
    assert {run.field for run in results.runs if run.status == "ok"} == {"swell"}
    (line,) = results.warnings
    assert line.startswith(f"{tmp_path / 'out'}: known/{kept.name}: ")
    assert line.endswith("; `eval` with --known writes it again")
    assert {run.status for run in evaluate(ONE_MORE, tmp_path / "out", shared).runs} == {"ok"}
    assert inr.load_results(tmp_path / "out").warnings == ()


def test_fresh_does_not_use_what_is_known(shared, tmp_path):
    results = evaluate(SMALL, tmp_path / "out", shared, fresh=True)
    assert {run.origin for run in results.runs} == {""}
    assert len(fitted(tmp_path / "out")) == 6


def test_a_good_result_of_the_folder_counts_more_and_other_figures_are_named(mine, tmp_path):
    shutil.copytree(mine, tmp_path / "out")
    changed(inr.load_results(mine), 1.5).export(tmp_path / "all.csv")
    with pytest.warns(UserWarning, match="the first counts|not named") as told:
        results = evaluate(SMALL, tmp_path / "out", tmp_path / "all.csv")
    lines = [str(item.message) for item in told]
    run = next(iter(results.runs))
    psnr = run.metrics["psnr"]
    assert lines[0] == (
        f"run {run.id} (line / line / zero / seed 0): psnr is {psnr!r} in {tmp_path / 'out'} and {psnr * 1.5!r} in "
        f"all.csv, inrbench {inr.__version__}; the first counts"
    )
    assert lines[5:] == ["runs with other figures in another place that are not named: 1"]
    assert figures(results) == figures(inr.load_results(mine))
    assert {run.origin for run in results.runs} == {""}


@pytest.mark.parametrize(("factor", "count"), [(1 + 1e-12, 0), (1 + 1e-6, 5)])
def test_of_two_tables_the_first_counts_and_differences_beyond_rounding_are_named(
    shared, mine, tmp_path, factor, count
):
    changed(inr.load_results(mine), factor).export(tmp_path / "other.csv")
    merged = inr.load_results(shared, tmp_path / "other.csv")
    assert figures(merged) == figures(inr.load_results(mine))
    named = [line for line in merged.warnings if "in all.csv, inrbench" in line and "the first counts" in line]
    # All six runs differ; the sixth is counted in a line of its own.
    assert (len(named), len(merged.warnings)) == (count, count + bool(count))
    # Whatever the order, a folder comes first.
    assert figures(inr.load_results(tmp_path / "other.csv", mine)) == figures(inr.load_results(mine))


def test_figures_of_other_code_are_used_and_say_so_but_the_same_code_comes_first(shared, mine, tmp_path):
    other = tmp_path / "other.csv"
    made_with(changed(inr.load_results(mine), 2.0), "f00d").export(other)
    results = evaluate(SMALL, tmp_path / "one", other)
    assert {run.origin for run in results.runs} == {f"other.csv, inrbench {inr.__version__}, other code"}
    assert list((tmp_path / "one" / "runs").iterdir()) == []
    both = evaluate(SMALL, tmp_path / "two", other, shared)
    assert figures(both) == figures(inr.load_results(mine))
    # The same settings and other code are no conflict: two rows.
    merged = inr.load_results(shared, other)
    assert merged.warnings == ()
    assert {row.label for row in merged.boards[0].rows} >= {"wave", "wave (other code)"}


def test_figures_of_another_kind_of_device_say_so(mine, tmp_path):
    made_with(inr.load_results(mine), device="cuda:1").export(tmp_path / "gpu.csv")
    made_with(inr.load_results(mine), "f00d", "cuda").export(tmp_path / "old_gpu.csv")
    for name, remark in {"gpu.csv": "cuda", "old_gpu.csv": "cuda, other code"}.items():
        results = evaluate(SMALL, tmp_path / name.removesuffix(".csv"), tmp_path / name)
        assert {run.origin for run in results.runs} == {f"{name}, inrbench {inr.__version__}, {remark}"}


def test_a_run_of_the_folder_decides_what_a_row_with_known_runs_of_other_code_is(mine, tmp_path):
    other = made_with(inr.load_results(mine), "f00d")
    first = replace(other.boards[0], rows=tuple(replace(row, runs=row.runs[:1]) for row in other.boards[0].rows))
    Results((first,)).export(tmp_path / "one_seed.csv")
    mixed = evaluate(SMALL, tmp_path / "out", tmp_path / "one_seed.csv")
    assert {(run.seed, bool(run.origin)) for run in mixed.runs} == {(0, True), (1, False)}
    merged = inr.load_results(tmp_path / "out", mine)
    assert {row.label: len(row.runs) for row in merged.boards[0].rows} == {"zero": 2, "wave": 2, "kink": 2}
    assert {run.origin for run in merged.runs} == {""}


def test_runs_that_are_not_ok_are_not_known(mine, tmp_path):
    changed(inr.load_results(mine), 1.0, status="failed", message="why").export(tmp_path / "all.csv")
    with pytest.warns(UserWarning, match=r"all.csv: it has no good run of this spec"):
        results = evaluate(SMALL, tmp_path / "out", tmp_path / "all.csv")
    assert {run.origin for run in results.runs} == {""}


def test_a_table_of_other_settings_is_told_before_anything_is_fitted(shared, tmp_path):
    with pytest.warns(UserWarning, match=r"all.csv: it has no good run of this spec"):
        evaluate({**SMALL, "training": {**SMALL["training"], "steps": 6}, "seeds": [7]}, tmp_path / "out", shared)
    shared.write_text("")
    with pytest.raises(InrbenchError, match=r"all.csv: empty"):
        evaluate(SMALL, tmp_path / "never", shared)
    assert not (tmp_path / "never").exists()


def test_a_known_run_has_no_weights_and_the_best_run_is_one_that_has(shared, mine, tmp_path):
    results = evaluate(SMALL, tmp_path / "out", shared)
    with pytest.raises(InrbenchError, match="there is no file of it here, and so no weights"):
        inr.load_field(results.best().path, plugin_files=PLUGINS)
    best = next(run for run in results.runs if run.id == results.best().id)
    with pytest.raises(InrbenchError, match="only its figures are known"):
        _ = best.record.arrays
    assert inr.load_results(shared, mine).best().path.is_file()


def test_a_signal_of_the_users_is_known_by_its_content_wherever_it_is(tmp_path):
    spec = {**SMALL, "seeds": 1}
    for name, content in {"a/one.txt": "x", "b/two.txt": "x", "b/three.txt": "y"}.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content)

    def task(*names):
        return {"name": "line", "signals": [str(tmp_path / name) for name in names]}

    evaluate({**spec, "task": task("a/one.txt")}, tmp_path / "hers").export(tmp_path / "hers.csv")
    with (tmp_path / "hers.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert str(tmp_path) not in json.dumps(rows)
    results = evaluate({**spec, "task": task("b/two.txt", "b/three.txt")}, tmp_path / "his", tmp_path / "hers.csv")
    assert {(run.signal, bool(run.origin)) for run in results.runs} == {("two.txt", True), ("three.txt", False)}
    merged = inr.load_results(tmp_path / "hers.csv", tmp_path / "his")
    assert merged.leaderboards()[0].counts == (2, 1)


def test_trials_that_are_known_choose_the_same_options_and_are_not_repeated(tmp_path):
    tuning = {"trials": 3, "over": {"training.lr": [1e-4, 3e-2, "log"]}}
    field = {"name": "shallow", "activation": "wave"}
    hers = evaluate({**SMALL, "fields": [field], "tuning": tuning}, tmp_path / "hers")
    hers.export(tmp_path / "hers.csv")
    more = {**field, "activation": ["wave", "kink"]}
    evaluate({**SMALL, "fields": [more], "tuning": tuning}, tmp_path / "his", tmp_path / "hers.csv")
    # Two published, three trials and two final runs of `kink`.
    assert len(list((tmp_path / "his" / "runs").iterdir())) == 7
    rows = [
        {row.label: row for row in results.boards[0].rows} for results in (hers, inr.load_results(tmp_path / "his"))
    ]
    one, two = (found["wave (tuned)"] for found in rows)
    assert one.chosen == two.chosen is not None
    assert [(run.id, run.metrics) for run in (*one.runs, *one.trials)] == [
        (run.id, run.metrics) for run in (*two.runs, *two.trials)
    ]
    assert {run.origin for run in (*two.runs, *two.trials)} == {f"hers.csv, inrbench {inr.__version__}"}
    assert {run.origin for run in (*rows[1]["kink (tuned)"].runs, *rows[1]["kink (tuned)"].trials)} == {""}


@pytest.mark.parametrize("options", [{"only": ["swell"]}, {"only": ["swell"], "fresh": True}, {}])
def test_what_was_taken_once_stays_in_the_table_without_the_file(shared, tmp_path, options):
    first = evaluate(ONE_MORE, tmp_path / "out", shared)
    again = evaluate(ONE_MORE, tmp_path / "out", **options)
    assert [(run.id, run.origin, run.metrics) for run in again.runs] == [
        (run.id, run.origin, run.metrics) for run in first.runs
    ]
    assert fitted(tmp_path / "out") == [("swell", 0), ("swell", 1)]
    assert inr.load_results(tmp_path / "out").boards == again.boards


def test_fresh_replaces_what_was_taken_of_the_runs_that_it_repeats(shared, tmp_path):
    evaluate(ONE_MORE, tmp_path / "out", shared)
    evaluate(ONE_MORE, tmp_path / "out", fresh=True, only=["wave"])
    places = {run.field: bool(run.origin) for run in inr.load_results(tmp_path / "out").runs}
    assert places == {"zero": True, "wave": False, "kink": True, "swell": False}


def test_a_choice_of_known_trials_stays_without_the_file(tmp_path):
    spec = {**SMALL, "fields": ["swell"], "tuning": {"trials": 3, "over": {"training.lr": [1e-4, 3e-2, "log"]}}}
    hers = evaluate(spec, tmp_path / "hers")
    hers.export(tmp_path / "hers.csv")
    for known in ([tmp_path / "hers.csv"], []):
        evaluate(spec, tmp_path / "his", *known)
        rows = {row.label: row for row in inr.load_results(tmp_path / "his").boards[0].rows}
        assert rows["swell (tuned)"].chosen == next(row.chosen for row in hers.boards[0].rows if row.chosen)
        assert all(run.origin for row in rows.values() for run in (*row.runs, *row.trials))
        assert list((tmp_path / "his" / "runs").iterdir()) == []
