"""Paired comparisons of all rows of a table, their ranks, and how much data would tell rows apart. Imports no torch."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from inrbench_core.results.statistics.variances import (
    SCOPES,
    Array,
    Scope,
    Variances,
    has_scope,
    variances_of_differences,
)

# Errors of a table: the chance that it shows any false order, and the coverage that its intervals miss.
ALPHA = 0.05
# With which the repeats that are said to be needed would tell two rows apart.
POWER = 0.8
MOST_REPEATS = 10_000
# Of the figures' size: differences that are not more are rounding.
ROUNDING = 1e-13


@dataclass(frozen=True)
class Difference:
    """A difference of two means, paired by signal and seed.

    Args:
        scope: what is random.
        value: by how much the first is better than the second, in the metric's unit.
        variance: of the value.
        df: degrees of freedom of the variance.
        repeats: seeds or signals, as the scope says.
        fixed: the part of the variance that more signals would not make less.
        narrow: for such signals: the same difference on these signals, than which it is never surer.
    """

    scope: Scope
    value: float
    variance: float
    df: float
    repeats: int
    fixed: float = 0.0
    narrow: Difference | None = None

    @property
    def p(self) -> float:
        """Two-sided, by Student's t, of this difference by itself."""
        own = float(p_values(np.asarray(self.value), np.asarray(self.variance), np.asarray(self.df)))
        return own if self.narrow is None else max(own, self.narrow.p)

    def interval(self, pairs: int = 1) -> tuple[float, float]:
        """The 95 % interval.

        Args:
            pairs: among how many differences this one was picked: with as many intervals, all hold with 95 %.
        """
        half = float(t_quantile(1 - ALPHA / 2 / pairs, self.df)) * math.sqrt(self.variance)
        if self.narrow is not None:
            half = max(half, self.narrow.interval(pairs)[1] - self.value)
        return self.value - half, self.value + half

    def needed(self, pairs: int = 1) -> int | None:
        """How many repeats would tell the two apart with a chance of 80 %, if they differ by this value.

        Args:
            pairs: among how many differences this one was picked.

        Returns:
            seeds or signals, as the scope says, at least two; None: 10,000 are not enough, as where signals are counted
            and what differs is how good a seed is on all of them.
        """
        counts = np.arange(2, MOST_REPEATS + 1)
        # What rows share stays; a difference's own degrees of freedom grow with the repeats.
        enough = self._told_apart(self.df - (self.repeats - 1) + counts - 1, counts, pairs)
        if self.narrow is not None:
            enough &= self.narrow._told_apart(np.full(counts.size, self.narrow.df), counts, pairs, self.repeats)
        found = np.flatnonzero(enough & (self.value != 0))
        return int(counts[found[0]]) if found.size else None

    def _told_apart(self, df: Array, counts: Array, pairs: int, signals: int | None = None) -> Array:
        """Whether so many repeats are enough, (n,) bool; on these signals, so many signals if `signals` are there."""
        fixed = self.fixed if signals is not None or self.scope == "such signals" else 0.0
        error = np.sqrt(fixed + (self.variance - fixed) * (signals or self.repeats) / counts)
        df = np.maximum(df, 1.0)
        return np.asarray(abs(self.value) >= (t_quantile(1 - ALPHA / 2 / pairs, df) + t_quantile(POWER, df)) * error)


@dataclass(frozen=True)
class Comparisons:
    """All pairs of rows in one scope: t on paired differences, Holm's correction over all pairs (Holm 1979).

    Args:
        scope: what is random.
        differences: (rows, rows), by how much the first is better than the second, in the metric's unit; a metric
            of which less is better has its sign changed.
        variances: of the differences.
        p: (rows, rows), of each pair by itself, two-sided; 1 on the diagonal.
        adjusted: (rows, rows), by Holm's correction for all pairs.
        repeats: seeds or signals, as the scope says.
        narrow: for such signals: the comparisons on these signals.
    """

    scope: Scope
    differences: Array
    variances: Variances
    p: Array
    adjusted: Array
    repeats: int
    narrow: Comparisons | None = None

    @cached_property
    def surely_better(self) -> Array:
        """(rows, rows) bool: whether the first is better than the second, beyond the chance of any false order."""
        return np.asarray((self.adjusted <= ALPHA) & (self.differences > 0))

    @property
    def method(self) -> str:
        """The name of the method."""
        return "paired t with shared variances, Holm" if self.variances.shared else "paired t, Holm"

    @property
    def pairs(self) -> int:
        """How many pairs of rows there are."""
        return math.comb(len(self.differences), 2)

    @property
    def resolution(self) -> float:
        """The smallest measured gap between two rows that is told apart: the median over all pairs; NaN for one row."""
        upper = np.triu_indices(len(self.differences), 1)
        return float(np.median(self.half_widths()[upper])) if self.pairs else math.nan

    def half_widths(self) -> Array:
        """Half of the width of each pair's interval, (rows, rows): all of them hold with 95 % together."""
        half = np.zeros_like(self.differences)
        if self.pairs:
            half = t_quantile(1 - ALPHA / 2 / self.pairs, self.variances.df) * np.sqrt(self.variances.values)
        return half if self.narrow is None else np.maximum(half, self.narrow.half_widths())

    def difference(self, one: int, other: int) -> Difference:
        """The difference of two rows."""
        return Difference(
            self.scope,
            float(self.differences[one, other]),
            float(self.variances.values[one, other]),
            float(self.variances.df[one, other]),
            self.repeats,
            float(self.variances.fixed[one, other]),
            None if self.narrow is None else self.narrow.difference(one, other),
        )


