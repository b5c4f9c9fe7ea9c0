import io
import json
import math

import numpy as np
import pytest
from rich.console import Console

from inrbench_core.api.entries import Metric, TaskEntry
from inrbench_core.api.spec import TaskSpec
from inrbench_core.results.formats import (
    csv_report,
    format_number,
    format_summary,
    json_report,
    latex_report,
    markdown_report,
    print_tables,
)
from inrbench_core.results.leaderboard import Summary, make_leaderboards
from inrbench_core.runs.record import RunRecord
from inrbench_core.runs.store import PlannedRun

METRICS = (
    Metric("chamfer", higher_is_better=False),
    Metric("psnr", unit="dB", higher_is_better=True),
    Metric("psnr_held_out", unit="dB", higher_is_better=True),
)
FIGURES = {
    "good": [0.1, 0.2, 0.3],
    "better": [0.1, 0.1, 0.1],
    "measure": [0.0, 0.0, 0.0],
    "half": [0.25, None, None],
    "none": [None, None, None],
}


class SolidSpec(TaskSpec):
    """A stand-in."""


@pytest.fixture
def board():
    planned, records = [], {}
    for label, figures in FIGURES.items():
        for seed, figure in enumerate(figures):
            run = PlannedRun(f"{label}{seed}", label, "solid", "a [solid]", label == "measure", seed)
            planned.append(run)
            if figure is None and (label, seed) == ("half", 2):
                continue
            metrics = {} if figure is None else {"chamfer": figure, "psnr": 20.0 + seed, "psnr_held_out": math.inf}
            status = "ok" if figure is not None else "diverged"
            message = "" if figure is not None else "the loss is not finite"
            records[run.id] = RunRecord(run.id, {}, status, message=message, step=7, metrics=metrics, parameters=1234)
    entry = TaskEntry("solid", SolidSpec, "nowhere:prepare", metrics=METRICS, api=1)
    (board,) = make_leaderboards(planned, records, {"a [solid]": entry})
    return board


def printed(board, width):
    buffer = io.StringIO()
    print_tables(Console(file=buffer, width=width), [board])
    return buffer.getvalue()


def test_mean_and_deviation_are_those_of_a_sample_without_nans():
    values = [1.0, 2.5, 4.0, 4.5]
    summary = Summary.of([*values, math.nan])
    assert summary.mean == pytest.approx(np.mean(values))
    assert summary.std == pytest.approx(np.std(values, ddof=1))
    assert summary.count == 4
    assert math.isnan(Summary.of([]).mean)
    assert Summary.of([3.0]).std == 0.0


def test_fields_are_ranked_by_the_mean_of_the_primary_metric_and_failures_come_last(board):
    assert [row.label for row in board.rows] == ["measure", "better", "good", "half", "none"]
    rows = markdown_report(SolidSpec(), [board]).splitlines()[4:9]
    assert [row.split("|")[1].strip() for row in rows] == ["", "1", "2", "3", ""]
    assert "measure (baseline)" in rows[0]


def test_what_went_wrong_is_in_the_table_and_below_it(board):
    text = printed(board, 200)
    assert "1/3 (1 diverged, 1 missing)" in text
    assert "0/3 (3 diverged)" in text
    assert "none: diverged: the loss is not finite (step 7)" in text
    assert "a [solid]" in text


def test_a_field_called_as_a_baseline_keeps_its_own_runs():
    planned = [PlannedRun(f"{b}{seed}", "mean", "solid", "solid", b, seed) for b in (True, False) for seed in (0, 1)]
    entry = TaskEntry("solid", SolidSpec, "nowhere:prepare", metrics=METRICS, api=1)
    (board,) = make_leaderboards(planned, {}, {"solid": entry})
    assert {row.baseline: row.ids for row in board.rows} == {True: ("True0", "True1"), False: ("False0", "False1")}


@pytest.mark.parametrize("width", [72, 90, 110, 200])
def test_a_narrow_terminal_leaves_out_columns_by_name_and_cuts_no_figure(board, width):
    text = printed(board, width)
    table, _, hidden = text.partition("too narrow here for ")
    assert all(len(line) <= width for line in table.splitlines())
    for kept in ("0.2000 ± 0.1000", "measure (baseline)", "3/3"):
        assert kept in table
    for title in ("psnr [dB] ↑", "psnr_held_out [dB] ↑", "parameters", "train [s]"):
        assert (title in table) != (title in hidden)
    assert (width == 200) == (not hidden)


def test_no_figure_loses_its_exponent():
    assert [format_number(value) for value in (0.0, 12345.6, 1.5e-7, -3e9, math.inf, math.nan)] == [
        "0.000",
        "1.235e+04",
        "1.500e-07",
        "-3.000e+09",
        "inf",
        "-",
    ]
    assert format_summary(Summary(21.4567, 0.5, 3)) == "21.46 ± 0.50"
    assert format_summary(Summary(1.5e-7, 2.25e-8, 3)) == "1.500e-07 ± 2.2e-08"


def test_decibels_have_two_decimals_at_any_size():
    shown = [format_number(value, "dB") for value in (-1.3e-4, 9.3561, 119.44, math.inf)]
    assert shown == ["0.00", "9.36", "119.44", "inf"]
    assert format_summary(Summary(-1.3e-4, 8.7e-5, 3), "dB") == "0.00 ± 0.00"


def test_machine_readable_reports_keep_every_digit_and_json_knows_no_infinity(board):
    data = json.loads(json_report(SolidSpec(), [board]), parse_constant=pytest.fail)
    good = next(row for row in data["tasks"][0]["rows"] if row["field"] == "good")
    assert good["metrics"]["chamfer"]["std"] == pytest.approx(np.std(FIGURES["good"], ddof=1))
    assert good["metrics"]["psnr_held_out"] == {"mean": None, "std": None, "count": 3}
    assert repr(good["metrics"]["chamfer"]["mean"]) in csv_report(SolidSpec(), [board])


def test_latex_is_escaped(board):
    text = latex_report(SolidSpec(), [board])
    assert r"psnr\_held\_out [dB] $\uparrow$" in text
    assert r"0.2000 $\pm$ 0.1000" in text
