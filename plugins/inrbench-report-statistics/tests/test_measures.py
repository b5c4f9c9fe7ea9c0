"""Ranks, scores, win rates and profiles by hand, and resampling against all that can be drawn."""

import itertools
import math

import numpy as np
import pytest
from inrbench_report_statistics.blocks import Block
from inrbench_report_statistics.measures import (
    interquartile_mean,
    interval,
    profile,
    ranks,
    ratios,
    resample,
    scores,
    win_rates,
    win_shares,
)
from scipy import stats

from inrbench_core import Metric

PSNR, CHAMFER, IOU = Metric("psnr", "dB"), Metric("chamfer", higher_is_better=False), Metric("iou")


def block(*signals, metric=PSNR):
    """Of signals (fields, seeds)."""
    return Block("task", metric, tuple(np.array(values, dtype=float) for values in signals))


def test_equal_means_share_the_mean_of_their_ranks():
    assert ranks(np.array([[3.0, 1.0, 3.0, 2.0]])).tolist() == [[1.5, 4.0, 1.5, 3.0]]


def test_the_worst_field_has_score_0_the_best_1_and_all_1_where_they_are_equal():
    assert scores(np.array([[30.0, 20.0, 22.5], [7.0, 7.0, 7.0]])).tolist() == [[1.0, 0.0, 0.25], [1.0, 1.0, 1.0]]


def test_where_lower_is_better_the_lowest_mean_is_the_best():
    shape = block([[0.1, 0.3], [0.5, 0.7]], metric=CHAMFER)
    assert ranks(shape.observations.mean(axis=1)).tolist() == [1.0, 2.0]
    assert scores(shape.observations.mean(axis=1)).tolist() == [1.0, 0.0]
    assert win_rates([shape]).tolist() == [[0.5, 1.0], [0.0, 0.5]]


def test_a_quarter_of_the_blocks_is_left_out_at_each_end():
    values = np.array([[0.0], [0.5], [0.6], [0.7], [1.0]])
    assert interquartile_mean(values)[0] == pytest.approx(0.6)
    assert interquartile_mean(values[:3])[0] == pytest.approx(1.1 / 3)


def test_win_rates_pair_signals_and_seeds_count_ties_half_and_every_block_the_same():
    # 2 wins and a tie of 4; then 0 of 1.
    blocks = [block([[1.0, 5.0], [0.0, 5.0]], [[2.0, 2.0], [1.0, 3.0]]), block([[1.0], [2.0]])]
    assert win_rates(blocks)[0, 1] == pytest.approx((2.5 / 4 + 0) / 2)
    assert [win_shares(item.observations).mean(axis=1)[0] for item in blocks] == [2.5 / 4, 0.0]


def test_decibels_are_ratios_of_power_and_other_figures_ratios_of_themselves():
    assert ratios(PSNR, np.array([30.0, 20.0, -10.0])) == pytest.approx([1, 10, 10_000])
    assert ratios(IOU, np.array([0.9, 0.3, 0.0])).tolist() == pytest.approx([1, 3, np.inf])
    assert ratios(CHAMFER, np.array([0.4, 0.1])).tolist() == pytest.approx([4, 1])
    assert ratios(CHAMFER, np.array([0.4, 0.0, 0.0])).tolist() == [np.inf, 1, 1]
    assert ratios(IOU, np.array([0.4, -0.1])) is None


def test_a_field_that_is_exactly_tau_times_worse_is_within_tau():
    found = np.array([[1.0, 1.1 / 1.0], [3 * 0.1 / 0.1, 1.0]])
    assert profile(found, np.array([1.0, 1.1, 3.0])).tolist() == [[0.5, 0.5], [0.5, 1.0], [1.0, 1.0]]


def test_blocks_are_drawn_with_replacement():
    # The first field is worse in one of four blocks, so its mean rank is 1 + binomial(4, 1/4) / 4.
    blocks = [block([[value], [0.0]]) for value in (1.0, 1.0, 1.0, -1.0)]
    count = 20_000
    drawn = resample(blocks, count).mean_rank
    assert drawn.sum(axis=1) == pytest.approx(np.full(count, 3.0))
    seen = [np.isclose(drawn[:, 0], 1 + losses / 4).sum() for losses in range(5)]
    expected = count * stats.binom.pmf(range(5), 4, 0.25)
    assert stats.chisquare(seen, expected).pvalue > 1e-3


def test_signals_are_drawn_within_a_block_and_seeds_within_signals():
    # One block of two signals with two and one seeds; who is first depends on what is drawn. All draws, each equally
    # probable given the signals: seeds of a signal with two are drawn twice, that with one once.
    values = {0: [4.0, 0.0], 1: [-3.0]}
    share = 0.0
    for first, second in itertools.product(values, repeat=2):
        draws = [itertools.product(values[signal], repeat=len(values[signal])) for signal in (first, second)]
        sums = [sum(one) + sum(other) for one, other in itertools.product(*map(list, draws))]
        share += np.mean(np.sign(sums) / 2 + 0.5) / 4
    count = 20_000
    found = resample([block([values[0], [0.0, 0.0]], [values[1], [0.0]])], count).mean_rank[:, 0]
    assert (2 - found).mean() == pytest.approx(share, abs=4 * 0.5 / np.sqrt(count))


def test_what_makes_a_signal_difficult_for_all_fields_adds_no_spread():
    # 40 dB between signals, 1 dB between fields: always in this order.
    one = block([[10.0, 11.0], [8.5, 9.0]], [[50.0, 51.0], [48.5, 49.0]])
    spread = resample([one, one, one])
    assert (spread.mean_rank == [1.0, 2.0]).all()
    assert (spread.win_rate == [1.0, 0.0]).all()
    assert (resample([one, one, one]).score == spread.score).all()


@pytest.mark.parametrize("blocks", [4, 10, 50])
def test_where_resamples_are_normal_the_interval_is_that_of_students_t(blocks):
    # A resampled mean has the variance (n - 1) / n of that which Student's t takes.
    deviation = math.sqrt((blocks - 1) / blocks)
    samples = stats.norm.ppf(np.linspace(0, 1, 1_000_001)[1:-1, None]) * deviation
    low, high = interval(samples, blocks)
    assert [low[0], high[0]] == pytest.approx(stats.t.interval(0.95, blocks - 1), rel=1e-2)


@pytest.mark.slow
def test_intervals_of_mean_ranks_cover_what_many_tasks_would_show():
    rng = np.random.default_rng(0)

    def tasks(count):
        of_task = np.array([0.0, -0.6, -1.2])[:, None] + rng.normal(0, 1.0, (count, 3, 1))
        return [
            block(*(effect + rng.normal(0, 0.5, (3, 1)) + rng.normal(0, 0.45, (3, 2)) for _ in range(2)))
            for effect in of_task
        ]

    truth = ranks(np.stack([item.observations.mean(axis=1) for item in tasks(10_000)])).mean(axis=0)
    covered = []
    for repetition in range(200):
        low, high = interval(resample(tasks(8), 500, repetition).mean_rank, 8)
        covered.append((low <= truth) & (truth <= high))
    assert 0.93 <= np.mean(covered) <= 0.99
