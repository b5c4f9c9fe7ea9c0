"""The figures of one table as an array over fields, signals and seeds: what all statistics begin with.

Imports no torch.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from inrbench_core.api.entries import Metric
from inrbench_core.results.results import ResultRun

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Samples:
    """One metric of several rows on the same signals and seeds.

    Args:
        metric: whose figures they are.
        labels: of the rows.
        signals: labels of the signals.
        seeds: the seeds.
        values: (rows, signals, seeds) float64, unrounded; NaN where there is no finite figure of a run that is ok.
    """

    metric: Metric
    labels: tuple[str, ...]
    signals: tuple[str, ...]
    seeds: tuple[int, ...]
    values: Array


class RowOfRuns(Protocol):
    """A row of a table: of results or of a leaderboard."""

    @property
    def label(self) -> str: ...
    @property
    def runs(self) -> tuple[ResultRun, ...]: ...


def samples_of(rows: Sequence[RowOfRuns], metric: Metric) -> Samples:
    """The figures of some rows, signals and seeds in the order in which they are first met.

    What a task's own baseline answers to data that all seeds share is its figure for each of them.

    Args:
        rows: of one table; fields, baselines or both.
        metric: whose figures.
    """
    runs = [run for row in rows for run in row.runs]
    signals = tuple(dict.fromkeys(run.signal for run in runs))
    seeds = seeds_of(runs)
    values = np.full((len(rows), len(signals), len(seeds)), np.nan)
    for index, row in enumerate(rows):
        for run in row.runs:
            value = run.metrics.get(metric.name, math.nan)
            if math.isfinite(value):
                place = slice(None) if run.serves_all_seeds else seeds.index(run.seed)
                values[index, signals.index(run.signal), place] = value
    return Samples(metric, tuple(row.label for row in rows), signals, seeds, values)


def seeds_of(runs: Iterable[ResultRun]) -> tuple[int, ...]:
    """The seeds of some runs of a table; baselines count only where there is nothing else."""
    runs = list(runs)
    fits = [run for run in runs if not (run.serves_all_seeds or (run.baseline and run.record is None))]
    return tuple(dict.fromkeys(run.seed for run in fits or runs))
