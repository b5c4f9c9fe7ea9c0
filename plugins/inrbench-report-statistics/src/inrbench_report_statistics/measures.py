"""Ranks, normalised scores, win rates and performance profiles of fields, and their spread over blocks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from inrbench_core import Metric
from inrbench_report_statistics.blocks import Array, Block

RESAMPLES = 2000
LEVEL = 0.95
# Rounding must not put a field that is exactly TAU times worse outside of TAU.
ROUNDING = 1e-12


def block_means(blocks: Sequence[Block]) -> Array:
    """(blocks, fields): means over signals and seeds, so oriented that higher is better."""
    return np.stack([block.observations.mean(axis=1) for block in blocks])


def ranks(means: Array) -> Array:
    """Ranks along the last axis, 1 for the best; equal means share the mean of their ranks.

    Args:
        means: (..., fields), higher is better.
    """
    found: Array = stats.rankdata(-means, axis=-1)
    return found


def scores(means: Array) -> Array:
    """Normalised scores along the last axis: (mean - worst) / (best - worst), so 0 the worst field and 1 the best.

    Where all fields are equal each has 1, so that such a block tells no fields apart.

    Args:
        means: (..., fields), higher is better.
    """
    worst, best = means.min(axis=-1, keepdims=True), means.max(axis=-1, keepdims=True)
    span = best - worst
    return np.where(span > 0, (means - worst) / np.where(span > 0, span, 1.0), 1.0)


def interquartile_mean(values: Array) -> Array:
    """(fields,): mean of the middle half of (blocks, fields); a quarter, rounded down, is cut off at each end."""
    found: Array = stats.trim_mean(values, 0.25, axis=0)
    return found


def win_shares(observations: Array) -> Array:
    """(fields, n): the share of the other fields that a field beats in each observation, a tie counting half.

    Args:
        observations: (fields, n), higher is better; at least two fields.
    """
    others = len(observations) - 1
    found: Array = (others + 1 - stats.rankdata(-observations, axis=0)) / others
    return found


def win_rates(blocks: Sequence[Block]) -> Array:
    """(fields, fields): how often the one of the row beats the one of the column on the same signal and seed.

    A tie counts half, and each block counts the same. The diagonal is 0.5.
    """
    shares = []
    for block in blocks:
        values = block.observations
        # One row at a time: all pairs of all observations may not fit in memory.
        shares.append([(np.sign(row - values).mean(axis=1) + 1) / 2 for row in values])
    return np.mean(shares, axis=0)


def ratios(metric: Metric, means: Array) -> Array | None:
    """How many times worse than the best each field is, at least 1; None where that means nothing.

    A metric in dB is the logarithm of a power: 3 dB below the best are a ratio of 2. Of others it is value / best
    where lower is better, and best / value where higher is; with values below zero there is none.

    Args:
        metric: whose means.
        means: (fields,).
    """
    lower = metric.higher_is_better is False
    best = means.min() if lower else means.max()
    if metric.unit == "dB":
        found: Array = 10.0 ** (np.abs(means - best) / 10.0)
        return found
    if means.min() < 0:
        return None
    worse, better = (means, best) if lower else (best, means)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(means == best, 1.0, worse / better)


def profile(found: Array, taus: Array) -> Array:
    """(taus, fields): the share of blocks on which a field is at most tau times worse than the best one.

    Args:
        found: (blocks, fields), ratios.
        taus: at least 1.
    """
    within: Array = (found[None] <= taus[:, None, None] * (1 + ROUNDING)).mean(axis=1)
    return within


@dataclass(frozen=True)
class Spread:
    """What resampling gives: (resamples, fields) of each figure.

    Args:
        mean_rank: means over blocks of ranks.
        score: means over blocks of normalised scores.
        win_rate: means over blocks of the share of other fields that are beaten.
    """

    mean_rank: Array
    score: Array
    win_rate: Array


def interval(samples: Array, blocks: int) -> tuple[Array, Array]:
    """Ends of the 95 % interval of (resamples, fields), each (fields,).

    Percentiles, further out the fewer blocks there are: those at which an interval of a mean would be as wide as by
    Student's t (expanded percentiles, Hesterberg 2015, doi:10.1080/00031305.2015.1089789).

    Args:
        samples: one of the figures of a `Spread`.
        blocks: how many there are, at least two.
    """
    tail = stats.norm.sf(stats.t.isf((1 - LEVEL) / 2, blocks - 1) * math.sqrt(blocks / (blocks - 1)))
    low, high = np.quantile(samples, [tail, 1 - tail], axis=0)
    return low, high


def resample(blocks: Sequence[Block], count: int = RESAMPLES, seed: int = 0) -> Spread:
    """Figures of resampled results: blocks are drawn with replacement, in each signals, and in each of them seeds.

    The same draws are used for all fields, so what makes a block, signal or seed difficult for all cancels. Ranks,
    and what is worst and best for scores, are found anew each time. Davison and Hinkley 1997,
    section 3.8 (resampling at several levels).

    Args:
        blocks: of the same fields.
        count: how often.
        seed: of the draws.
    """
    rng = np.random.default_rng(seed)
    drawn = rng.integers(len(blocks), size=(count, len(blocks)))
    fields = len(blocks[0].observations)
    means, wins = np.empty((*drawn.shape, fields)), np.empty((*drawn.shape, fields))
    for index, block in enumerate(blocks):
        places = drawn == index
        weights = _weights(block, int(places.sum()), rng)
        means[places] = weights @ block.observations.T
        wins[places] = weights @ win_shares(block.observations).T
    return Spread(ranks(means).mean(axis=1), scores(means).mean(axis=1), wins.mean(axis=1))


def _weights(block: Block, count: int, rng: np.random.Generator) -> Array:
    """(count, observations): how much each observation of a block counts in each resample; rows sum to 1."""
    seeds = np.array([values.shape[1] for values in block.signals])
    first = np.cumsum(seeds) - seeds
    signals = rng.integers(len(seeds), size=(count, len(seeds)))
    # A signal that is drawn brings as many seeds as it has, drawn with replacement.
    own = seeds[signals][..., None]
    picked = first[signals][..., None] + (rng.random((*signals.shape, seeds.max())) * own).astype(int)
    used = np.arange(seeds.max()) < own
    total = int(seeds.sum())
    flat = (picked + total * np.arange(count)[:, None, None])[used]
    weights = np.bincount(flat, minlength=count * total).reshape(count, total)
    found: Array = weights / weights.sum(axis=1, keepdims=True)
    return found
