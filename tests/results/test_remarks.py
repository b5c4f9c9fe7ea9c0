"""The lines below a table: what is sure, what more data would show, and what rows are made of."""

from dataclasses import replace

import numpy as np
import pytest

from inrbench_core.results.remarks import remark_lines
from inrbench_core.results.results import Chosen, Results

SIGNALS = ("a", "b", "c", "d", "e")


def outcomes(*figures):
    return [{"chamfer": 1.0, "psnr": figure} for figure in figures]


def remarks(board):
    return remark_lines(Results((board,)).leaderboards("psnr")[0])


def test_a_lead_that_is_sure_is_named_with_its_interval(make_board, make_row):
    board = make_board(make_row("first", outcomes(30.0, 30.1, 30.2)), make_row("second", outcomes(20.0, 20.2, 20.1)))
    lines = remarks(board)
    assert lines[0] == "± and [ ] are 95 % intervals of the mean: on these signals by t over seeds"
    assert lines[1].startswith("on these signals (paired t, Holm): measured gaps above about ")
    assert "first leads second by 10.00 dB [" in lines[1]
    assert lines[2] == "for such signals: nothing is known with fewer than 5 signals"
    assert lines[3:] == ["noise, masks and other random data are those of data_seed 0 for all seeds"]


def test_a_lead_that_is_not_sure_says_what_would_settle_it_and_is_marked(make_board, make_row):
    board = make_board(make_row("first", outcomes(30.0, 31.0, 32.0)), make_row("second", outcomes(31.0, 30.5, 31.0)))
    lines = remarks(board)
    assert "first and second (0.17 dB [" in lines[1]
    assert "seeds" in lines[1].partition("are not: that takes ")[2]
    assert "= cannot be told apart from the first row" in lines


def test_five_signals_say_something_of_signals_like_them(make_board, make_row):
    rows = [
        make_row(label, outcomes(figure, figure + 0.1, figure - 0.1), signals=SIGNALS)
        for label, figure in (("first", 30.0), ("second", 20.0))
    ]
    lines = remarks(make_board(*rows))
    assert lines[0].endswith("for such signals by t over signals and seeds")
    assert lines[2].startswith("for such signals (paired t, Holm)")


def test_one_seed_says_that_nothing_is_sure(make_board, make_row):
    board = make_board(make_row("first", outcomes(30.0)), make_row("second", outcomes(20.0)))
    assert remarks(board) == ["one seed: no interval, and no order is sure; `seeds: 3` in the spec gives both"]


def test_the_reason_for_what_is_missing_is_the_true_one(make_board, make_row):
    infinite = [make_row("a", outcomes(30.0, float("inf"))), make_row("b", outcomes(29.0, 28.0))]
    assert remarks(make_board(*infinite))[1] == "psnr is infinite in some run: ranks have no intervals"
    measure = make_row("measure", outcomes(1.0, 2.0, 3.0), baseline=True, signals=SIGNALS)
    once = [make_row(label, outcomes(figure), signals=SIGNALS) for label, figure in (("a", 30.0), ("b", 29.0))]
    assert remarks(make_board(measure, *once))[0].startswith("one seed: ")


def test_equal_rows_are_said_to_be_equal(make_board, make_row):
    board = make_board(make_row("a", outcomes(30.0, 31.0)), make_row("b", outcomes(30.0, 31.0)))
    assert remarks(board)[1].endswith("; a and b are equal")


def test_an_interval_below_a_table_never_contradicts_what_it_says(make_board, make_row):
    generator = np.random.default_rng(0)
    for _ in range(40):
        rows = [make_row(str(index), outcomes(*(30 + generator.normal(size=4)))) for index in range(8)]
        (board,) = Results((make_board(*rows),)).leaderboards("psnr")
        comparison = board.comparisons["these signals"]
        low, _ = comparison.difference(0, 1).interval(comparison.pairs)
        assert low <= 0 or comparison.surely_better[0, 1]


def test_a_tuned_row_says_what_was_chosen_on_what_and_what_it_gained(make_board, make_row):
    chosen = Chosen({"training.lr": 0.00312345, "field.width": 64}, "psnr", 8, ("camera",), (100,), "siren")
    tuned = replace(make_row("siren (tuned)", outcomes(31.0, 31.5, 31.1)), chosen=chosen)
    lines = remarks(make_board(make_row("siren", outcomes(30.0, 30.4, 30.2)), tuned))
    (line,) = [line for line in lines if line.startswith("siren (tuned): ")]
    assert "training.lr=0.003123, field.width=64; best of 8 by psnr on camera, seed 100" in line
    assert "gain over siren 1.00 dB [" in line


@pytest.mark.parametrize(
    ("diverged", "failed", "text"),
    [(3, 0, "best of 8 (3 diverged) by psnr"), (2, 1, "best of 8 (2 diverged, 1 failed) by psnr")],
)
def test_trials_without_a_figure_are_told_beside_their_number(make_board, make_row, diverged, failed, text):
    chosen = Chosen({"lr": 1e-4}, "psnr", 8, ("camera",), (100,), diverged=diverged, failed=failed)
    tuned = replace(make_row("siren", outcomes(30.0)), chosen=chosen)
    assert any(text in line for line in remarks(make_board(tuned)))


def test_where_the_published_options_are_the_best_no_gain_is_told(make_board, make_row):
    chosen = Chosen({"training.lr": 1e-4}, "psnr", 8, ("camera",), (100,), "siren")
    published = make_row("siren", outcomes(30.0, 30.4, 30.2))
    tuned = replace(published, label="siren (tuned)", chosen=chosen)
    (line,) = [line for line in remarks(make_board(published, tuned)) if line.startswith("siren (tuned): ")]
    assert line.endswith("on camera, seed 100; the published options are the best")


@pytest.mark.parametrize(
    ("known", "names"),
    [(1, "field 0"), (20, "field 0, field 1, field 2, field 3, field 4 and 15 more")],
)
def test_rows_that_come_from_elsewhere_say_from_where(make_board, make_row, known, names):
    rows = []
    for index in range(known):
        row = make_row(f"field {index}", outcomes(90.0 - index, 90.5 - index))
        rows.append(replace(row, runs=tuple(replace(run, origin="all.csv, inrbench 0.1.0") for run in row.runs)))
    lines = [line for line in remarks(make_board(*rows, make_row("own", outcomes(1.0, 2.0)))) if line.startswith("†")]
    assert lines == [f"† {2 * known} runs of {names}: from all.csv, inrbench 0.1.0"]


def test_signals_made_by_a_program_are_named(make_board, make_row):
    def told(board):
        return [line for line in remarks(board) if line.startswith("synthetic data")]

    row = make_row("a", outcomes(30.0, 31.0), signals=("cello", "flute"))
    assert told(make_board(row)) == []
    runs = tuple(
        replace(run, record=replace(run.record, data={"synthetic": run.signal == "cello"})) for run in row.runs
    )
    assert told(make_board(replace(row, runs=runs))) == ["synthetic data: cello"]


@pytest.mark.parametrize(("data_seed", "told"), [(0, True), (3, True), ("seed", False)])
def test_data_that_seeds_share_are_said_to_be_shared(make_board, make_row, data_seed, told):
    rows = [make_row(label, outcomes(30.0, 31.0, 30.5), data_seed=data_seed) for label in "ab"]
    line = f"noise, masks and other random data are those of data_seed {data_seed} for all seeds"
    assert (line in remarks(make_board(*rows))) is told
    one_seed = [make_row(label, outcomes(30.0), data_seed=data_seed) for label in "ab"]
    assert line not in remarks(make_board(*one_seed))
