"""How often tables of fields that are equal show an order, and how often a gap of 1 dB is found: synthetic benchmarks.

    python benchmarks/evidence.py [BENCHMARKS] [--signals-needed]

A figure is field + signal + signal x seed, shared by all fields (data that a seed draws) + field x signal
(interaction) + field x seed (a start that is good or bad on every signal) + noise, all normal, in dB. The ways to
compare:

    shared    what tables do: paired t over seeds or signals, variances shared between pairs, Holm over all pairs
    plain t   the same with each pair's own variance
    cells     on these signals: paired t within signals, as if all signals x seeds were independent repeats, Holm
    max-t     as `shared`, with the quantile of the studentised range (Tukey) instead of Holm's
    best only as `shared`, comparing the row that came out first with each other one, Holm over those only
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from scipy.stats import studentized_range, t

from inrbench_core.results.statistics.comparisons import ALPHA, Comparisons, compare_all, holm
from inrbench_core.results.statistics.intervals import mean_intervals
from inrbench_core.results.statistics.variances import SCOPES

Array = np.ndarray[Any, Any]
FIELDS, SIGNALS, SEEDS = 78, 8, 3
NOISE = 0.45
Deviations = Callable[[int], Array]
Way = Callable[[Array, Comparisons], Array]


def unequal(generator: np.random.Generator) -> Deviations:
    """Deviations of fields from 0.1 to 2 dB, their logarithms uniform."""
    return lambda count: np.exp(generator.uniform(np.log(0.1), np.log(2.0), count))


def constant(value: float) -> Deviations:
    """The same deviation for all fields."""
    return lambda count: np.full(count, value)


def but_one(value: float, other: float) -> Deviations:
    """The same deviation for all fields but the last."""
    return lambda count: np.where(np.arange(count) < count - 1, value, other)


class Benchmark:
    """Draws benchmarks of fields that are equal in a scope.

    Args:
        noise: deviation of a single figure, by field.
        interaction: of a field on one signal.
        start: of a field with one seed, on all signals.
        generator: of random numbers.
    """

    def __init__(
        self, noise: Deviations, interaction: Deviations, start: Deviations, generator: np.random.Generator
    ) -> None:
        self.noise, self.interaction, self.start, self.generator = noise, interaction, start, generator

    def draw(self, signals: int) -> tuple[Array, Array, Array]:
        """Figures (fields, signals, seeds), each field's mean interaction (fields,), and the signals' mean (1,)."""
        normal = self.generator.normal
        scale = [part(FIELDS)[:, None, None] for part in (self.interaction, self.start, self.noise)]
        of_signals = 3 * normal(size=(1, signals, 1))
        own = scale[0] * normal(size=(FIELDS, signals, 1))
        figures = of_signals + own + 0.5 * normal(size=(1, signals, SEEDS))
        figures = figures + scale[1] * normal(size=(FIELDS, 1, SEEDS))
        figures = figures + scale[2] * normal(size=(FIELDS, signals, SEEDS))
        return figures, own.mean(axis=(1, 2)), of_signals.mean(axis=(1, 2))


def by_shared(values: Array, found: Comparisons) -> Array:
    """Which rows are surely better than which."""
    return found.surely_better


def by_plain_t(values: Array, found: Comparisons) -> Array:
    """Paired t over seeds or signals, each pair with its own variance."""
    repeats = values.mean(axis=1 if found.scope == "these signals" else 2)
    return _holm_of(repeats, repeats.shape[1] - 1)


def by_cells(values: Array, found: Comparisons) -> Array:
    """Paired t that takes all figures of a pair for independent repeats."""
    if found.scope == "such signals":
        return by_plain_t(values, found)
    flat = (values - values.mean(axis=2, keepdims=True)).reshape(len(values), -1)
    df = values.shape[1] * (values.shape[2] - 1)
    return _holm_of(flat + values.mean(axis=(1, 2))[:, None], df)


def _holm_of(repeats: Array, df: int) -> Array:
    """Holm over all pairs of rows of repeats (rows, n), whose deviations have so many degrees of freedom."""
    means = repeats.mean(axis=1)
    centred = repeats - means[:, None]
    products = centred @ centred.T
    squares = np.diag(products)[:, None] + np.diag(products)[None, :] - 2 * products
    differences = means[:, None] - means[None, :]
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = differences / np.sqrt(squares / df / repeats.shape[1])
    upper = np.triu_indices(len(repeats), 1)
    adjusted = np.ones_like(differences)
    adjusted[upper] = holm(2 * t.sf(np.abs(ratio[upper]), df))
    adjusted.T[upper] = adjusted[upper]
    return (adjusted <= ALPHA) & (differences > 0)


@cache
def studentized(rows: int, df: int) -> float:
    """The quantile of the largest t of all pairs."""
    return float(studentized_range.ppf(1 - ALPHA, rows, df) / np.sqrt(2))


def by_max_t(values: Array, found: Comparisons) -> Array:
    """Shared variances, and the largest of all t by the studentised range."""
    upper = np.triu_indices(len(values), 1)
    critical = studentized(len(values), round(float(np.median(found.variances.df[upper]))))
    with np.errstate(divide="ignore", invalid="ignore"):
        return found.differences / np.sqrt(found.variances.values) > critical


def by_best_only(values: Array, found: Comparisons) -> Array:
    """Shared variances, and only the row that came out first compared with the others."""
    best = int(values.mean(axis=(1, 2)).argmax())
    others = np.arange(len(values)) != best
    better = np.zeros_like(found.surely_better)
    better[best, others] = holm(found.p[best, others]) <= ALPHA
    return better


WAYS: dict[str, Way] = {
    "shared": by_shared,
    "plain t": by_plain_t,
    "cells": by_cells,
    "max-t": by_max_t,
    "best only": by_best_only,
}


def study(benchmark: Benchmark, count: int, signals: int = SIGNALS, ways: dict[str, Way] = WAYS) -> dict[Any, float]:
    """Rates over so many benchmarks: (scope, way, "false" or "power") and (scope, "coverage")."""
    rates: dict[Any, float] = defaultdict(float)
    for _ in range(count):
        figures, interaction, of_signals = benchmark.draw(signals)
        for scope in SCOPES:
            # On these very signals a field is as good as it is on them, with its interactions.
            truth = interaction if scope == "these signals" else np.zeros(FIELDS)
            equal = figures - truth[:, None, None]
            ahead = equal.copy()
            ahead[0] += 1.0
            compared = [(one, compare_all(one, scope)) for one in (equal, ahead)]
            for name, way in ways.items():
                false, found = (way(*one) for one in compared)
                rates[scope, name, "false"] += false.any() / count
                rates[scope, name, "power"] += found[0, 1:].mean() / count
            mean = truth + of_signals if scope == "these signals" else truth
            intervals = mean_intervals(figures, scope)
            rates[scope, "coverage"] += ((intervals.low <= mean) & (mean <= intervals.high)).mean() / count
    return rates


def main() -> None:
    """Print a table for each scope."""
    parser = argparse.ArgumentParser()
    parser.add_argument("benchmarks", type=int, nargs="?", default=1000)
    parser.add_argument("--signals-needed", action="store_true", help="power against the number of signals instead")
    options = parser.parse_args()
    generator = np.random.default_rng(0)
    none, any_of = constant(0.0), unequal(generator)
    if options.signals_needed:
        for interaction in (0.5, 1.0):
            for signals in (8, 12, 16, 24, 32, 48, 64, 80):
                benchmark = Benchmark(constant(NOISE), constant(interaction), none, generator)
                rates = study(benchmark, options.benchmarks, signals, {"shared": by_shared})
                power = rates["such signals", "shared", "power"]
                print(f"interaction {interaction:.1f} dB, {signals} signals: power {power:.3f}", flush=True)
        return
    cases = {
        "equal deviations": (constant(NOISE), none, none),
        "interaction 0.5 dB": (constant(NOISE), constant(0.5), none),
        "interaction 1 dB": (constant(NOISE), constant(1.0), none),
        "unequal 0.1 to 2 dB": (any_of, none, none),
        "unequal, interaction 0.5 dB": (any_of, constant(0.5), none),
        "unequal, interaction 1 dB": (any_of, constant(1.0), none),
        "unequal, unequal interactions": (any_of, any_of, none),
        "starts 0.3 dB": (constant(NOISE), constant(0.5), constant(0.3)),
        "all unequal, starts too": (any_of, any_of, any_of),
        "one field with noise 2 dB": (but_one(NOISE, 2.0), constant(0.5), none),
        "starts 0.1 dB, one field 1 dB": (constant(NOISE), constant(0.5), but_one(0.1, 1.0)),
    }
    print(f"{options.benchmarks} benchmarks of {FIELDS} equal fields, {SIGNALS} signals, {SEEDS} seeds")
    print("false: share that shows any false order; power: share of the 77 gaps of 1 dB that is found")
    for case, parts in cases.items():
        rates = study(Benchmark(*parts, generator), options.benchmarks)
        for scope in SCOPES:
            texts = [f"{way} {rates[scope, way, 'false']:.3f} / {rates[scope, way, 'power']:.3f}" for way in WAYS]
            print(
                f"{case}, {scope}: false / power: {', '.join(texts)}; coverage {rates[scope, 'coverage']:.3f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
