"""Variances of means, against their truth in simulated figures and against scipy."""

import numpy as np
import pytest
from scipy.special import polygamma

from inrbench_core.results.statistics import variances as module
from inrbench_core.results.statistics.variances import has_scope, variances_of_differences, variances_of_means


def figures(generator, rows, signals, seeds, *, noise=0.5, interaction=0.0, start=0.0):
    """Figures with a known variance of each row's mean, in both scopes."""
    normal = generator.normal
    parts = interaction * normal(size=(rows, signals, 1)) + start * normal(size=(rows, 1, seeds))
    return 30 + parts + noise * normal(size=(rows, signals, seeds))


@pytest.mark.parametrize("rows", [5, 40])
@pytest.mark.parametrize(("noise", "interaction", "start"), [(0.5, 0.8, 0.0), (0.5, 0.8, 0.4), (0.3, 0.0, 0.6)])
def test_estimates_are_right_in_the_mean(rows, noise, interaction, start):
    generator = np.random.default_rng(1)
    signals, seeds = 8, 3
    drawn = [
        figures(generator, rows, signals, seeds, noise=noise, interaction=interaction, start=start)
        for _ in range(24_000 // rows)
    ]
    narrow = start**2 / seeds + noise**2 / signals / seeds
    found = np.mean([variances_of_means(one, "these signals", share=True).values.mean() for one in drawn])
    assert found == pytest.approx(narrow, rel=0.06)
    found = np.mean([variances_of_means(one, "such signals", share=True).values.mean() for one in drawn])
    wide = narrow + interaction**2 / signals
    # Where signals add nothing, their estimate, which is never below zero, adds a little.
    assert wide * 0.94 < found < wide * (1.06 if interaction else 1.25)


def test_one_signal_and_few_rows_have_the_sample_variance():
    values = figures(np.random.default_rng(2), 3, 1, 5)
    found = variances_of_means(values, "these signals", share=True)
    np.testing.assert_allclose(found.values, values[:, 0].var(axis=1, ddof=1) / 5)
    assert not found.shared
    assert set(found.df) == {4.0}


def test_the_variance_of_a_difference_is_that_of_the_paired_differences():
    values = figures(np.random.default_rng(3), 4, 1, 6) + np.random.default_rng(4).normal(size=(1, 1, 6))
    found = variances_of_differences(values, "these signals").values
    differences = values[:, None, 0] - values[None, :, 0]
    np.testing.assert_allclose(found, differences.var(axis=2, ddof=1) / 6, atol=1e-12)


def test_seeds_that_are_good_on_every_signal_are_not_taken_for_independent_repeats():
    values = figures(np.random.default_rng(5), 40, 10, 3, noise=0.1, start=1.0)
    found = variances_of_means(values, "these signals", share=True)
    assert found.values.mean() == pytest.approx(1 / 3, rel=0.3)
    # What more signals would not make less.
    assert found.fixed.mean() == pytest.approx(1 / 3, rel=0.3)


@pytest.mark.parametrize("df", [2, 7])
def test_the_prior_of_variances_is_recovered(df):
    # Draws from the model: an inverse chi-squared variance, times a chi-squared estimate of it.
    generator = np.random.default_rng(6)
    rows, prior, common = 200_000, 10.0, 2.0
    truth = common * prior / generator.chisquare(prior, rows)
    estimates = module._Estimate(truth * generator.chisquare(df, rows) / df, np.full(rows, float(df)))
    found = module._moderated(estimates, rows)
    assert np.median(found.df) == pytest.approx(df + prior, rel=0.1)
    expected = (prior * common + df * estimates.values) / (prior + df)
    # But for the few that are too large for what they are drawn from.
    assert (np.abs(found.values / expected - 1) < 0.1).mean() > 0.97


def test_variances_that_differ_by_chance_alone_share_one_value():
    generator = np.random.default_rng(7)
    estimates = module._Estimate(3.0 * generator.chisquare(2, 300) / 2, np.full(300, 2.0))
    found = module._moderated(estimates, 300)
    assert np.ptp(found.values) < 0.2 * np.ptp(estimates.values)
    assert found.values.mean() == pytest.approx(3.0, rel=0.15)


def test_variances_follow_a_guide_that_they_are_proportional_to():
    generator = np.random.default_rng(8)
    truth = np.exp(generator.normal(size=400) * 2)
    guide = module._Estimate(truth * generator.chisquare(30, 400) / 30, np.full(400, 30.0))
    own = module._Estimate(5 * truth * generator.chisquare(2, 400) / 2, np.full(400, 2.0))
    alone, guided = module._moderated(own, 400), module._moderated(own, 400, guide)
    assert guided.df[0] > 3 * alone.df[0]
    assert np.abs(np.log(guided.values / (5 * truth))).mean() < 0.5 * np.abs(np.log(alone.values / (5 * truth))).mean()


@pytest.mark.parametrize("value", [0.01, 0.5, 1.0, 7.0, 400.0])
def test_the_inverse_of_the_trigamma_function(value):
    assert polygamma(1, module._inverse_trigamma(value)) == pytest.approx(value, rel=1e-8)


@pytest.mark.parametrize(
    ("signals", "seeds", "narrow", "wide"),
    [(1, 1, False, False), (1, 2, True, False), (4, 3, True, False), (5, 2, True, True), (30, 1, False, False)],
)
def test_what_figures_are_enough_for(signals, seeds, narrow, wide):
    values = np.zeros((3, signals, seeds))
    assert (has_scope(values, "these signals"), has_scope(values, "such signals")) == (narrow, wide)


def test_figures_that_do_not_vary_have_no_variance():
    values = np.broadcast_to(np.arange(8.0)[:, None, None], (8, 6, 3))
    for scope in module.SCOPES:
        assert not variances_of_differences(values, scope).values.any()


def test_rows_that_are_alike_do_not_pass_for_rows_of_very_small_variance():
    generator = np.random.default_rng(9)
    values = figures(generator, 20, 4, 3)
    twice = np.concatenate([values, values[:1]])
    one, both = (variances_of_differences(rows, "these signals") for rows in (values, twice))
    assert both.df[1, 2] == pytest.approx(one.df[1, 2], rel=0.3)


def test_a_row_that_is_less_steady_than_all_others_stands_for_itself():
    generator = np.random.default_rng(10)
    values = figures(generator, 40, 8, 3)
    values[0] += 4 * generator.normal(size=(8, 3))
    found = variances_of_differences(values, "these signals")
    steady = np.median(found.values[1:, 1:])
    assert found.values[0, 1:].min() > 5 * steady
    assert np.median(found.df[0, 1:]) < np.median(found.df[1:, 1:])
