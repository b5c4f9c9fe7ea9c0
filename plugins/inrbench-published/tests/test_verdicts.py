"""Verdicts on tables whose figures are known."""

from __future__ import annotations

import io
import math
from pathlib import Path

import pytest
from inrbench_published.settings import Figure, Published, Setting
from inrbench_published.table import comparison_data, print_comparison
from inrbench_published.verdicts import compare
from rich.console import Console

from inrbench_core import Metric
from inrbench_core.results.results import ResultBoard, ResultRow, ResultRun
from inrbench_core.runs.record import RunRecord


def published(signals="own", **changes):
    data = {"source": "a paper", "grade": "A", "data": "its pictures", "metric": "psnr", "signals": signals, **changes}
    return Published.model_validate(data)


def run_of(label, value, signal="camera", seed=0, baseline=False):
    """A run with this figure; None: not carried out; a text: failed with it."""
    record = None
    if isinstance(value, str):
        record = RunRecord({}, "failed", value)
    elif value is not None:
        record = RunRecord({}, "ok", metrics={"psnr": value})
    return ResultRun(f"{label}{signal}{seed}", "image", signal, label, seed, baseline, "final", record, Path("results"))


def row_of(label, *values, baseline=False, skip="", **options):
    runs = tuple(run_of(label, value, seed=seed, baseline=baseline, **options) for seed, value in enumerate(values))
    return ResultRow(label, baseline, skip, runs)


def board_of(*rows, better=True):
    return ResultBoard("image", (Metric("psnr", "dB", higher_is_better=better),), "psnr", rows)


def verdicts(comparison):
    return {row.label: row.verdict for row in comparison.rows}


def test_a_row_is_within_up_to_the_tolerance_on_both_sides():
    figures = {"same": 30.0, "low": 30.5, "high": 29.5, "worse": 30.51, "better": 29.49}
    rows = [row_of(label, 30.0) for label in figures]
    found = compare(published(figures=figures), board_of(*rows), own_signals=True)
    assert verdicts(found) == {
        "same": "within 0.5 dB",
        "low": "within 0.5 dB",
        "high": "within 0.5 dB",
        "worse": "not within 0.5 dB: the cause is not known",
        "better": "not within 0.5 dB: the cause is not known",
    }
    assert [round(row.gap, 2) for row in found.rows] == [0, -0.5, 0.5, -0.51, 0.51]


def test_the_mean_over_seeds_is_compared_with_what_the_definition_adds():
    found = compare(published(figures={"sine": 20.0}, add=-6.0), board_of(row_of("sine", 25.0, 27.0)), own_signals=True)
    assert found.rows[0].here == 20.0
    assert verdicts(found) == {"sine": "within 0.5 dB"}


def test_what_differs_of_a_field_is_why_it_is_not_within():
    figures = {"incode": {"value": 30, "differs": "its harmonizer is not here"}}
    found = compare(published(figures=figures, tolerance=1), board_of(row_of("incode", 20.0)), own_signals=True)
    assert verdicts(found) == {"incode": "not within 1 dB: its harmonizer is not here"}


@pytest.mark.parametrize(
    ("here", "reason"),
    [(32.0, "draws of initial weights move it by 1.00 dB (standard deviation)"), (32.1, "the cause is not known")],
)
def test_a_gap_that_draws_of_weights_make_is_said_to_be_one(here, reason):
    figures = {"sine": {"value": 30, "spread": 1}}
    found = compare(published(figures=figures), board_of(row_of("sine", here)), own_signals=True)
    assert verdicts(found) == {"sine": f"not within 0.5 dB: {reason}"}


@pytest.mark.parametrize(("here", "verdict"), [(90.0, "within"), (59.6, "within"), (59.0, "not within")])
def test_a_figure_that_is_a_bound_is_within_above_it(here, verdict):
    figures = {"rff": {"value": 60, "at_least": True}}
    found = compare(published(figures=figures), board_of(row_of("rff", here)), own_signals=True)
    assert found.rows[0].verdict.startswith(f"{verdict} 0.5 dB")


def test_fields_of_one_side_only_say_so():
    figures = {"sine": 30, "MFN": {"value": 35, "not_here": "there are none"}}
    rows = [row_of("constant", 11.0, baseline=True), row_of("sine", 30.0), row_of("ours", 31.0)]
    found = compare(published(figures=figures), board_of(*rows), own_signals=True)
    assert verdicts(found) == {
        "sine": "within 0.5 dB",
        "ours": "no published figure",
        "MFN": "not here: there are none",
    }
    assert math.isnan(found.rows[1].published)
    assert math.isnan(found.rows[2].gap)


def test_a_baseline_is_shown_where_it_has_a_published_figure():
    rows = [row_of("bicubic", 28.0, baseline=True), row_of("zero", 1.0, baseline=True)]
    found = compare(published(figures={"bicubic": 28.1}), board_of(*rows), own_signals=True)
    assert verdicts(found) == {"bicubic": "within 0.5 dB"}


def test_rows_without_a_figure_say_why():
    rows = [row_of("sine", 30.0, "out of memory"), row_of("kan", skip="no derivatives"), row_of("relu", None, None)]
    rows += [row_of("tanh", 30.0, None), row_of("nan", math.nan)]
    figures = dict.fromkeys(("sine", "kan", "relu", "tanh", "nan"), 30)
    found = compare(published(figures=figures), board_of(*rows), own_signals=True)
    assert verdicts(found) == {
        "sine": "no figure: failed: out of memory",
        "kan": "skipped: no derivatives",
        "tanh": "no figure: missing",
        "nan": "no figure: psnr is not defined here",
    }
    assert found.left_out == ("relu",)


