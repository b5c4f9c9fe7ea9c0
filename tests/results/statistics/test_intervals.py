"""Intervals of means: against scipy, and how often they hold the truth."""

import numpy as np
import pytest
from scipy import stats

from inrbench_core.results.statistics.intervals import mean_intervals


def test_few_rows_and_seeds_have_the_interval_of_students_t():
    values = np.random.default_rng(0).normal(size=(2, 1, 4))
    found = mean_intervals(values, "these signals")
    assert found.method == "t over seeds"
    for index in range(2):
        truth = stats.ttest_1samp(values[index, 0], 0).confidence_interval(0.95)
        assert (found.low[index], found.high[index]) == pytest.approx(truth, rel=1e-9)


def test_what_figures_are_not_enough_for_has_no_interval():
    for shape, scope in (((3, 1, 1), "these signals"), ((3, 4, 3), "such signals"), ((0, 8, 3), "these signals")):
        found = mean_intervals(np.zeros(shape), scope)
        assert np.isnan(found.low).all()
        assert found.method == ""


@pytest.mark.parametrize("rows", [3, 30])
@pytest.mark.parametrize("scope", ["these signals", "such signals"])
@pytest.mark.parametrize("start", [0.0, 0.5])
def test_intervals_hold_the_truth_as_often_as_they_say(rows, scope, start):
    generator = np.random.default_rng(1)
    covered = []
    for _ in range(1500):
        # Signals are hard for all rows alike, and so is what a seed draws of their data.
        own = 0.7 * generator.normal(size=(rows, 8, 1)) + 2 * generator.normal(size=(1, 8, 1))
        values = own + start * generator.normal(size=(rows, 1, 3)) + 0.45 * generator.normal(size=(rows, 8, 3))
        values = values + 0.5 * generator.normal(size=(1, 8, 3))
        truth = own.mean(axis=(1, 2)) if scope == "these signals" else np.zeros(rows)
        found = mean_intervals(values, scope)
        covered.append((found.low <= truth) & (truth <= found.high))
    assert 0.93 <= np.mean(covered) <= 0.97


def test_many_repeats_are_resampled_as_by_scipy():
    generator = np.random.default_rng(2)
    values = generator.exponential(size=(3, 2, 40))
    found = mean_intervals(values, "these signals")
    assert found.method == "BCa bootstrap over seeds"
    for index, row in enumerate(values.mean(axis=1)):
        truth = stats.bootstrap((row,), np.mean, n_resamples=20_000, rng=np.random.default_rng(3)).confidence_interval
        width = truth.high - truth.low
        assert found.low[index] == pytest.approx(truth.low, abs=0.05 * width)
        assert found.high[index] == pytest.approx(truth.high, abs=0.05 * width)


def test_skewed_figures_of_many_signals_have_a_skewed_interval():
    generator = np.random.default_rng(4)
    values = generator.exponential(size=(2, 40, 1)) + 1e-3 * generator.normal(size=(2, 40, 2))
    found = mean_intervals(values, "such signals")
    assert found.method == "BCa bootstrap over signals"
    mean = values.mean(axis=(1, 2))
    assert (found.high - mean > 1.1 * (mean - found.low)).all()


@pytest.mark.parametrize("start", [0.0, 0.3])
def test_resampled_intervals_hold_the_truth_as_often_as_they_say(start):
    generator = np.random.default_rng(5)
    covered = []
    for _ in range(20):
        values = generator.normal(size=(60, 30, 1)) + start * generator.normal(size=(60, 1, 4))
        values = values + 0.3 * generator.normal(size=(60, 30, 4))
        found = mean_intervals(values, "such signals")
        covered.append((found.low <= 0) & (found.high >= 0))
    assert 0.925 <= np.mean(covered) <= 0.975


def test_figures_that_do_not_vary_have_an_interval_of_no_width():
    for shape in ((2, 1, 3), (2, 1, 40), (2, 40, 2)):
        for scope in ("these signals", "such signals"):
            found = mean_intervals(np.full(shape, 3.25), scope)
            known = ~np.isnan(found.low)
            np.testing.assert_allclose(found.low[known], 3.25, rtol=1e-12)
            np.testing.assert_allclose(found.high[known], 3.25, rtol=1e-12)
