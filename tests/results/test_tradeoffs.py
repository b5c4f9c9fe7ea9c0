"""Time to a target quality with runs that never reach it, and Pareto fronts."""

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from inrbench_core.api.entries import Metric
from inrbench_core.api.errors import InrbenchError
from inrbench_core.plugins.builtin import ParetoSpec, TimeToTargetSpec
from inrbench_core.results.results import Results
from inrbench_core.results.tradeoff_tables import pareto_report, time_to_target_report
from inrbench_core.results.tradeoffs import curve_metrics, find_targets, pareto_front, time_to_target
from inrbench_core.runs.record import RunArrays

PSNR, CHAMFER = Metric("psnr", "dB"), Metric("chamfer", higher_is_better=False)


@pytest.fixture
def with_curves(make_row):
    """Makes a row whose runs have these curves of a metric, evaluated every `every` steps of 0.5 s."""

    def make(label, curves, *, metric="psnr", every=10, steps=None, **options):
        outcomes = [curve if isinstance(curve, str) else {metric: curve[-1]} for curve in curves]
        length = max((len(curve) for curve in curves if not isinstance(curve, str)), default=0)
        row = make_row(label, outcomes, training={"steps": steps or length * every}, **options)
        runs = []
        for index, run in enumerate(row.runs):
            curve = curves[index % len(curves)]
            if not isinstance(curve, str):
                step = np.arange(1, len(curve) + 1) * every
                arrays = RunArrays({"step": step, "seconds": step * 0.5, metric: np.array(curve)})
                run = replace(run, record=replace(run.record, read_arrays=lambda arrays=arrays: arrays))
            runs.append(run)
        return replace(row, runs=tuple(runs))

    return make


@pytest.fixture
def board_of(make_board):
    """Makes the leaderboard of rows."""

    def make(*rows, rank_by="psnr"):
        return Results((make_board(*rows, rank_by=rank_by),)).leaderboards()[0]

    return make


def times(board, target, metric=PSNR):
    lines, limit = time_to_target(board, metric, find_targets(board, metric, target)[0])
    return {line.label: line for line in lines}, limit


def test_the_first_evaluation_at_the_target_counts_and_falling_back_later_does_not(with_curves, board_of):
    found, limit = times(board_of(with_curves("a", [[10.0, 20.0, 15.0, 21.0]])), 20.0)
    assert (found["a"].median_steps, found["a"].median_s, found["a"].reached, limit) == (20, 10.0, 1, 40)


def test_of_errors_less_is_better(with_curves, board_of):
    board = board_of(with_curves("a", [[0.5, 0.2, 0.1]], metric="chamfer"), rank_by="chamfer")
    assert times(board, 0.2, CHAMFER)[0]["a"].median_steps == 20
    assert times(board, 0.05, CHAMFER)[0]["a"].median_steps == math.inf


def test_runs_that_never_reach_it_or_diverge_are_later_than_all_others(with_curves, board_of):
    curves = [[10.0, 20.0, 20.0, 20.0], [20.0, 20.0, 20.0, 20.0], [1.0, 2.0, 3.0, 4.0]]
    board = board_of(
        with_curves("two of three", curves),
        with_curves("one of two", curves[1:]),
        with_curves("diverges", [*curves[:2], "diverged: the loss is not finite at step 7"], steps=40),
    )
    found, limit = times(board, 20.0)
    assert limit == 40
    assert {label: (line.reached, line.runs, line.median_steps) for label, line in found.items()} == {
        "two of three": (2, 3, 20),
        "one of two": (1, 2, math.inf),
        "diverges": (2, 3, 20),
    }
    assert found["two of three"].mean_steps == found["diverges"].mean_steps == pytest.approx((20 + 10 + 40) / 3)


