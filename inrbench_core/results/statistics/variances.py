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
# With one seed nothing tells a good field from a good start, however many signals there are.
LEAST_SEEDS = 2
# By this share the spread of the variances of so few rows is taken to be larger than it is measured.
_CAUTION = 1.1
# Degrees of freedom that seeds may borrow from other rows: few seeds do not tell an unsteady row from the others.
_MOST_OF_SEEDS = 20.0
# Of what is subtracted: less is what rounding leaves.
_ROUNDING = 1e-13


@dataclass(frozen=True)
class Variances:
    """Estimated variances of some means or differences.

    Args:
        values: the variances.
        df: their degrees of freedom, of the same shape.
        fixed: the part of them that more signals would not make less, of the same shape: that of seeds which are good
            or bad on every signal.
        shared: whether the rows share them.
    """

    values: Array
    df: Array
    fixed: Array
    shared: bool


def has_scope(values: Array, scope: Scope) -> bool:
    """Whether figures (rows, signals, seeds) are enough for a statement in this scope."""
    _, signals, seeds = values.shape
    return bool(seeds >= LEAST_SEEDS and (scope == "these signals" or signals >= LEAST_SIGNALS))


def variances_of_means(values: Array, scope: Scope, *, share: bool) -> Variances:
    """The variance of each row's mean over signals and seeds.

    Args:
        values: (rows, signals, seeds), finite, enough of them for the scope; see `has_scope`.
        scope: what is random.
        share: whether rows share what they have in common. Not where they are figures on the same signals: those that
            are hard for one row are hard for all, so that other rows are no further evidence.

    Returns:
        variances of shape (rows,).
    """
    return _variances(values, scope, lambda residuals: np.asarray((residuals**2).sum(axis=1)), share=share)


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
        own = np.diag(products)[:, None] + np.diag(products)[None, :]
        found = own - 2 * products
        # What rounding leaves of rows that are alike would pass for a very small variance.
        return np.where(found > _ROUNDING * own, found, 0.0)

    return _variances(values, scope, squares, share=True)


def _variances(values: Array, scope: Scope, squares: Callable[[Array], Array], *, share: bool) -> Variances:
    """The variances of contrasts whose sums of squares `squares` gives, from residuals (rows, repeats)."""
    rows, signals, seeds = values.shape
    shared = share and rows >= LEAST_ROWS
    mean = values.mean(axis=(1, 2), keepdims=True)
    by_seed = values.mean(axis=1, keepdims=True) - mean
    by_signal = values.mean(axis=2, keepdims=True) - mean
    rest = values - mean - by_seed - by_signal
    # Of figures that repeat without deviation.
    rounding = _ROUNDING**2 * float(np.square(values).max(initial=0.0))

    def estimated(residuals: Array, df: int) -> _Estimate:
        """The variance of a mean over one level, by its residuals."""
        flat = residuals.reshape(rows, -1)
        found = squares(flat) / df / flat.shape[1]
        found[found <= rounding] = 0.0
        return _Estimate(found, np.full_like(found, float(df)))

    def moderated(found: _Estimate, guide: _Estimate | None, most: float = math.inf) -> _Estimate:
        return _moderated(found, rows, guide, most=most) if shared else found

    of_seeds = estimated(by_seed, seeds - 1)
    if signals == 1:
        of_seeds = moderated(of_seeds, None, _MOST_OF_SEEDS)
        return Variances(of_seeds.values, of_seeds.df, of_seeds.values, shared)
    of_rest = moderated(estimated(rest, (signals - 1) * (seeds - 1)), None)
    of_seeds = moderated(of_seeds, of_rest, _MOST_OF_SEEDS)
    # Two crossed random effects: the variance within cells is in both of them, so it is taken out once.
    fixed = np.maximum(of_seeds.values - of_rest.values, 0.0)
    if scope == "these signals":
        return Variances(of_seeds.values, of_seeds.df, fixed, shared)
    of_signals = moderated(estimated(by_signal, signals - 1), of_rest)
    excess = np.maximum(of_signals.values - of_rest.values, 0.0)
    both = of_seeds.values + excess
    with np.errstate(invalid="ignore", divide="ignore"):
        # As by Welch and Satterthwaite, but that the uncertainty of the signals' part is scaled down with the part:
        # taken whole, it would make intervals too wide where signals add nothing.
        part = excess / of_signals.values * (of_signals.values**2 / of_signals.df + of_rest.values**2 / of_rest.df)
        parts = np.where(excess > 0, part, 0.0) + of_seeds.values**2 / of_seeds.df
        df = np.where(parts > 0, both**2 / parts, of_signals.df)
    return Variances(both, np.maximum(df, 1.0), fixed, shared)


