"""What each format prints, by parsing it again."""

import csv
import io
import json
import math

import numpy as np
import pytest
from rich.console import Console

from inrbench_core.plugins.builtin import RunsSpec, TableSpec
from inrbench_core.results.formats import (
    csv_report,
    format_summary,
    json_report,
    latex_report,
    markdown_report,
    print_tables,
    runs_data,
    runs_report,
    table_report,
)
from inrbench_core.results.leaderboard import Summary
from inrbench_core.results.numbers import first_figure, format_number
from inrbench_core.results.results import Results

DIVERGED = "diverged: the loss is not finite at step 7"


def outcomes(*figures):
    return [
        figure if isinstance(figure, str) else {"chamfer": figure, "psnr": 20.0 + seed, "psnr_held_out": math.inf}
        for seed, figure in enumerate(figures)
    ]


GOOD = (0.1, 0.2, 0.3)
# By a table of Student's t: 4.302653 standard errors, of 0.1 / sqrt(3).
INTERVAL = "0.2000 ± 0.2484"


@pytest.fixture
def results(make_board, make_row):
    board = make_board(
        make_row("measure", outcomes(0.0, 0.0, 0.0), baseline=True),
        make_row("good", outcomes(*GOOD)),
        make_row("better", outcomes(0.1, 0.1, 0.1)),
        make_row("half", outcomes(0.05, DIVERGED, "missing")),
        make_row("none", outcomes(DIVERGED, DIVERGED, DIVERGED)),
        make_row("kink", [], skip="kink has only 1 derivative"),
        label="a [solid]",
    )
    return Results((board,))


@pytest.fixture
def one_seed(make_board, make_row):
    return Results((make_board(make_row("only", outcomes(0.25))),))


def interval(mean, low, high):
    return Summary(mean, 0.5, 3, {"these signals": (low, high)})


def printed(results, width):
    buffer = io.StringIO()
    print_tables(Console(file=buffer, width=width), results.leaderboards())
    return buffer.getvalue()


def test_what_went_wrong_is_in_the_table_and_below_it(results):
    text = printed(results, 200)
    assert "1/3 (1 diverged, 1 missing)" in text
    assert "0/3 (3 diverged)" in text
    assert f"none: {DIVERGED}" in text
    assert "kink: skipped: kink has only 1 derivative" in text
    assert "a [solid] (3 seeds, ranked by chamfer)" in text


def test_a_row_without_a_rank_has_an_empty_cell_and_the_others_count_on(results):
    rows = markdown_report(TableSpec(), results).splitlines()[4:10]
    cells = [[cell.strip() for cell in row.split("|")[1:4]] for row in rows]
    assert cells == [
        ["", "", "measure (baseline)"],
        ["", "", "half"],
        ["1", "1-2", "better"],
        ["2", "1-2 =", "good"],
        ["", "", "none"],
        ["", "", "kink"],
    ]


@pytest.mark.parametrize("width", [60, 72, 80, 90, 110, 200])
def test_a_narrow_terminal_leaves_out_columns_by_name_and_cuts_no_figure(results, width):
    text = printed(results, width)
    assert all(len(line) <= width for line in text.splitlines())
    assert "…" not in text
    flat = " ".join(text.split())
    table, _, hidden = flat.partition("not shown at this width: ")
    for kept in (INTERVAL, "measure", "(baseline)", "3/3"):
        assert kept in table
    for title in ("psnr [dB] ↑", "psnr_held_out [dB] ↑", "parameters", "train [s]"):
        assert (title in table) != (title in hidden)
    assert (width == 200) == (not hidden)


def test_what_cannot_be_narrower_is_wider_than_the_terminal_and_not_cut(results):
    text = printed(results, 20)
    for figure in (INTERVAL, "0.1000 ± 0.0000", "3/3"):
        assert figure in text


def test_no_figure_loses_its_exponent():
    assert [format_number(value) for value in (0.0, 12345.6, 1.5e-7, -3e9, math.inf, math.nan)] == [
        "0.000",
        "1.235e+04",
        "1.500e-07",
        "-3.000e+09",
        "inf",
        "-",
    ]
    assert format_summary(interval(21.4567, 20.9567, 21.9567)) == "21.46 ± 0.50"
    assert format_summary(interval(1.5e-7, 1.275e-7, 1.725e-7)) == "1.500e-07 ± 2.2e-08"


def test_an_interval_that_is_not_symmetrical_shows_its_ends():
    assert format_summary(interval(21.4567, 21.1, 21.6)) == "21.46 [21.10, 21.60]"


def test_a_figure_without_an_interval_in_a_scope_has_none_of_another_one():
    summary = interval(21.4567, 20.9567, 21.9567)
    assert format_summary(summary, scope="such signals") == "21.46"


