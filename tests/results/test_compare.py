"""Two fields or two folders compared: what is paired, what is left out, and what is said of it."""

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from inrbench_core.api.errors import InrbenchError
from inrbench_core.results.compare import compare_fields, compare_folders
from inrbench_core.results.remarks import verdict
from inrbench_core.results.results import Results

ONE = (30.1, 30.4, 29.9, 30.2)
OTHER = (29.0, 29.6, 28.9, 29.3)


def outcomes(*figures):
    """`psnr` of a run for each seed; None: a run that is missing."""
    return ["missing" if figure is None else {"chamfer": 1.0, "psnr": figure} for figure in figures]


@pytest.fixture
def results(make_board, make_row):
    return Results((make_board(make_row("one", outcomes(*ONE)), make_row("other", outcomes(*OTHER))),))


def test_two_fields_are_paired_by_seed(results):
    (pair,) = compare_fields(results, "one", "other", "psnr")
    truth = stats.ttest_rel(ONE, OTHER)
    (difference,) = pair.differences
    assert difference.p == pytest.approx(truth.pvalue, rel=1e-9)
    assert difference.value == pytest.approx(np.mean(ONE) - np.mean(OTHER))
    assert (pair.signals, pair.seeds, pair.left_out) == (1, 4, 0)
    text = verdict(difference, pair.labels, pair.metric)
    assert text.startswith("one is better than other by psnr: 0.95 dB [")
    assert "4 seeds" in text


def test_the_order_of_the_two_changes_the_sign_and_nothing_else(results):
    (there,), (back,) = compare_fields(results, "one", "other", "psnr"), compare_fields(results, "other", "one", "psnr")
    assert back.differences[0].value == -there.differences[0].value
    assert back.differences[0].p == there.differences[0].p


def test_less_of_a_distance_is_better(results, make_board, make_row):
    rows = [
        make_row(label, [{"chamfer": figure} for figure in figures])
        for label, figures in (("a", (1, 2, 3)), ("b", (5, 7, 6)))
    ]
    (pair,) = compare_fields(Results((make_board(*rows),)), "a", "b")
    assert pair.differences[0].value == pytest.approx(4.0)
    assert "a is better than b" in verdict(pair.differences[0], pair.labels, pair.metric)


def test_what_cannot_be_told_apart_says_how_many_seeds_would_do(make_board, make_row):
    rows = [make_row("a", outcomes(30.0, 31.0, 32.0)), make_row("b", outcomes(31.0, 30.5, 31.0))]
    (pair,) = compare_fields(Results((make_board(*rows),)), "a", "b", "psnr")
    (difference,) = pair.differences
    text = verdict(difference, pair.labels, pair.metric)
    assert "a and b cannot be told apart by psnr" in text
    assert f"that takes about {difference.needed()} seeds" in text
    assert difference.needed() > 3


def test_runs_without_a_counterpart_are_left_out_and_counted(make_board, make_row):
    rows = [make_row("a", outcomes(30.0, 31.0, 32.0, None)), make_row("b", outcomes(None, 30.5, 31.0, 30.0))]
    (pair,) = compare_fields(Results((make_board(*rows),)), "a", "b", "psnr")
    assert (pair.seeds, pair.left_out) == (2, 2)
    assert pair.means == (31.5, 30.75)


def test_a_signal_that_lacks_seeds_goes_rather_than_the_seeds(make_board, make_row):
    names = [f"signal {number}" for number in range(6)]
    whole = make_row("a", outcomes(*ONE), signals=names)
    other = make_row("b", outcomes(*OTHER), signals=names)
    part = replace(other, runs=tuple(run for run in other.runs if run.signal != names[0] or run.seed == 0))
    (pair,) = compare_fields(Results((make_board(whole, part),)), "a", "b", "psnr")
    assert (pair.signals, pair.seeds, pair.left_out) == (5, 4, 5)


def test_of_a_field_and_a_baseline_of_one_label_the_field_is_meant(make_board, make_row):
    for order in (0, 1):
        rows = [make_row("a", outcomes(*ONE)), make_row("a", outcomes(*OTHER), baseline=True)]
        board = make_board(*(rows if order else reversed(rows)), make_row("b", outcomes(*OTHER)))
        (pair,) = compare_fields(Results((board,)), "a", "b", "psnr")
        assert pair.means[0] == pytest.approx(np.mean(ONE))


def test_rows_of_folders_are_corrected_for_their_number(make_board, make_row):
    labels = [f"field {number}" for number in range(4)]
    one, other = (
        Results((make_board(*(make_row(label, outcomes(*figures)) for label in labels)),)) for figures in (ONE, OTHER)
    )
    pairs = compare_folders(one, other, ("before", "after"), "psnr")
    assert {pair.among for pair in pairs} == {4}
    alone = stats.ttest_rel(ONE, OTHER).pvalue
    text = verdict(pairs[0].differences[0], pairs[0].labels, pairs[0].metric, pairs[0].among)
    assert f"p = {4 * alone:.2g} corrected for 4 rows" in text


def test_one_seed_in_common_gives_means_and_no_verdict(make_board, make_row):
    rows = [make_row("a", outcomes(30.0)), make_row("b", outcomes(29.0))]
    (pair,) = compare_fields(Results((make_board(*rows),)), "a", "b", "psnr")
    assert pair.means == (30.0, 29.0)
    assert pair.differences == ()


def test_nothing_in_common_gives_neither(make_board, make_row):
    rows = [make_row("a", outcomes(30.0, None)), make_row("b", outcomes(None, 29.0))]
    (pair,) = compare_fields(Results((make_board(*rows),)), "a", "b", "psnr")
    assert all(map(math.isnan, pair.means))
    assert (pair.differences, pair.seeds, pair.left_out) == ((), 0, 2)


def test_a_label_that_is_not_there_is_told_with_a_suggestion(results):
    with pytest.raises(InrbenchError, match="no row 'ohter'; did you mean 'other'"):
        compare_fields(results, "one", "ohter")


def test_two_folders_are_compared_row_by_row(make_board, make_row):
    one = Results((make_board(make_row("a", outcomes(*ONE)), make_row("b", outcomes(*OTHER))),))
    other = Results((make_board(make_row("a", outcomes(*OTHER)), make_row("c", outcomes(*ONE))),))
    (pair,) = compare_folders(one, other, ("before", "after"), "psnr")
    assert pair.labels == ("a of before", "a of after")
    assert pair.differences[0].p == pytest.approx(stats.ttest_rel(ONE, OTHER).pvalue, rel=1e-9)


def test_folders_of_other_tasks_have_nothing_in_common(make_board, make_row):
    one = Results((make_board(make_row("a", outcomes(*ONE))),))
    other = Results((make_board(make_row("a", outcomes(*ONE), task={"size": 64})),))
    with pytest.raises(InrbenchError, match="no row of the same label on the same task in common"):
        compare_folders(one, other, ("before", "after"), "psnr")
