"""Results of several folders, and of several experiments of one, as one."""

import pytest

from inrbench_core.api.errors import InrbenchError
from inrbench_core.results.load import load_results
from inrbench_core.results.merging import merge
from inrbench_core.results.results import Results


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


def test_another_signal_of_the_same_task_is_another_observation_of_the_row(make_board, make_row):
    one, two = (
        Results((make_board(make_row("a", figures(value), task={"source": name}, signals=(name,))),))
        for name, value in (("csg", 0.1), ("bunny", 0.3))
    )
    merged = merge([("one", one), ("two", two)])
    assert shown(merged) == {"solid": [("a", 2)]}
    assert merged.leaderboards()[0].counts == (2, 1)


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
