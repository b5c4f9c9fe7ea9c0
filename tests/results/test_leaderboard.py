"""Which rows have a rank, by what, and what is said of those that have none."""

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from inrbench_core.api.errors import InrbenchError
from inrbench_core.results.leaderboard import Summary
from inrbench_core.results.results import Results


def figures(*values, metric="chamfer"):
    return [{metric: value} for value in values]


def ranks(board):
    return [(row.label, row.rank) for row in board.rows]


def test_mean_and_deviation_are_those_of_a_sample_without_nans():
    values = [1.0, 2.5, 4.0, 4.5]
    summary = Summary.of([*values, math.nan])
    assert summary.mean == pytest.approx(np.mean(values))
    assert summary.std == pytest.approx(np.std(values, ddof=1))
    assert summary.count == 4
    assert math.isnan(Summary.of([]).mean)


def test_one_observation_has_no_deviation():
    summary = Summary.of([3.0])
    assert (summary.mean, summary.count) == (3.0, 1)
    assert math.isnan(summary.std)


def test_fields_are_ranked_by_their_means_and_baselines_stand_among_them_without_a_rank(make_board, make_row):
    board = make_board(
        make_row("good", figures(0.1, 0.2, 0.3)),
        make_row("measure", figures(0.0, 0.0, 0.0), baseline=True),
        make_row("none", ["diverged: the loss is not finite at step 7"] * 3),
        make_row("better", figures(0.1, 0.1, 0.1)),
    )
    (ranked,) = Results((board,)).leaderboards()
    assert ranks(ranked) == [("measure", None), ("better", 1), ("good", 2), ("none", None)]


def test_a_field_of_which_one_of_three_runs_is_ok_has_no_rank_however_good_that_one_is(make_board, make_row):
    board = make_board(
        make_row("lucky", [*figures(0.01), "failed: out of memory", "missing"]),
        make_row("steady", figures(0.3, 0.3, 0.3)),
    )
    (ranked,) = Results((board,)).leaderboards()
    assert ranks(ranked) == [("lucky", None), ("steady", 1)]
    lucky = ranked.rows[0]
    assert dict(lucky.statuses) == {"ok": 1, "failed": 1, "missing": 1}
    assert lucky.problems == ("failed: out of memory",)
    assert not lucky.complete


def test_a_field_of_which_a_run_lacks_the_metric_that_ranks_has_no_rank(make_board, make_row):
    board = make_board(
        make_row("undefined", [{"chamfer": 0.1}, {"chamfer": math.nan}]), make_row("whole", figures(0.2, 0.2))
    )
    (ranked,) = Results((board,)).leaderboards()
    assert ranks(ranked) == [("undefined", None), ("whole", 1)]
    assert [row.problems for row in ranked.rows] == [("not ranked: has chamfer in 1 of 2 runs",), ()]


def test_only_fields_that_have_every_signal_and_seed_of_the_table_have_a_rank(make_board, make_row):
    board = make_board(
        make_row("lucky", figures(0.01, 0.01)),
        make_row("steady", figures(0.3, 0.3, 0.3)),
        # What baselines have more of is not asked of fields.
        make_row("measure", figures(0.2, 0.2, 0.2, 0.2), baseline=True),
    )
    (ranked,) = Results((board,)).leaderboards()
    assert ranks(ranked) == [("lucky", None), ("measure", None), ("steady", 1)]
    assert [row.problems for row in ranked.rows] == [("not ranked: has 2 of 3 signals and seeds",), (), ()]


def test_where_no_field_has_every_signal_none_has_a_rank(make_board, make_row):
    board = make_board(make_row("a", figures(0.1), signals=("csg",)), make_row("b", figures(0.2), signals=("bunny",)))
    (ranked,) = Results((board,)).leaderboards()
    assert ranks(ranked) == [("a", None), ("b", None)]


@pytest.mark.parametrize("equal", [0.2, math.inf])
def test_equal_means_have_equal_ranks_and_the_next_one_counts_them(make_board, make_row, equal):
    board = make_board(
        make_row("last", figures(0.1, 0.1)),
        make_row("a", [{"psnr": equal}, {"psnr": equal}]),
        make_row("b", [{"psnr": equal}, {"psnr": equal}]),
        make_row("third", [{"psnr": 0.1}, {"psnr": 0.1}]),
        make_row("fourth", [{"psnr": math.nextafter(0.1, 0)}] * 2),
        rank_by="psnr",
    )
    (ranked,) = Results((board,)).leaderboards()
    assert ranks(ranked) == [("a", 1), ("b", 1), ("third", 3), ("fourth", 4), ("last", None)]