def test_medians_and_means_are_those_of_the_kaplan_meier_curve(with_curves, board_of):
    rng = np.random.default_rng(3)
    steps = 60
    reached = np.ceil(rng.exponential(50, 41))
    curves = [[float(step >= time) for step in range(1, steps + 1)] for time in reached]
    found, limit = times(board_of(with_curves("a", curves, every=1)), 1.0)
    censored = stats.CensoredData.right_censored(np.minimum(reached, steps), reached > steps)
    survival = stats.ecdf(censored).sf
    grid = np.arange(steps)
    assert found["a"].median_steps == next(step for step in grid if survival.evaluate(step) <= 0.5)
    # The area below the curve, which is constant between steps.
    assert found["a"].mean_steps == pytest.approx(survival.evaluate(grid).sum())
    assert found["a"].reached == (reached <= steps).sum()
    assert limit == steps


def test_means_are_limited_to_the_fewest_steps_that_a_run_was_asked_for(with_curves, board_of):
    board = board_of(with_curves("short", [[1.0, 1.0]]), with_curves("long", [[0.0, 0.0, 0.0, 1.0]]))
    found, limit = times(board, 1.0)
    assert (limit, found["long"].mean_steps, found["long"].median_steps) == (20, 20, 40)


@pytest.mark.parametrize("outcome", ["missing", "failed: out of memory"])
def test_with_a_run_that_failed_or_is_missing_only_the_count_is_known(with_curves, board_of, outcome):
    board = board_of(with_curves("a", [[1.0], [1.0], outcome]), with_curves("b", [[1.0]]))
    line = times(board, 1.0)[0]["a"]
    assert (line.reached, line.runs) == (2, 3)
    assert math.isnan(line.median_steps)
    assert math.isnan(line.mean_steps)


def test_the_default_target_is_the_median_field_on_each_signal(with_curves, board_of):
    rows = [with_curves(name, [[value], [value + 1]]) for name, value in (("a", 10.0), ("b", 20.0), ("c", 60.0))]
    measure = with_curves("measure", [[90.0], [90.0]], baseline=True)
    board = board_of(*rows, measure)
    assert find_targets(board, PSNR, "") == ({"csg": 20.5}, "the median field")
    assert find_targets(board, PSNR, "measure")[0] == {"csg": 90.0}
    assert find_targets(board, PSNR, "nobody")[0] == {}


def test_signals_have_targets_of_their_own(with_curves, board_of):
    easy, hard = (with_curves("a", [[value]], signals=(name,)) for name, value in (("easy", 40.0), ("hard", 20.0)))
    board = board_of(replace(easy, runs=(*easy.runs, *hard.runs)))
    found, _ = times(board, "a")
    assert find_targets(board, PSNR, "a")[0] == {"easy": 40.0, "hard": 20.0}
    assert found["a"].reached == 2


def test_only_metrics_with_a_curve_can_be_targets(with_curves, make_row, make_board):
    row = with_curves("a", [[10.0, 20.0]])
    ranked = replace(row.runs[0].record, metrics={"psnr": 20.0, "psnr_held_out": 15.0})
    row = replace(row, runs=(replace(row.runs[0], record=ranked),))
    results = Results((make_board(row, make_row("mean", [{"psnr": 5.0}], baseline=True), rank_by="psnr_held_out"),))
    assert curve_metrics(results.leaderboards()[0]) == [PSNR]
    assert "solid: psnr, target 20.00 dB (the median field)" in time_to_target_report(TimeToTargetSpec(), results)
    text = time_to_target_report(TimeToTargetSpec(sort="psnr_held_out"), results)
    assert "no run has a curve of psnr_held_out; curves have psnr" in text


def test_the_table_says_who_never_gets_there_and_who_has_no_curve(with_curves, make_row, make_board):
    rows = [with_curves("good", [[10.0, 20.0]]), with_curves("poor", [[1.0, 2.0]]), make_row("none", [{"psnr": 3.0}])]
    text = time_to_target_report(TimeToTargetSpec(target="good"), Results((make_board(*rows, rank_by="psnr"),)))
    lines = [line.split() for line in text.splitlines()]
    assert ["good", "1/1", "20", "10.00", "20"] in lines
    assert ["poor", "0/1", "never", "never", "20"] in lines
    assert "  without a curve: none" in text.splitlines()
    with pytest.raises(InrbenchError, match="target: no row 'god'; did you mean 'good'"):
        time_to_target_report(TimeToTargetSpec(target="god"), Results((make_board(*rows, rank_by="psnr"),)))