@pytest.mark.parametrize(
    ("signals", "names", "own", "same"),
    [
        ("own", ["camera"], True, True),
        ("own", ["camera"], False, False),
        ("unknown", ["camera"], True, False),
        (["0010"], ["0010.png"], False, True),
        (["0010", "0055"], ["0055.png", "0010.png"], False, True),
        (["0010", "0055"], ["0010.png"], False, False),
        (["0010"], ["0010.png", "camera"], False, False),
        (["camera"], ["camera"], True, False),
    ],
)
def test_figures_are_compared_on_the_signals_of_the_source_only(signals, names, own, same):
    row = ResultRow("sine", False, "", tuple(run_of("sine", 30.0, signal=name) for name in names))
    found = compare(published(signals, figures={"sine": 30.0}), board_of(row), own_signals=own)
    assert verdicts(found) == {"sine": "within 0.5 dB" if same else "not comparable: other data"}
    assert bool(found.other_data) == (not same)


@pytest.mark.parametrize(("suffix", "same"), [("x4", True), ("", False)])
def test_a_file_at_a_quarter_of_the_size_counts_where_the_source_used_it(suffix, same):
    board = board_of(row_of("sine", 30.0, signal="0882x4.png"))
    found = compare(published(["0882"], suffix=suffix, figures={"sine": 30.0}), board, own_signals=False)
    assert verdicts(found) == {"sine": "within 0.5 dB" if same else "not comparable: other data"}


def test_a_changed_row_is_not_compared():
    board, changes = board_of(row_of("sine", 30.0), row_of("relu", 20.0)), {"sine": ["training.steps=5"]}
    figures = {"sine": 30.0, "relu": 20.0}
    found = compare(published(figures=figures), board, changes, own_signals=True)
    assert verdicts(found) == {"sine": "not comparable: training.steps=5", "relu": "within 0.5 dB"}
    found = compare(published("unknown", figures=figures), board, changes, own_signals=True)
    assert verdicts(found) == {
        "sine": "not comparable: other data, training.steps=5",
        "relu": "not comparable: other data",
    }


def test_the_order_is_compared_by_ranks_over_the_fields_with_both_figures():
    figures = {"a": 40, "b": 30, "c": 20, "d": 10, "e": {"value": 50, "not_here": "none"}}
    rows = [row_of("a", 5.0), row_of("b", 4.0), row_of("c", 2.0), row_of("d", 3.0), row_of("f", 9.0)]
    order = compare(published("unknown", figures=figures), board_of(*rows), own_signals=True).order
    # 1 - 6 sum d^2 / (n (n^2 - 1)) with two neighbours exchanged among four.
    assert order.spearman == pytest.approx(1 - 6 * 2 / (4 * 15))
    assert order.published == ("a", "b", "c", "d")
    assert order.here == ("a", "b", "d", "c")


def test_where_less_is_better_the_smallest_figure_is_first():
    rows = [row_of("a", 0.1), row_of("b", 0.3), row_of("c", 0.2)]
    found = compare(published(figures={"a": 1, "b": 2, "c": 3}), board_of(*rows, better=False), own_signals=True)
    assert found.order.published == ("a", "b", "c")
    assert found.order.here == ("a", "c", "b")
    assert found.order.spearman == pytest.approx(0.5)


@pytest.mark.parametrize("figures", [{"a": 1, "b": 2}, {"a": 1, "b": 1, "c": 1}])
def test_too_few_fields_and_equal_ones_have_no_order(figures):
    rows = [row_of("a", 0.1), row_of("b", 0.3), row_of("c", 0.2)]
    assert compare(published(figures=figures), board_of(*rows), own_signals=True).order is None


def printed(setting, comparison):
    console = Console(width=120, file=io.StringIO())
    print_comparison(console, setting, comparison, Path("results/x"))
    return " ".join(console.file.getvalue().split())


def test_the_table_has_source_grade_gap_verdict_and_what_differs(tmp_path):
    (tmp_path / "x.yaml").write_text("# The setting of a paper.\n# Not as there: the seed.\nname: x\n# no note\n")
    figures = {"sine": 30, "rff": {"value": 60, "at_least": True}, "relu": 20, "kan": 10}
    setting = Setting("x", published("unknown", figures=figures), tmp_path / "x.yaml")
    rows = [row_of("sine", 31.25), row_of("rff", 50.0), row_of("relu", 19.0), row_of("kan", None)]
    comparison = compare(setting.published, board_of(*rows), own_signals=True)
    text = printed(setting, comparison)
    assert "sine 30.00 31.25 +1.25 not comparable: other data" in text
    assert "rff > 60.00 50.00 -10.00" in text
    assert "source (grade A): a paper" in text
    assert "the source does not say which: its pictures; so only the order of the fields can be compared" in text
    assert "order of 3 fields: Spearman 1.00 published: rff > sine > relu here: rff > sine > relu" in text
    assert "not carried out: kan; inrbench reproduce x carries out all" in text
    assert "The setting of a paper. Not as there: the seed." in text
    assert "no note" not in text
    data = comparison_data(setting, comparison)
    assert data["rows"][0] == {
        "field": "sine",
        "published": 30.0,
        "at_least": False,
        "here": 31.25,
        "gap": 1.25,
        "verdict": "not comparable: other data",
    }
    assert data["order"] == {
        "published": ["rff", "sine", "relu"],
        "here": ["rff", "sine", "relu"],
        "spearman": pytest.approx(1.0),
    }
    assert data["left_out"] == ["kan"]


def test_a_figure_that_is_not_there_is_null_in_data():
    figures = {"MFN": Figure(value=35, not_here="none")}
    setting = Setting("x", published(figures=figures), Path(__file__))
    row = comparison_data(setting, compare(setting.published, board_of(), own_signals=True))["rows"][0]
    assert (row["published"], row["here"], row["gap"]) == (35.0, None, None)