def test_the_one_answer_of_a_baseline_has_no_interval(make_board, make_row):
    def linear(**data):
        answer = make_row("linear", figures(0.5), baseline=True, baseline_name="linear", **data)
        (board,) = Results((make_board(answer, make_row("a", figures(0.1, 0.2), **data)),)).leaderboards()
        rows = {row.label: row.metrics["chamfer"] for row in board.rows}
        assert rows["a"].intervals
        return rows["linear"].intervals

    assert linear() == {}
    # Of five signals something is known about signals like them.
    assert set(linear(signals=tuple("abcde"))) == {"such signals"}


def test_a_baseline_without_any_figure_has_no_row_and_a_field_has(make_board, make_row):
    nothing = [{"chamfer": math.nan, "psnr": math.nan}] * 2
    rows = [
        make_row("filling", nothing, baseline=True),
        make_row("one of two", [{"chamfer": math.nan, "psnr": 1.0}] * 2, baseline=True),
        make_row("failed", ["failed: out of memory"] * 2, baseline=True),
        make_row("a", nothing),
        make_row("b", figures(0.1, 0.2)),
    ]
    (board,) = Results((make_board(*rows),)).leaderboards()
    assert {row.label for row in board.rows} == {"one of two", "failed", "a", "b"}


def test_the_values_of_the_signal_for_each_parameter(make_board, make_row):
    row = make_row("a", figures(0.1, 0.2), parameters=50)
    (ranked,) = Results((make_board(row),)).leaderboards()
    assert math.isnan(ranked.rows[0].values_per_parameter)
    runs = tuple(replace(run, record=replace(run.record, values=200)) for run in row.runs)
    (ranked,) = Results((make_board(replace(row, runs=runs)),)).leaderboards()
    assert ranked.rows[0].values_per_parameter == 4.0


def test_the_parameters_of_a_row_are_the_largest_number_of_its_runs(make_board, make_row):
    small, large = (make_row("a", figures(0.1), signals=(str(n),), parameters=n) for n in (10, 30))
    (ranked,) = Results((make_board(replace(small, runs=(*small.runs, *large.runs))),)).leaderboards()
    assert ranked.rows[0].parameters == 30


def test_the_metric_that_the_task_says_ranks_and_comes_first(make_board, make_row):
    both = [{"psnr": 30.0, "psnr_held_out": 20.0}], [{"psnr": 40.0, "psnr_held_out": 10.0}]
    board = make_board(make_row("a", both[0]), make_row("b", both[1]), rank_by="psnr_held_out")
    (ranked,) = Results((board,)).leaderboards()
    assert ranks(ranked) == [("a", 1), ("b", 2)]
    assert [metric.name for metric in ranked.metrics] == ["psnr_held_out", "chamfer", "psnr"]


def test_where_no_field_has_that_metric_the_primary_one_ranks(make_board, make_row):
    measure = make_row("linear", [{"chamfer": 0.5, "psnr_held_out": 50.0}], baseline=True)
    board = make_board(make_row("a", figures(0.3)), make_row("b", figures(0.2)), measure, rank_by="psnr_held_out")
    (ranked,) = Results((board,)).leaderboards()
    assert ranked.rank_by.name == "chamfer"
    assert ranks(ranked) == [("b", 1), ("a", 2), ("linear", None)]


def test_another_metric_ranks_if_it_is_asked_for(make_board, make_row):
    rows = make_row("a", [{"chamfer": 0.1, "psnr": 10.0}]), make_row("b", [{"chamfer": 0.2, "psnr": 20.0}])
    other = make_board(make_row("c", figures(0.1)), label="without psnr")
    by_psnr, by_default = Results((make_board(*rows), other)).leaderboards("psnr")
    assert ranks(by_psnr) == [("b", 1), ("a", 2)]
    assert ranks(by_default) == [("c", None)]
    with pytest.raises(InrbenchError, match="no metric 'psnrr'; did you mean 'psnr'"):
        Results((make_board(*rows),)).leaderboards("psnrr")
    with pytest.raises(InrbenchError, match="no metric 'speed'; there are chamfer, psnr, psnr_held_out"):
        Results((make_board(*rows),)).leaderboards("speed")