def test_the_front_is_that_of_a_sweep_by_cost(make_row, board_of):
    rng = np.random.default_rng(0)
    points = {f"f{i}": (float(rng.integers(0, 12)), int(rng.integers(1, 12))) for i in range(40)}
    board = board_of(*(make_row(name, [{"psnr": q}], parameters=cost) for name, (q, cost) in points.items()))
    best, front = -math.inf, set()
    for cost in sorted({cost for _, cost in points.values()}):
        quality = max(q for q, price in points.values() if price == cost)
        if quality > best:
            best = quality
            front |= {name for name, point in points.items() if point == (quality, cost)}
    lines = pareto_front(board, "parameters")
    assert {line.label for line in lines if not line.dominated_by} == front
    for line in lines:
        if line.dominated_by:
            quality, cost = points[line.dominated_by]
            assert quality >= line.quality
            assert cost <= line.cost
    assert [line.cost for line in lines] == sorted(cost for _, cost in points.values())
    assert {line.surely for line in lines} == {None}


def test_of_errors_the_front_is_below(make_row, board_of):
    board = board_of(
        make_row("small", [{"chamfer": 0.4}], parameters=10),
        make_row("worse", [{"chamfer": 0.5}], parameters=20),
        make_row("large", [{"chamfer": 0.1}], parameters=30),
        rank_by="chamfer",
    )
    assert [(line.label, line.dominated_by) for line in pareto_front(board, "parameters")] == [
        ("small", ""),
        ("worse", "small"),
        ("large", ""),
    ]


def test_a_dominated_field_that_is_not_told_apart_is_marked(make_row, make_board):
    def outcomes(mean, spread):
        return [{"psnr": mean + spread * z} for z in (-1.0, 0.0, 1.0)]

    rows = [
        make_row("small", outcomes(30.0, 0.1), parameters=10),
        make_row("near", outcomes(29.9, -2.0), parameters=20),
        make_row("far", outcomes(10.0, -0.1), parameters=30),
    ]
    results = Results((make_board(*rows, rank_by="psnr"),))
    (board,) = results.leaderboards()
    assert {line.label: line.surely for line in pareto_front(board, "parameters")} == {
        "small": None,
        "near": False,
        "far": True,
    }
    text = pareto_report(ParetoSpec(), results)
    assert "dominated by small, not told apart" in text
    assert text.count("dominated by small") == 2


def test_costs_are_parameters_flops_or_seconds(make_row, make_board):
    row = make_row("a", [{"psnr": 1.0}, {"psnr": 2.0}], parameters=7)
    flops = [replace(run, record=replace(run.record, flops=n)) for run, n in zip(row.runs, (1e9, 3e9), strict=True)]
    unknown = make_row("unknown", [{"psnr": 1.0}, {"psnr": 1.0}])
    results = Results((make_board(replace(row, runs=tuple(flops)), unknown, rank_by="psnr"),))
    (board,) = results.leaderboards()
    assert {line.label: line.cost for line in pareto_front(board, "flops")} == {"a": 2e9}
    assert {line.label: line.cost for line in pareto_front(board, "parameters")} == {"a": 7, "unknown": 1234}
    assert {line.label: line.cost for line in pareto_front(board, "seconds")} == {"a": 1.5, "unknown": 1.5}
    assert "without a rank or known flops: unknown" in pareto_report(ParetoSpec(against="flops"), results)


def test_a_field_whose_figures_come_from_elsewhere_is_marked(make_row, make_board):
    row = make_row("theirs", [{"psnr": 1.0}])
    known = replace(row, runs=tuple(replace(run, origin="all.csv, inrbench 0.2.0") for run in row.runs))
    text = pareto_report(ParetoSpec(against="seconds"), Results((make_board(known, rank_by="psnr"),)))
    assert "theirs †" in text
    assert "  † 1 run of theirs: from all.csv, inrbench 0.2.0" in text.splitlines()
