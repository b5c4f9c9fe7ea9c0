"""Results of several folders, and of several experiments of one, as one."""

from dataclasses import replace
from pathlib import Path

import pytest

from inrbench_core.api.errors import InrbenchError
from inrbench_core.results.compare import compare_folders
from inrbench_core.results.load import load_results
from inrbench_core.results.merging import merge
from inrbench_core.results.results import Chosen, Results


def figures(*values):
    return [{"chamfer": value} for value in values]


def shown(results):
    return {board.label: [(row.label, len(row.runs)) for row in board.rows] for board in results.boards}


def test_rows_of_other_fields_stand_in_one_table(make_board, make_row):
    one = Results((make_board(make_row("a", figures(0.1))),), warnings=("x",))
    two = Results((make_board(make_row("b", figures(0.2))),), warnings=("x", "y"))
    merged = merge([("one", one), ("two", two)])
    assert shown(merged) == {"solid": [("a", 1), ("b", 1)]}
    assert merged.warnings == ("x", "y")


def test_the_same_runs_count_once_and_the_better_record_counts(make_board, make_row):
    partial = Results((make_board(make_row("a", ["missing", {"chamfer": 0.2}, "failed: why"])),))
    whole = Results((make_board(make_row("a", figures(0.1, 0.2, 0.3))),))
    for parts in ([("p", partial), ("w", whole)], [("w", whole), ("p", partial)]):
        (row,) = merge(parts).boards[0].rows
        assert [run.metrics["chamfer"] for run in row.runs] == [0.1, 0.2, 0.3]


def test_more_seeds_of_the_same_settings_are_one_row(make_board, make_row):
    few, more = (Results((make_board(make_row("a", figures(*values))),)) for values in ((0.1,), (0.1, 0.2, 0.3)))
    assert shown(merge([("few", few), ("more", more)])) == {"solid": [("a", 3)]}


def test_rows_of_one_name_but_other_settings_are_told_apart_however_many(make_board, make_row):
    rows = [make_row("a", figures(0.1 * steps, 0.2), training={"steps": steps}) for steps in (1, 2, 3, 4)]
    merged = merge([("mine", Results((make_board(row),))) for row in rows])
    assert shown(merged) == {"solid": [("a", 2), ("a (mine)", 2), ("a (mine 2)", 2), ("a (mine 3)", 2)]}
    assert {run.field for run in merged.runs} == {"a", "a (mine)", "a (mine 2)", "a (mine 3)"}


def test_tables_of_one_name_but_other_options_of_the_task_are_not_ranked_together(make_board, make_row):
    small, large = (Results((make_board(make_row("a", figures(0.1), task={"size": size})),)) for size in (64, 512))
    merged = merge([("small", small), ("large", large)])
    assert shown(merged) == {"solid": [("a", 1)], "solid (large)": [("a", 1)]}
    assert [run.task for run in merged.runs] == ["solid", "solid (large)"]


def test_tables_of_other_data_are_not_ranked_together(make_board, make_row):
    """Rows that were fitted to other masks are no repeats of each other, nor are the answers of a baseline to them."""

    def table(data_seed):
        answer = make_row("linear", figures(0.5), baseline=True, baseline_name="linear", data_seed=data_seed)
        return Results((make_board(answer, make_row("a", figures(0.1, 0.2), data_seed=data_seed)),))

    merged = merge([("zero", table(0)), ("one", table(1))])
    assert shown(merged) == {"solid": [("linear", 1), ("a", 2)], "solid (one)": [("linear", 1), ("a", 2)]}
    with pytest.raises(InrbenchError, match="no row of the same label on the same task"):
        compare_folders(table(0), table(1), ("zero", "one"))


def test_another_signal_of_the_same_task_is_another_observation_of_the_row(make_board, make_row):
    one, two = (
        Results((make_board(make_row("a", figures(value), task={"source": name}, signals=(name,))),))
        for name, value in (("csg", 0.1), ("bunny", 0.3))
    )
    merged = merge([("one", one), ("two", two)])
    assert shown(merged) == {"solid": [("a", 2)]}
    assert merged.leaderboards()[0].counts == (2, 1)


