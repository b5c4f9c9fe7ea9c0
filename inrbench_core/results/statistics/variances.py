"""Variances of means over signals and seeds, shared between rows where there are enough of them. Imports no torch.

A seed sets the initial weights, and with them a part of the quality, on every signal alike: figures of one seed on
several signals are not independent repeats. So what repeats is the seed, with its mean over the signals, and for other
signals the signal, with its mean over the seeds.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

Array = np.ndarray[Any, Any]
# What a statement is about: the signals of the table, seeds being random; or signals like them, both being random.
Scope = Literal["these signals", "such signals"]
SCOPES: tuple[Scope, ...] = ("these signals", "such signals")
# Fewer rows say too little of how variances differ: with 2 repeats of a field and deviations that differ by a factor
# of 20, the rate of false orders of 3 to 5 rows that share their variances is 6 to 8 % instead of 5 %.
LEAST_ROWS = 6
# Signals that are needed to speak of signals like them.
LEAST_SIGNALS = 5
# With one seed nothing tells a good field from a lucky start, however many signals there are.
LEAST_SEEDS = 2
# By this share the spread of the variances of so few rows is taken to be larger than it is measured.
_CAUTION = 1.1


@dataclass(frozen=True)
class Variances:
    """Estimated variances of some means or differences.

    Args:
        values: the variances; NaN where the figures do not tell.
        df: their degrees of freedom, of the same shape.
        shared: whether the rows share them.
    """

    values: Array
    df: Array
    shared: bool


def has_scope(values: Array, scope: Scope) -> bool:
    """Whether figures (rows, signals, seeds) are enough for a statement in this scope."""
    _, signals, seeds = values.shape
    return bool(seeds >= LEAST_SEEDS and (scope == "these signals" or signals >= LEAST_SIGNALS))


def variances_of_means(values: Array, scope: Scope) -> Variances:
    """The variance of each row's mean over signals and seeds.

    Args:
        values: (rows, signals, seeds), finite, enough of them for the scope; see `has_scope`.
        scope: what is random.

    Returns:
        variances of shape (rows,).
    """
    return _variances(values, scope, lambda residuals: np.asarray((residuals**2).sum(axis=1)))


def variances_of_differences(values: Array, scope: Scope) -> Variances:
    """The variance of the difference of the means of each pair of rows, paired by signal and seed.

    Args:
        values: (rows, signals, seeds), finite, enough of them for the scope; see `has_scope`.
        scope: what is random.

    Returns:
        variances of shape (rows, rows); 0 on the diagonal.
    """

    def squares(residuals: Array) -> Array:
        products = residuals @ residuals.T
        own = np.diag(products)
        # Rounding may leave a small negative number where two rows are alike.
        return np.asarray(np.maximum(own[:, None] + own[None, :] - 2 * products, 0.0))

    return _variances(values, scope, squares)


def _variances(values: Array, scope: Scope, squares: Callable[[Array], Array]) -> Variances:
    """The variances of contrasts whose sums of squares `squares` gives, from residuals (rows, repeats)."""
    rows, signals, seeds = values.shape
    mean = values.mean(axis=(1, 2), keepdims=True)
    by_seed = values.mean(axis=1, keepdims=True) - mean
    by_signal = values.mean(axis=2, keepdims=True) - mean
    rest = values - mean - by_seed - by_signal

    def estimated(residuals: Array, df: int) -> _Estimate:
        """The variance of a mean over one level, by its residuals."""
        flat = residuals.reshape(rows, -1)
        found = squares(flat) / df / flat.shape[1]
        return _Estimate(found, np.full_like(found, float(df)))

    of_rest = None
    if signals > 1:
        of_rest = _moderated(estimated(rest, (signals - 1) * (seeds - 1)), rows)
    of_seeds = _moderated(estimated(by_seed, seeds - 1), rows, of_rest)
    shared = rows >= LEAST_ROWS
    if scope == "these signals" or of_rest is None:
        return Variances(of_seeds.values, of_seeds.df, shared)
    of_signals = _moderated(estimated(by_signal, signals - 1), rows, of_rest)
    # Two crossed random effects: the variance within cells is in both of them, so it is taken out once.
    excess = np.maximum(of_signals.values - of_rest.values, 0.0)
    both = of_seeds.values + excess
    with np.errstate(invalid="ignore", divide="ignore"):
        # Welch and Satterthwaite; where signals add nothing, their uncertainty adds nothing either.
        part = excess / of_signals.values * (of_signals.values**2 / of_signals.df + of_rest.values**2 / of_rest.df)
        parts = np.where(excess > 0, part, 0.0) + of_seeds.values**2 / of_seeds.df
        df = np.where(parts > 0, both**2 / parts, of_signals.df)
    return Variances(both, np.maximum(df, 1.0), shared)


@dataclass(frozen=True)
class _Estimate:
    """Variances with their degrees of freedom."""

    values: Array
    df: Array


def _moderated(found: _Estimate, rows: int, guide: _Estimate | None = None) -> _Estimate:
    """Variances shrunken towards what they have in common, with the degrees of freedom that this adds.

    The variances are taken as draws from a scaled inverse chi-squared distribution whose two parameters are estimated
    by the moments of their logarithms (Smyth 2004, doi:10.2202/1544-6115.1027): where they differ no more than by
    chance, all share one variance; where they differ much, each keeps its own. What they have in common is a constant,
    or a factor to other variances, whichever they follow more closely.

    Args:
        found: one variance for each row, (rows,), or for each pair of them, (rows, rows).
        rows: how many rows there are.
        guide: the other variances, of the same shape; None: there are none.
    """
    if rows < LEAST_ROWS:
        return found
    constant = _Estimate(np.ones_like(found.values), np.full_like(found.values, math.inf))
    guides = [constant] if guide is None else [constant, guide]
    added, common = max((_in_common(found, one, rows) for one in guides), key=lambda item: float(item[0]))
    return _Estimate((added * common + found.df * found.values) / (added + found.df), found.df + added)


def _in_common(found: _Estimate, guide: _Estimate, rows: int) -> tuple[float, Array]:
    """The degrees of freedom that a guide adds to variances, and the variances that it leads to expect."""
    from scipy.special import digamma, polygamma

    df, guide_df = float(found.df.flat[0]), float(guide.df.flat[0])
    picked = np.triu_indices(rows, 1) if found.values.ndim == 2 else np.arange(rows)
    with np.errstate(invalid="ignore", divide="ignore"):
        ratios = (found.values / guide.values)[picked]
    ratios = ratios[np.isfinite(ratios) & (ratios > 0)]
    if ratios.size < LEAST_ROWS:
        return 0.0, guide.values
    logs = np.log(ratios) - digamma(df / 2) + math.log(df / 2)
    chance = polygamma(1, df / 2)
    if math.isfinite(guide_df):
        logs += digamma(guide_df / 2) - math.log(guide_df / 2)
        chance += polygamma(1, guide_df / 2)
    spread = logs.var(ddof=1) * (1 + _CAUTION * (LEAST_ROWS / rows) ** 2) - chance
    # All rows together have no more degrees of freedom than this.
    added, factor = (rows - 2) * df, math.exp(logs.mean())
    if spread > 0:
        prior = 2 * _inverse_trigamma(float(spread))
        factor *= math.exp(digamma(prior / 2) - math.log(prior / 2))
        added = min(added, prior)
    # The guide is an estimate, too.
    return 1 / (1 / added + 1 / guide_df), factor * guide.values


def _inverse_trigamma(value: float) -> float:
    """x with trigamma(x) = value > 0, by Newton's method on 1 / trigamma, which is nearly linear."""
    from scipy.special import polygamma

    found = 0.5 + 1 / value
    for _ in range(100):
        trigamma = polygamma(1, found)
        step = trigamma * (1 - trigamma / value) / polygamma(2, found)
        found += step
        if -step < 1e-10 * found:
            break
    return float(found)
