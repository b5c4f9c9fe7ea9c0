"""What the reporter says, and what it says where too little is there."""

import json
import math
from dataclasses import replace

import pytest
from inrbench_report_statistics.plugin import StatisticsSpec
from inrbench_report_statistics.report import statistics_report
from inrbench_report_statistics.summary import summarise
from PIL import Image

from inrbench_core import InrbenchError, Results
from inrbench_core.testing import parametrize_with_checks


@parametrize_with_checks("inrbench-report-statistics")
def test_conformance(check):
    check()


def tables(tasks, fields=("a", "b", "c")):
    """So many tasks on which fields are a dB apart, and 0.1 dB between seeds."""
    return {
        (f"task {task}", "psnr"): {name: [[30 - f + task, 30.1 - f + task]] for f, name in enumerate(fields)}
        for task in range(tasks)
    }


def report(results, **options):
    return statistics_report(StatisticsSpec(**options), results)


def test_fields_are_in_order_of_their_mean_rank_with_intervals_and_the_test_below(make_results):
    text = report(make_results(tables(4)), output="markdown")
    assert "### 3 fields across 4 tasks" in text
    assert "| a | 1.00 [1.00, 1.00] | 1.00 [1.00, 1.00] | 1.00 | 1.00 [1.00, 1.00] | 1.00 | 1.00 | 1.00 |  |" in text
    assert "Friedman's test over tasks: chi2(2) = 8.00, p = 0.018" in text
    assert "| b | 0.50 | 0.50 | 0.50 | 0.50 |" in text
    assert "4 tasks: intervals from fewer than 5 are somewhat too narrow" in text
    assert "an interval of no width says that a field had the same rank on all tasks, not that it is certain" in text


def test_a_field_takes_part_only_with_every_figure_of_every_task(make_results):
    made = tables(3, ("a", "b", "failed", "elsewhere", "perfect", "(measure)"))
    made["task 1", "psnr"]["failed"] = [[29.0, None]]
    made["task 2", "psnr"].pop("elsewhere")
    made["task 0", "psnr"]["perfect"] = [[math.inf, 40.0]]
    data = summarise(make_results(made))
    assert [entry["field"] for entry in data["fields"]] == ["a", "b"]
    assert data["left_out"] == {
        "failed": "task 1: failed: no luck",
        "elsewhere": "task 2: not in this table",
        "perfect": "task 0: psnr is not finite in every run",
    }
    assert "failed: left out: task 1: failed: no luck" in report(make_results(made))


def test_of_one_task_the_signals_are_compared_and_that_is_said(make_results):
    figures = {"a": [[3, 4], [5, 6], [7, 9]], "b": [[1, 2], [6, 7], [0, 1]], "c": [[0, 0], [0, 0], [-1, -1]]}
    text = report(make_results({("image", "psnr"): figures}))
    assert "3 fields across 3 signals" in text
    assert "one task: its signals are compared, which says nothing about other tasks" in text
    data = summarise(make_results({("image", "psnr"): figures}))
    assert data["fields"][0]["ranks"] == [1, 2, 1]


@pytest.mark.parametrize(
    ("tasks", "fields", "remark"),
    [
        (3, ("a",), "nothing to compare: 1 field complete on all tasks"),
        (3, ("(a)",), "nothing to compare: 0 fields complete on all tasks"),
        (2, ("a", "b", "c"), "2 tasks: intervals and Friedman's test need 3"),
        (1, ("a", "b", "c"), "1 signal: intervals and Friedman's test need 3"),
        (4, ("a", "b"), "two fields: Friedman's test needs three"),
    ],
)
def test_what_cannot_be_said_is_said(make_results, tasks, fields, remark):
    results = make_results(tables(tasks, fields))
    for output in ("text", "markdown", "json"):
        assert remark in report(results, output=output)
    assert summarise(results)["friedman"] is None


def test_of_no_results_at_all_there_is_still_a_text():
    assert "nothing to compare" in report(Results(()))


def test_fields_that_are_equal_everywhere_are_not_tested(make_results):
    data = summarise(make_results({(f"t{t}", "iou"): {name: [[0.5]] for name in "abc"} for t in range(3)}))
    assert data["friedman"] is None
    assert "all fields are equal everywhere: there is nothing to test" in data["remarks"]
    assert [(entry["mean_rank"], entry["score"]) for entry in data["fields"]] == [(2.0, 1.0)] * 3


def test_ranks_that_may_be_chance_are_said_to_be(make_results):
    rows = [
        {"a": [[1]], "b": [[2]], "c": [[3]]},
        {"a": [[3]], "b": [[2]], "c": [[1]]},
        {"a": [[2]], "b": [[3]], "c": [[1]]},
    ]
    data = summarise(make_results({(f"t{t}", "iou"): row for t, row in enumerate(rows)}))
    assert any(remark.startswith("Friedman's test does not reject") for remark in data["remarks"])


def test_a_task_whose_figures_have_no_ratios_is_left_out_of_the_profile_only(make_results):
    made = tables(3)
    made["odd", "iou"] = {"a": [[-0.5]], "b": [[0.5]], "c": [[0.75]]}
    data = summarise(make_results(made))
    assert "not in the profile, because figures are below zero: odd" in data["remarks"]
    assert {entry["field"]: entry["within"]["1"] for entry in data["fields"]} == {"a": 1, "b": 0, "c": 0}
    assert len(data["fields"][0]["scores"]) == 4


def test_the_json_is_what_was_computed(make_results):
    results = make_results(tables(4))
    assert json.loads(report(results, output="json")) == summarise(results)


def test_figures_from_elsewhere_are_named(make_results):
    results = make_results(tables(3))
    board, row = results.boards[1], results.boards[1].rows[0]
    known = replace(row, runs=tuple(replace(run, origin="all.csv, inrbench 0.2.0") for run in row.runs))
    boards = (results.boards[0], replace(board, rows=(known, *board.rows[1:])), results.boards[2])
    assert "task 1: † 2 runs of a: from all.csv, inrbench 0.2.0" in summarise(Results(boards))["remarks"]


def test_another_metric_that_no_task_has_is_one_line(make_results):
    with pytest.raises(InrbenchError, match="no metric 'psnrr'"):
        report(make_results(tables(3)), sort="psnrr")


def test_the_picture_has_ranks_and_profiles_in_the_colours_of_the_fields(make_results, tmp_path):
    report(make_results(tables(4, ("a $ sign", "b", "c"))), picture=str(tmp_path / "across.png"))
    with Image.open(tmp_path / "across.png") as picture:
        width = picture.width
        for part in (
            picture.crop((0, 0, width // 2, picture.height)),
            picture.crop((width // 2, 0, width, picture.height)),
        ):
            colours = {colour for _, colour in part.convert("RGB").getcolors(1 << 20)}
            # Blue and orange of the first two fields.
            assert {(0x1F, 0x77, 0xB4), (0xFF, 0x7F, 0x0E)} <= colours


@pytest.mark.parametrize("name", ["across.unknown", "missing/across.png"])
def test_a_picture_that_cannot_be_written_is_one_line(make_results, tmp_path, name):
    with pytest.raises(InrbenchError, match=r"picture=.*: cannot be written") as raised:
        report(make_results(tables(3)), picture=str(tmp_path / name))
    assert "\n" not in str(raised.value)


def test_without_fields_there_is_no_picture(make_results, tmp_path):
    with pytest.raises(InrbenchError, match="nothing to compare"):
        report(make_results(tables(3, ("a",))), picture=str(tmp_path / "across.png"))