def test_runs_of_other_code_or_another_kind_of_device_are_rows_of_their_own(make_board, make_row):
    old, new = {"inrbench": "1"}, {"inrbench": "2"}
    kinds = [(old, "cpu"), (new, "cpu"), (old, "cuda"), (new, "cuda:1"), ({"inrbench": "3"}, "cpu"), (new, "cuda:0")]
    rows = [make_row("a", figures(0.1, 0.2), code=code, device=device) for code, device in kinds]
    merged = merge([("mine", Results((make_board(row),))) for row in rows])
    # Both devices of a kind are one, so the last runs are the same as earlier ones.
    assert shown(merged) == {
        "solid": [
            ("a", 2),
            ("a (other code)", 2),
            ("a (cuda)", 2),
            ("a (cuda, other code)", 2),
            ("a (other code 2)", 2),
        ]
    }


def test_other_code_of_other_options_is_named_by_both(make_board, make_row):
    rows = [
        make_row("a", figures(0.1), training={"steps": steps}, code={"inrbench": code})
        for steps, code in ((1, "1"), (2, "1"), (2, "2"), (1, "2"))
    ]
    merged = merge([("mine", Results((make_board(row),))) for row in rows])
    assert [row.label for row in merged.boards[0].rows] == [
        "a",
        "a (mine)",
        "a (mine) (other code)",
        "a (other code)",
    ]


def test_runs_of_other_code_that_are_all_missing_do_not_count_for_the_row_that_has_them(make_board, make_row):
    whole = Results((make_board(make_row("a", figures(0.1, 0.2))),))
    never = Results((make_board(make_row("a", ["missing", "missing"], code={"inrbench": "2"})),))
    for parts in ([("w", whole), ("n", never)], [("n", never), ("w", whole)]):
        statuses = [dict(row.statuses) for row in merge(parts).leaderboards()[0].rows]
        assert statuses == [{"ok": 2}, {"missing": 2}]


def photo(make_row, path, content, value, seeds=1, **options):
    label = options.pop("label", "photo.png")
    row = make_row("a", figures(value) * seeds, signals=(path,), files={path: f"sha256:{content}.png"}, **options)
    return replace(row, runs=tuple(replace(run, signal=label) for run in row.runs))


def test_files_of_one_name_and_other_content_are_two_signals(make_board, make_row):
    rows = [photo(make_row, f"{place}/photo.png", place, 0.1) for place in ("one", "two", "three")]
    merged = merge([("x", Results((make_board(row),))) for row in rows])
    assert [run.signal for run in merged.runs] == ["photo.png", "photo.png (2)", "photo.png (3)"]
    assert merged.leaderboards()[0].counts == (3, 1)


def test_files_of_other_names_and_one_content_are_one_signal(make_board, make_row):
    rows = [
        photo(make_row, "one/photo.png", "same", 0.1),
        photo(make_row, "two/copy.png", "same", 0.1, seeds=2, label="copy.png"),
    ]
    merged = merge([("x", Results((make_board(row),))) for row in rows])
    assert [(run.signal, run.seed) for run in merged.runs] == [("photo.png", 0), ("photo.png", 1)]


def test_a_missing_run_belongs_to_the_signal_that_other_rows_of_its_table_have(make_board, make_row):
    """The second table calls the signals of the first the other way round."""

    def signal(content, label, *outcomes):
        row = make_row("a", outcomes, signals=(content,), files={content: f"sha256:{content}"})
        return [replace(run, signal=label) for run in row.runs]

    good = {"chamfer": 0.1}
    one = replace(make_row("a", []), runs=(*signal("x", "p", good), *signal("y", "q", good)))
    two = replace(make_row("a", []), runs=(*signal("y", "p", "failed: why", "missing"), *signal("x", "q", good)))
    merged = merge([("one", Results((make_board(one),))), ("two", Results((make_board(two),)))])
    assert [(run.signal, run.seed, run.status) for run in merged.runs] == [
        ("p", 0, "ok"),
        ("q", 0, "ok"),
        ("q", 1, "missing"),
    ]


