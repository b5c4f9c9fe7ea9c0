"""95 % intervals of means over signals and seeds. Imports no torch."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from inrbench_core.results.statistics.comparisons import ALPHA, t_quantile
from inrbench_core.results.statistics.variances import Array, Scope, has_scope, variances_of_means

# With fewer repeats a bootstrap's intervals are too narrow: of 8 normal figures they cover 90 % instead of 95 %.
LEAST_FOR_BOOTSTRAP = 20
RESAMPLES = 9999


@dataclass(frozen=True)
class Intervals:
    """Intervals of the means of some rows.

    Args:
        low: (rows,) in the metric's unit; NaN where there is none.
        high: (rows,).
        method: how they were made, in a few words; "" if there are none.
    """

    low: Array
    high: Array
    method: str


def mean_intervals(values: Array, scope: Scope) -> Intervals:
    """The 95 % interval of each row's mean over signals and seeds.

    Student's t; where there are 20 repeats or more, the bias-corrected and accelerated bootstrap (BCa, Efron 1987),
    which follows skewed figures. For signals like these, signals are resampled with all of their seeds, and the
    part of the seeds is added in quadrature (MOVER, Zou and Donner 2008, doi:10.1002/sim.3095).

    Args:
        values: (rows, signals, seeds), finite.
        scope: what is random.
    """
    rows, signals, seeds = values.shape
    if not rows or not has_scope(values, scope):
        return Intervals(np.full(rows, math.nan), np.full(rows, math.nan), "")
    if scope == "these signals" and seeds >= LEAST_FOR_BOOTSTRAP:
        return Intervals(*_bootstrapped(values.mean(axis=1)), "BCa bootstrap over seeds")
    if scope == "such signals" and signals >= LEAST_FOR_BOOTSTRAP:
        low, high = _bootstrapped(values.mean(axis=2))
        mean = values.mean(axis=(1, 2))
        half = _half_width(values, "these signals")
        low, high = mean - np.hypot(mean - low, half), mean + np.hypot(high - mean, half)
        return Intervals(low, high, "BCa bootstrap over signals, then seeds")
    shared = "t with shared variances" if variances_of_means(values, scope).shared else "t"
    mean, half = values.mean(axis=(1, 2)), _half_width(values, scope)
    return Intervals(mean - half, mean + half, shared)


def _half_width(values: Array, scope: Scope) -> Array:
    variances = variances_of_means(values, scope)
    return np.asarray(t_quantile(1 - ALPHA / 2, variances.df) * np.sqrt(variances.values))


def _bootstrapped(repeats: Array) -> tuple[Array, Array]:
    """BCa intervals of the means of rows of repeats, (rows, repeats)."""
    from scipy.stats import bootstrap

    low, high = repeats.mean(axis=1), repeats.mean(axis=1)
    for index, row in enumerate(repeats):
        # Figures that are all alike have no distribution to resample.
        if np.ptp(row) > 0:
            found = bootstrap(
                (row,),
                np.mean,
                vectorized=True,
                confidence_level=1 - ALPHA,
                n_resamples=RESAMPLES,
                rng=np.random.default_rng(0),
            ).confidence_interval
            low[index], high[index] = found.low, found.high
    return low, high
