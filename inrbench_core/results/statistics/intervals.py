"""95 % intervals of means over signals and seeds. Imports no torch."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from inrbench_core.results.statistics.comparisons import ALPHA, t_quantile
from inrbench_core.results.statistics.variances import Array, Scope, has_scope, variances_of_means

# With fewer repeats a bootstrap's intervals are too narrow: of 20 normal figures they cover 93 % instead of 95 %.
LEAST_FOR_BOOTSTRAP = 30
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

    Student's t; where there are 30 repeats or more, the bias-corrected and accelerated bootstrap (BCa, Efron 1987),
    which follows skewed figures. For such signals, signals are resampled with all of their seeds, and the part of seeds
    that are good or bad on every signal is added in quadrature (MOVER, Zou and Donner 2008, doi:10.1002/sim.3095).

    Args:
        values: (rows, signals, seeds), finite.
        scope: what is random.
    """
    rows, signals, seeds = values.shape
    if not rows or not has_scope(values, scope):
        return Intervals(np.full(rows, math.nan), np.full(rows, math.nan), "")
    mean = values.mean(axis=(1, 2))
    if scope == "these signals" and seeds >= LEAST_FOR_BOOTSTRAP:
        return Intervals(*_bootstrapped(values.mean(axis=1)), "BCa bootstrap over seeds")
    if scope == "such signals" and signals >= LEAST_FOR_BOOTSTRAP:
        low, high = _bootstrapped(values.mean(axis=2))
        of_seeds = variances_of_means(values, "these signals", share=False)
        half = t_quantile(1 - ALPHA / 2, of_seeds.df) * np.sqrt(of_seeds.fixed)
        low, high = mean - np.hypot(mean - low, half), mean + np.hypot(high - mean, half)
        return Intervals(low, high, "BCa bootstrap over signals")
    variances = variances_of_means(values, scope, share=False)
    half = t_quantile(1 - ALPHA / 2, variances.df) * np.sqrt(variances.values)
    return Intervals(mean - half, mean + half, f"t over {'seeds' if scope == 'these signals' else 'signals and seeds'}")


def _bootstrapped(repeats: Array) -> tuple[Array, Array]:
    """BCa intervals of the means of rows of repeats, (rows, repeats): low and high, (rows,).

    scipy.stats.bootstrap does the same for one row at a time, and takes seconds for a table: here all rows share the
    resamples, whose means are one product of matrices.
    """
    from scipy.special import ndtr, ndtri

    count = repeats.shape[1]
    mean = repeats.mean(axis=1, keepdims=True)
    weights = np.random.default_rng(0).multinomial(count, np.full(count, 1 / count), RESAMPLES) / count
    means = np.sort(repeats @ weights.T, axis=1)
    centred = repeats - mean
    with np.errstate(invalid="ignore", divide="ignore"):
        skewness = (centred**3).sum(axis=1) / (centred**2).sum(axis=1) ** 1.5 / 6
    acceleration = np.nan_to_num(skewness)
    below = ((means < mean).sum(axis=1) + (means == mean).sum(axis=1) / 2) / RESAMPLES
    bias = ndtri(np.clip(below, 1 / RESAMPLES, 1 - 1 / RESAMPLES))
    ends = []
    for share in (ALPHA / 2, 1 - ALPHA / 2):
        shifted = bias + ndtri(share)
        place = ndtr(bias + shifted / (1 - acceleration * shifted)) * (RESAMPLES - 1)
        ends.append(
            np.array([np.interp(one, np.arange(RESAMPLES), row) for one, row in zip(place, means, strict=True)])
        )
    return ends[0], ends[1]