@dataclass(frozen=True)
class _Estimate:
    """Variances with their degrees of freedom."""

    values: Array
    df: Array


def _moderated(found: _Estimate, rows: int, guide: _Estimate | None = None, *, most: float = math.inf) -> _Estimate:
    """Variances shrunken towards what they have in common, with the degrees of freedom that this adds.

    The variances are taken as draws from a scaled inverse chi-squared distribution whose two parameters are estimated
    by the moments of their logarithms (Smyth 2004, doi:10.2202/1544-6115.1027): where they differ no more than by
    chance, all share one variance; where they differ much, each keeps its own. What they have in common is a factor
    to other variances, or a constant where they follow that much more closely.

    Args:
        found: one variance for each row, (rows,), or for each pair of them, (rows, rows).
        rows: how many rows there are.
        guide: the other variances, of the same shape; None: there are none.
        most: degrees of freedom that are added at most.
    """
    constant = _Estimate(np.ones_like(found.values), np.full_like(found.values, math.inf))
    chosen = constant
    added, common = _in_common(found, constant, rows)
    if guide is not None:
        guided, proportional = _in_common(found, guide, rows)
        if guided >= added / 2:
            # The guide is an estimate, too.
            added, common, chosen = guided, proportional, guide
    if added == 0:
        return found
    borrowed = np.minimum(1 / (1 / added + 1 / chosen.df), most)
    borrowed = borrowed * _belongs(found, common, borrowed)
    values = (borrowed * common + found.df * found.values) / (borrowed + found.df)
    return _Estimate(values, found.df + borrowed)


def _belongs(found: _Estimate, common: Array, borrowed: Array) -> Array:
    """The share, from 0 to 1, to which each variance is one of the distribution that all are taken for.

    A variance that is larger than the largest of so many draws would be has to stand for itself, or a field that is
    less steady than all others would be taken for as steady as they are (Phipson et al. 2016, arXiv:1602.08678).
    """
    from scipy.special import fdtrc

    with np.errstate(invalid="ignore", divide="ignore"):
        chance = np.nan_to_num(fdtrc(found.df, borrowed, found.values / common), nan=1.0)
    picked = _each_once(found.values)
    order = np.argsort(chance[picked])
    expected = np.empty(order.size)
    expected[order] = (np.arange(order.size) + 0.5) / order.size
    share = np.ones_like(found.values)
    # Of equally large variances none is likelier than a larger one.
    share[picked] = np.minimum(chance[picked] / expected, 1.0)
    if found.values.ndim == 2:
        share.T[picked] = share[picked]
    return share


def _each_once(values: Array) -> Any:
    """The indices of each row, of values (rows,), or of each pair of rows, of (rows, rows)."""
    return np.triu_indices(len(values), 1) if values.ndim == 2 else np.arange(len(values))


def _in_common(found: _Estimate, guide: _Estimate, rows: int) -> tuple[float, Array]:
    """The degrees of freedom that a guide adds to variances, and the variances that it leads to expect."""
    from scipy.special import digamma, polygamma

    df = float(found.df.flat[0])
    picked = _each_once(found.values)
    with np.errstate(invalid="ignore", divide="ignore"):
        ratios = (found.values / guide.values)[picked]
    usable = np.isfinite(ratios) & (ratios > 0)
    ratios, guide_df = ratios[usable], guide.df[picked][usable]
    if ratios.size < LEAST_ROWS:
        return 0.0, guide.values
    logs = np.log(ratios) - digamma(df / 2) + math.log(df / 2)
    chance = float(polygamma(1, df / 2))
    if np.isfinite(guide_df).all():
        logs += digamma(guide_df / 2) - np.log(guide_df / 2)
        chance += float(polygamma(1, guide_df / 2).mean())
    spread = logs.var(ddof=1) * (1 + _CAUTION * (LEAST_ROWS / rows) ** 2) - chance
    # All rows together have no more degrees of freedom than this.
    added, factor = (rows - 2) * df, math.exp(logs.mean())
    if spread > 0:
        prior = 2 * _inverse_trigamma(float(spread))
        factor *= math.exp(digamma(prior / 2) - math.log(prior / 2))
        added = min(added, prior)
    return added, factor * guide.values


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