def p_values(differences: Array, variances: Array, df: Array) -> Array:
    """Two-sided p-values of differences, by Student's t; all of one shape, in [0, 1]."""
    from scipy.special import stdtr

    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = np.abs(differences) / np.sqrt(variances)
    # Figures that repeat without any deviation differ surely, or not at all.
    return np.asarray(np.minimum(2 * stdtr(df, -np.where(differences == 0, 0.0, ratios)), 1.0))


def t_quantile(share: float, df: Array | float) -> Array:
    """The quantile of Student's t at a share in (0, 1), of the shape of `df`."""
    from scipy.special import stdtrit

    return np.asarray(stdtrit(df, share))


def compare_all(values: Array, scope: Scope, *, higher_is_better: bool | None = True) -> Comparisons:
    """Compare each row with each other one.

    Args:
        values: (rows, signals, seeds), finite; `has_scope` says whether they are enough for the scope.
        scope: what is random.
        higher_is_better: of the metric.
    """
    rows, signals, seeds = values.shape
    means = values.mean(axis=(1, 2)) * (-1.0 if higher_is_better is False else 1.0)
    differences = means[:, None] - means[None, :]
    variances = variances_of_differences(values, scope)
    # What rounding makes of rows that are alike.
    differences[np.abs(differences) <= ROUNDING * np.abs(values).max(initial=0.0)] = 0.0
    p = p_values(differences, variances.values, variances.df)
    narrow = None
    if scope == "such signals":
        # What seeds may explain on these very signals is no difference for others.
        narrow = compare_all(values, "these signals", higher_is_better=higher_is_better)
        p = np.maximum(p, narrow.p)
    upper = np.triu_indices(rows, 1)
    adjusted = np.ones_like(differences)
    adjusted[upper] = holm(p[upper])
    adjusted.T[upper] = adjusted[upper]
    repeats = seeds if scope == "these signals" else signals
    return Comparisons(scope, differences, variances, p, adjusted, repeats, narrow)


def comparisons_of(values: Array, *, higher_is_better: bool | None = True) -> dict[Scope, Comparisons]:
    """The comparisons in each scope that the figures are enough for.

    Args:
        values: (rows, signals, seeds), finite.
        higher_is_better: of the metric.
    """
    found = [scope for scope in SCOPES if has_scope(values, scope)]
    if not found:
        return {}
    # The wider scope has the narrower one in it.
    widest = compare_all(values, found[-1], higher_is_better=higher_is_better)
    return {one.scope: one for one in (widest.narrow, widest) if one is not None}


def holm(p: Array) -> Array:
    """P-values corrected for their number (Holm 1979): the chance of any false rejection is kept.

    Args:
        p: (n,) values in [0, 1].

    Returns:
        (n,), in the same order.
    """
    order = np.argsort(p, kind="stable")
    steps = np.minimum(np.maximum.accumulate(p[order] * np.arange(p.size, 0, -1)), 1.0)
    adjusted = np.empty_like(p)
    adjusted[order] = steps
    return adjusted


def rank_intervals(surely_better: Array) -> tuple[Array, Array]:
    """The ranks that a row may have: 1 + the rows surely better, to n - the rows surely worse.

    "Cannot be told apart" is not transitive, so that ties make no groups, and each row has an interval of its own.

    Args:
        surely_better: (n, n) bool, whether the first is surely better than the second.

    Returns:
        the lowest and the highest rank of each row, (n,) int.
    """
    rows = len(surely_better)
    return 1 + surely_better.sum(axis=0), rows - surely_better.sum(axis=1)