def test_a_pair_that_cannot_work_is_a_row_with_its_reason_and_no_failure(make_board, make_row):
    board = make_board(make_row("a", figures(0.1)), make_row("kink", [], skip="kink has only 1 derivative"))
    results = Results((board,))
    (ranked,) = results.leaderboards()
    skipped = ranked.rows[-1]
    assert (skipped.label, skipped.rank, dict(skipped.statuses)) == ("kink", None, {"skipped": 1})
    assert skipped.problems == ("skipped: kink has only 1 derivative",)
    assert [run.field for run in results.runs] == ["a"]


def test_a_field_called_as_a_baseline_keeps_its_own_runs(make_board, make_row):
    field, measure = make_row("mean", figures(1.0, 2.0)), make_row("mean", figures(5.0, 6.0), baseline=True)
    (ranked,) = Results((make_board(measure, field),)).leaderboards()
    means = {row.baseline: row.metrics["chamfer"].mean for row in ranked.rows}
    assert means == {True: 5.5, False: 1.5}


def test_signals_and_seeds_are_counted_and_all_of_them_are_observations(make_board, make_row):
    row = make_row("a", figures(1.0, 3.0), signals=("csg", "bunny", "dragon"))
    (ranked,) = Results((make_board(row),)).leaderboards()
    assert ranked.counts == (3, 2)
    assert ranked.rows[0].metrics["chamfer"].std == pytest.approx(np.std([1, 3] * 3, ddof=1))


def test_the_best_run_is_one_of_the_field_that_ranks_first(make_board, make_row):
    board = make_board(
        make_row("lucky", [*figures(0.01), "failed: why"]),
        make_row("steady", figures(0.3, 0.2)),
        make_row("measure", figures(0.0, 0.0), baseline=True),
    )
    best = Results((board,)).best()
    assert (best.field, best.seed) == ("steady", 0)
    with pytest.raises(InrbenchError, match="no task 'soild'; there are solid"):
        Results((board,)).best("soild")
    hopeless = make_board(make_row("a", ["failed: why"]))
    with pytest.raises(InrbenchError, match="solid: no field has a rank"):
        Results((hopeless,)).best()


def test_ranks_that_are_not_sure_are_intervals_and_what_is_tied_with_the_first_is_known(make_board, make_row):
    board = make_board(
        make_row("far", figures(9.0, 9.1, 9.2)),
        make_row("first", figures(1.0, 1.2, 1.1)),
        make_row("close", figures(1.1, 1.1, 1.2)),
    )
    (ranked,) = Results((board,)).leaderboards()
    standings = {row.label: row.standing["these signals"] for row in ranked.rows}
    assert {label: (one.low, one.high, one.tied) for label, one in standings.items()} == {
        "first": (1, 2, True),
        "close": (1, 2, True),
        "far": (3, 3, False),
    }
    assert "such signals" not in ranked.comparisons


def test_rows_without_a_rank_have_no_standing_and_do_not_count_among_the_ranks(make_board, make_row):
    board = make_board(
        make_row("measure", figures(0.1, 0.1, 0.2), baseline=True),
        make_row("a", figures(1.0, 1.2, 1.1)),
        make_row("b", figures(5.0, 5.1, 5.2)),
        make_row("lucky", [*figures(0.01, 0.02), "failed: why"]),
    )
    (ranked,) = Results((board,)).leaderboards()
    standings = {row.label: dict(row.standing) for row in ranked.rows}
    assert standings["measure"] == standings["lucky"] == {}
    assert standings["b"]["these signals"].high == 2


def test_the_interval_of_a_mean_is_that_of_students_t_over_seeds(make_board, make_row):
    board = make_board(
        make_row("a", figures(1.0, 2.0, 4.0)), make_row("measure", figures(1.0, 3.0, 2.0), baseline=True)
    )
    (ranked,) = Results((board,)).leaderboards()
    for row, values in zip(sorted(ranked.rows, key=lambda row: row.label), ((1, 2, 4), (1, 3, 2)), strict=True):
        truth = stats.ttest_1samp(values, 0).confidence_interval(0.95)
        assert row.metrics["chamfer"].intervals == {"these signals": pytest.approx(tuple(truth))}


def test_an_infinite_figure_leaves_ranks_and_no_statistics(make_board, make_row):
    board = make_board(make_row("a", figures(0.1, 0.2)), make_row("b", figures(math.inf, 0.2)))
    (ranked,) = Results((board,)).leaderboards()
    assert [row.rank for row in ranked.rows] == [1, 2]
    assert ranked.comparisons == {}
    assert [row.standing for row in ranked.rows] == [{}, {}]