def test_decibels_have_two_decimals_at_any_size():
    shown = [format_number(value, "dB") for value in (-1.3e-4, 9.3561, 119.44, math.inf)]
    assert shown == ["0.00", "9.36", "119.44", "inf"]
    assert format_summary(interval(-1.3e-4, -2.2e-4, -0.4e-4), "dB") == "0.00 ± 0.00"


def test_the_figure_of_a_run_is_the_first_that_is_defined(make_board):
    metrics = make_board().metrics
    assert first_figure(metrics, {"chamfer": 0.125, "psnr": 30.0}) == "chamfer 0.1250"
    assert first_figure(metrics, {"chamfer": math.nan, "psnr": 30.0}) == "psnr 30.00 dB"
    assert first_figure(metrics, {}) == ""


def test_one_seed_has_nothing_after_its_figure_an_empty_cell_and_null(one_seed):
    for report in (table_report, markdown_report, latex_report):
        text = report(TableSpec(), one_seed)
        assert "0.2500" in text
        assert "one seed: no interval, and no order is sure" in text
        assert "±" not in text
        assert "pm" not in text
    (row,) = csv.DictReader(io.StringIO(csv_report(TableSpec(), one_seed)))
    assert (row["chamfer_mean"], row["chamfer_std"]) == ("0.25", "")
    assert (row["train_s_mean"], row["train_s_std"]) == ("1.5", "")
    (only,) = json.loads(json_report(TableSpec(), one_seed))["tasks"][0]["rows"]
    assert only["metrics"]["chamfer"] == {"mean": 0.25, "std": None, "count": 1, "intervals": {}}


def test_csv_has_every_row_with_its_count_its_reason_and_no_figure_where_there_is_none(results):
    rows = {row["field"]: row for row in csv.DictReader(io.StringIO(csv_report(TableSpec(), results)))}
    assert [row["rank"] for row in rows.values()] == ["", "", "1", "2", "", ""]
    assert rows["good"]["chamfer_mean"] == repr(math.fsum(GOOD) / 3)
    assert float(rows["good"]["chamfer_std"]) == pytest.approx(np.std(GOOD, ddof=1))
    assert (rows["half"]["runs_ok"], rows["half"]["runs"], rows["half"]["problems"]) == ("1", "3", DIVERGED)
    assert (rows["none"]["chamfer_mean"], rows["none"]["chamfer_std"]) == ("", "")
    assert rows["kink"]["problems"] == "skipped: kink has only 1 derivative"
    assert {row["ranked_by"] for row in rows.values()} == {"chamfer"}


def test_json_keeps_every_digit_and_knows_no_infinity(results):
    data = json.loads(json_report(TableSpec(), results), parse_constant=pytest.fail)
    good = next(row for row in data["tasks"][0]["rows"] if row["field"] == "good")
    assert good["metrics"]["chamfer"]["std"] == pytest.approx(np.std(GOOD, ddof=1), rel=1e-15)
    assert good["metrics"]["psnr_held_out"] == {"mean": None, "std": None, "count": 3, "intervals": {}}
    assert data["tasks"][0]["metrics"][1] == {"name": "psnr", "unit": "dB", "higher_is_better": True, "column": True}


def test_reports_rank_by_the_metric_that_is_asked_for(results):
    (board,) = json.loads(json_report(TableSpec(sort="psnr"), results))["tasks"]
    assert board["ranked_by"] == "psnr"
    assert {row["field"]: row["rank"] for row in board["rows"] if row["rank"]} == {"good": 1, "better": 1}


def test_one_line_for_each_run_in_csv_and_json(results):
    rows = list(csv.DictReader(io.StringIO(runs_report(RunsSpec(), results))))
    data = runs_data(results)["runs"]
    assert len(rows) == len(data) == 15
    for row, item in zip(rows, data, strict=True):
        assert (row["field"], int(row["seed"]), row["status"]) == (item["field"], item["seed"], item["status"])
        figure = item["metrics"].get("chamfer")
        assert row["chamfer"] == ("" if figure is None else repr(figure))
    assert [row["status"] for row in rows if row["field"] == "half"] == ["ok", "diverged", "missing"]
    assert {row["group"] for row in rows if row["field"] == "good"} == {data[3]["group"]}
    json.dumps(runs_data(results), allow_nan=False)


def test_latex_is_escaped(results):
    text = latex_report(TableSpec(), results)
    assert r"psnr\_held\_out [dB] $\uparrow$" in text
    assert r"0.2000 $\pm$ 0.2484" in text


def test_a_bar_in_a_name_does_not_split_a_cell_of_markdown(make_board, make_row):
    board = make_board(make_row("a|b\nc", outcomes(0.1)))
    (line,) = [line for line in markdown_report(TableSpec(), Results((board,))).splitlines() if "a\\|b" in line]
    assert "| a\\|b c |" in line
