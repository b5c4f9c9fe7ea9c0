"""Paired comparisons of all rows of a table, their ranks, and how much data would tell rows apart. Imports no torch."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from inrbench_core.results.statistics.variances import Array, Scope, Variances, variances_of_differences

# Errors of a table: the chance that it shows any false order, and the coverage that its intervals miss.
ALPHA = 0.05
# With which the repeats that are said to be needed would tell two rows apart.
POWER = 0.8
MOST_REPEATS = 10_000


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
    """

    scope: Scope
    differences: Array
    variances: Variances
    p: Array
    adjusted: Array
    repeats: int

    @cached_property
    def surely_better(self) -> Array:
        """(rows, rows) bool: whether the first is better than the second, beyond the chance of any false order."""
        return np.asarray((self.adjusted <= ALPHA) & (self.differences > 0))

    @property
    def method(self) -> str:
        """The name of the method."""
        shared = "paired t with shared variances" if self.variances.shared else "paired t"
        return f"{shared}, Holm"

    @property
    def resolution(self) -> float:
        """The smallest gap between two rows that is told apart: the median over all pairs; NaN for one row."""
        pairs = np.triu_indices(len(self.differences), 1)
        if not pairs[0].size:
            return math.nan
        critical = t_quantile(1 - ALPHA / 2 / pairs[0].size, self.variances.df[pairs])
        return float(np.median(critical * np.sqrt(self.variances.values[pairs])))

    def interval(self, one: int, other: int) -> tuple[float, float]:
        """The 95 % interval of the difference of two rows that were chosen beforehand."""
        half = float(t_quantile(1 - ALPHA / 2, self.variances.df[one, other]))
        half *= math.sqrt(self.variances.values[one, other])
        difference = float(self.differences[one, other])
        return difference - half, difference + half

    def needed(self, one: int, other: int, pairs: int = 1) -> int | None:
        """How many repeats would tell two rows apart with a chance of 80 %, if they differ by what was measured.

        Args:
            one: the first row.
            other: the second row.
            pairs: how many pairs are compared, each of which costs a share of the error.

        Returns:
            seeds or signals, as the scope says, at least two; None: more than 10,000.
        """
        variance = float(self.variances.values[one, other]) * self.repeats
        gap = abs(float(self.differences[one, other]))
        # What rows share stays; its own degrees of freedom grow with the repeats.
        added = float(self.variances.df[one, other]) - (self.repeats - 1)
        counts = np.arange(2, MOST_REPEATS + 1)
        df = np.maximum(counts - 1 + added, 1.0)
        error = np.sqrt(variance / counts)
        enough = gap >= (t_quantile(1 - ALPHA / 2 / pairs, df) + t_quantile(POWER, df)) * error
        found = np.flatnonzero(enough & (gap > 0))
        return int(counts[found[0]]) if found.size else None


def t_quantile(share: float, df: Array | float) -> Array:
    """Quantiles of Student's t."""
    from scipy.special import stdtrit

    return np.asarray(stdtrit(df, share))


def compare_all(values: Array, scope: Scope, *, higher_is_better: bool | None = True) -> Comparisons:
    """Compare each row with each other one.

    Args:
        values: (rows, signals, seeds), finite; `has_scope` says whether they are enough for the scope.
        scope: what is random.
        higher_is_better: of the metric.
    """
    from scipy.special import stdtr

    rows, signals, seeds = values.shape
    means = values.mean(axis=(1, 2)) * (-1.0 if higher_is_better is False else 1.0)
    differences = means[:, None] - means[None, :]
    variances = variances_of_differences(values, scope)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.abs(differences) / np.sqrt(variances.values)
    # Figures that repeat without any deviation differ surely, or not at all.
    ratio = np.where(differences == 0, 0.0, ratio)
    p = np.minimum(2 * stdtr(variances.df, -ratio), 1.0)
    if scope == "such signals":
        # What seeds may explain on these very signals is no difference for others.
        p = np.maximum(p, compare_all(values, "these signals", higher_is_better=higher_is_better).p)
    upper = np.triu_indices(rows, 1)
    adjusted = np.ones_like(p)
    adjusted[upper] = holm(p[upper])
    adjusted.T[upper] = adjusted[upper]
    return Comparisons(scope, differences, variances, p, adjusted, seeds if scope == "these signals" else signals)


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