def test_fields_over_other_signals_are_not_ranked_against_each_other(make_board, make_row):
    both = make_row("both", figures(0.5), signals=("csg", "bunny"))
    parts = [
        ("one", Results((make_board(make_row("csg only", figures(0.1), signals=("csg",)), both),))),
        ("two", Results((make_board(make_row("bunny only", figures(0.9), signals=("bunny",))),))),
    ]
    (board,) = merge(parts).leaderboards()
    assert [(row.label, row.rank) for row in board.rows] == [("csg only", None), ("both", 1), ("bunny only", None)]
    assert [row.problems for row in board.rows] == [
        ("not ranked: has 1 of 2 signals and seeds",),
        (),
        ("not ranked: has 1 of 2 signals and seeds",),
    ]


def test_a_field_and_a_baseline_of_one_name_stay_apart(make_board, make_row):
    field, measure = make_row("mean", figures(1.0)), make_row("mean", figures(2.0), baseline=True)
    merged = merge([("one", Results((make_board(field),))), ("two", Results((make_board(measure),)))])
    assert sorted(shown(merged)["solid"]) == [("mean", 1), ("mean", 1)]


def test_a_folder_without_results_is_one_clear_line(tmp_path):
    with pytest.raises(InrbenchError, match="no results here"):
        load_results(tmp_path)
    with pytest.raises(InrbenchError, match="needs a folder"):
        load_results()
    (tmp_path / "experiments").mkdir()
    (tmp_path / "experiments" / "x.json").write_text("{")
    with pytest.raises(InrbenchError, match=r"no results here; x\.json: not an experiment"):
        load_results(tmp_path)


def tuned(make_row, lr):
    """A row whose options were chosen by one trial on another signal."""
    trial = make_row("a, trial 0", figures(0.1), signals=("bunny",), training={"lr": lr}).runs[0]
    chosen = Chosen({"lr": 1}, "chamfer", 1, ("bunny",), (0,))
    return replace(make_row("a", figures(0.1, 0.2)), trials=(replace(trial, role="trial"),), chosen=chosen)


def test_trials_of_one_row_are_put_together_once_each_and_named_as_the_row(make_board, make_row):
    merged = merge([("x", Results((make_board(tuned(make_row, lr)),))) for lr in (1, 1, 2)])
    (row,) = merged.boards[0].rows
    assert [(run.field, run.role) for run in row.trials] == [("a", "trial")] * 2
    assert row.chosen == Chosen({"lr": 1}, "chamfer", 1, ("bunny",), (0,))
    assert [run.role for run in row.runs] == ["final"] * 2


def test_a_row_that_is_skipped_in_one_place_takes_the_runs_of_another(make_board, make_row):
    skipped = replace(make_row("a", [], skip="why"), runs=())
    for rows in ([skipped, make_row("a", figures(0.1))], [make_row("a", figures(0.1)), skipped]):
        (row,) = merge([("x", Results((make_board(item),))) for item in rows]).boards[0].rows
        assert (row.skip, len(row.runs)) == ("", 1)


def test_two_figures_of_one_run_are_named_and_the_first_counts(make_board, make_row):
    places = ("here", "there", "elsewhere")
    parts = [
        (place, Results((make_board(make_row("a", figures(value, 0.2), folder=Path(place))),)))
        for place, value in zip(places, (0.1, 0.1 * (1 + 1e-10), 0.3), strict=True)
    ]
    merged = merge(parts)
    run = next(merged.runs)
    assert merged.warnings == (
        f"run {run.id} (solid / csg / a / seed 0): chamfer is 0.1 in here and 0.3 in elsewhere; the first counts",
    )
    assert run.metrics["chamfer"] == 0.1
    assert merge([parts[2], parts[0]]).boards[0].rows[0].runs[0].metrics["chamfer"] == 0.3
