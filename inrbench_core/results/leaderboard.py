"""Leaderboards: one per task, its fields ranked. Made from Results alone. Imports no torch."""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from inrbench_core.api.entries import Metric
from inrbench_core.api.errors import InrbenchError
from inrbench_core.api.suggest import did_you_mean
from inrbench_core.results.results import Chosen, ResultBoard, ResultRow, ResultRun, Results
from inrbench_core.results.samples import samples_of, seeds_of
from inrbench_core.results.statistics.comparisons import Comparisons, comparisons_of, rank_intervals
from inrbench_core.results.statistics.intervals import mean_intervals
from inrbench_core.results.statistics.variances import SCOPES, Scope, has_scope


@dataclass(frozen=True)
class Summary:
    """A figure over signals and seeds.

    Args:
        mean: arithmetic mean.
        std: sample standard deviation, NaN for less than two figures.
        count: of the figures.
        intervals: the 95 % interval of the mean in each scope that the figures are enough for.
    """

    mean: float
    std: float
    count: int
    intervals: Mapping[Scope, tuple[float, float]] = field(default_factory=dict)

    @classmethod
    def of(cls, values: Sequence[float]) -> Summary:
        """Summarise values; NaNs are left out, and nothing left gives NaN."""
        known = [value for value in values if not math.isnan(value)]
        if not known:
            return cls(math.nan, math.nan, 0)
        if not all(math.isfinite(value) for value in known):
            # Of infinities of both signs there is no mean.
            return cls(sum(known), math.nan, len(known))
        if len(known) == 1:
            return cls(known[0], math.nan, 1)
        return cls(statistics.fmean(known), statistics.stdev(known), len(known))


@dataclass(frozen=True)
class Standing:
    """What is sure of a row's place among those with a rank, in one scope.

    Args:
        low: the lowest rank that it may have: 1 + the rows that are surely better.
        high: the highest one: the number of rows - those that are surely worse.
        tied: whether it cannot be told apart from the first row, or is the first.
    """

    low: int
    high: int
    tied: bool


@dataclass(frozen=True)
class Row:
    """One field, or one baseline, on one task.

    Args:
        label: its name in tables.
        baseline: whether it is a measure for the others: an answer that needs no network, or a field meant as one.
        rank: from 1, equal for equal means; None for baselines, and for rows without the figure of every signal and
            seed of the table: means over different ones cannot be compared.
        metrics: a summary for each metric, over the runs that are ok.
        parameters: trainable parameters, or the numbers that transform coding keeps; the largest number of them where
            runs differ, and 0 if it is not known.
        values_per_parameter: values of the signal for each of them, the least where runs differ; NaN if not known.
        train_s: seconds of training.
        statuses: how many runs ended how; "missing" counts those without a result.
        problems: why runs have no figures, and why a row whose runs are ok has no rank, without repetition.
        runs: over signals and seeds.
        standing: what is sure of its rank, in each scope that the figures are enough for; empty without a rank.
        chosen: what `select:` or `tuning:` chose for it, or None.
    """

    label: str
    baseline: bool
    rank: int | None
    metrics: Mapping[str, Summary]
    parameters: int
    values_per_parameter: float
    train_s: Summary
    statuses: Mapping[str, int]
    problems: tuple[str, ...]
    runs: tuple[ResultRun, ...]
    standing: Mapping[Scope, Standing] = field(default_factory=dict)
    chosen: Chosen | None = None

    @property
    def complete(self) -> bool:
        """Whether every run is ok; the table may have signals and seeds that the row has no run of."""
        return set(self.statuses) == {"ok"}


@dataclass(frozen=True)
class Leaderboard:
    """All rows of one task, best first; rows without a rank keep their place by their figures.

    Args:
        task_label: the task's name in tables.
        metrics: the one that ranks first, then the task's others.
        rows: ranked rows, baselines among them; without those that have no figure of any metric here.
        comparisons: of the rows with a rank, in their order, in each scope that the figures are enough for.
        methods: how the intervals of the metric that ranks were made, in each scope that has them.
    """

    task_label: str
    metrics: tuple[Metric, ...]
    rows: tuple[Row, ...]
    comparisons: Mapping[Scope, Comparisons]
    methods: Mapping[Scope, str]

    @property
    def rank_by(self) -> Metric:
        """The metric that ranks."""
        return self.metrics[0]

    @property
    def ranked(self) -> list[Row]:
        """The rows with a rank, best first."""
        return [row for row in self.rows if row.rank is not None]

    @property
    def counts(self) -> tuple[int, int]:
        """How many signals and how many seeds there are."""
        runs = [run for row in self.rows for run in row.runs]
        return len({run.signal for run in runs}), len(seeds_of(runs))

    def shown_metrics(self) -> list[Metric]:
        """The columns of tables: the metric that ranks, and of the others those that some row has a figure for."""
        return [
            m
            for m in self.metrics
            if (m.column or m == self.rank_by)
            and any(m.name in row.metrics and row.metrics[m.name].count for row in self.rows)
        ]


def make_leaderboards(results: Results, sort: str = "") -> list[Leaderboard]:
    """One leaderboard for each table of the results; see `Results.leaderboards`."""
    check_metric(sort, {metric.name for board in results.boards for metric in board.metrics})
    return [_leaderboard(board, sort) for board in results.boards]


def check_metric(name: str, known: Collection[str]) -> None:
    """Raise InrbenchError unless there is a metric of that name; "" stands for none."""
    if name and name not in known:
        raise InrbenchError(
            f"no metric {name!r}{did_you_mean(name, known) or '; there are ' + ', '.join(sorted(known))}"
        )


def _without_figures(row: Row) -> bool:
    """Whether it is a baseline that the task has no metric for here, as one that fills in where nothing is held out."""
    return row.baseline and row.complete and not any(summary.count for summary in row.metrics.values())


def _leaderboard(board: ResultBoard, sort: str) -> Leaderboard:
    rows = [row for row in [_row(each, board.metrics) for each in board.rows] if not _without_figures(row)]
    chosen = _ranking_metric(board, rows, sort)
    rows.sort(key=lambda row: _order(row, chosen))
    observed = {key for row in rows if not row.baseline for key in _observed(row)}
    reasons = ["" if row.baseline else _not_comparable(row, chosen, observed) for row in rows]
    means = [
        row.metrics[chosen.name].mean
        for row, reason in zip(rows, reasons, strict=True)
        if row.complete and not row.baseline and not reason
    ]
    ranked = []
    for row, reason in zip(rows, reasons, strict=True):
        if reason:
            ranked.append(replace(row, problems=(*row.problems, f"not ranked: {reason}")))
        elif row.complete and not row.baseline:
            # Rows are in order, so equal means share the place of the first of them.
            ranked.append(replace(row, rank=means.index(row.metrics[chosen.name].mean) + 1))
        else:
            ranked.append(row)
    others = tuple(metric for metric in board.metrics if metric.name != chosen.name)
    metrics = (chosen, *others)
    compared = [row for row in ranked if row.rank is not None]
    comparisons = _comparisons(compared, chosen)
    standings = dict(zip((row.label for row in compared), _standings(comparisons, len(compared)), strict=True))
    known = [row for row in ranked if row.rank is not None or (row.baseline and row.complete)]
    intervals, methods = _intervals(known, metrics)
    final = [
        replace(
            row,
            metrics=intervals.get((row.baseline, row.label), row.metrics),
            standing={} if row.rank is None else standings[row.label],
        )
        for row in ranked
    ]
    return Leaderboard(board.label, metrics, tuple(final), comparisons, methods)


def _comparisons(rows: Sequence[Row], metric: Metric) -> dict[Scope, Comparisons]:
    values = samples_of(rows, metric).values
    # Infinite figures, as of a perfect answer, cannot be compared by their means.
    if len(rows) < 2 or np.isnan(values).any():
        return {}
    return comparisons_of(values, higher_is_better=metric.higher_is_better)


def _standings(comparisons: Mapping[Scope, Comparisons], rows: int) -> list[dict[Scope, Standing]]:
    """The standing of each row, the best one first."""
    found: list[dict[Scope, Standing]] = [{} for _ in range(rows)]
    for scope, comparison in comparisons.items():
        low, high = rank_intervals(comparison.surely_better)
        for index in range(rows):
            tied = not comparison.surely_better[0, index]
            found[index][scope] = Standing(int(low[index]), int(high[index]), bool(tied))
    return found


def _intervals(
    rows: Sequence[Row], metrics: Sequence[Metric]
) -> tuple[dict[tuple[bool, str], dict[str, Summary]], dict[Scope, str]]:
    """The summaries of rows by baseline and label, with intervals for each metric that all runs have.

    Also how those of the first metric were made.
    """
    found = {(row.baseline, row.label): dict(row.metrics) for row in rows}
    methods: dict[Scope, str] = {}
    for metric in metrics:
        samples = samples_of(rows, metric)
        known = [index for index, values in enumerate(samples.values) if np.isfinite(values).all()]
        values = samples.values[known]
        for scope in SCOPES:
            if not known or not has_scope(values, scope):
                continue
            intervals = mean_intervals(values, scope)
            if metric is metrics[0]:
                methods[scope] = intervals.method
            for index, low, high in zip(known, intervals.low, intervals.high, strict=True):
                if scope == "these signals" and all(run.serves_all_seeds for run in rows[index].runs):
                    continue  # It has one figure for each signal.
                summaries = found[rows[index].baseline, rows[index].label]
                old = summaries[metric.name]
                own = {**old.intervals, scope: (float(low), float(high))}
                summaries[metric.name] = replace(old, intervals=own)
    return found, methods


def _observed(row: Row) -> set[tuple[str, int]]:
    return {(run.signal, run.seed) for run in row.runs}


def _not_comparable(row: Row, metric: Metric, observed: Collection[tuple[str, int]]) -> str:
    """Why a field's mean is no mean over all that the table observes, beside its runs that are not ok; or ""."""
    if not row.runs:
        return ""
    own = _observed(row)
    if len(own) < len(observed):
        return f"has {len(own)} of {len(observed)} signals and seeds"
    count = row.metrics[metric.name].count
    if row.complete and count < len(row.runs):
        return f"has {metric.name} in {count} of {len(row.runs)} runs"
    return ""


def _ranking_metric(board: ResultBoard, rows: Sequence[Row], sort: str) -> Metric:
    """The metric asked for; else the one that the task says, if some field has it in all of its runs; else the first.

    A signal of one pixel, for one, has none held out.
    """
    by_name = {metric.name: metric for metric in board.metrics}
    if sort in by_name:
        return by_name[sort]
    name = board.rank_by
    fields = [row for row in rows if not row.baseline and row.statuses.get("ok")]
    if name in by_name and any(row.metrics[name].count == row.statuses["ok"] for row in fields):
        return by_name[name]
    return board.metrics[0]


def _row(row: ResultRow, metrics: Sequence[Metric]) -> Row:
    good = [run for run in row.runs if run.status == "ok"]
    known = [run.record for run in row.runs if run.record is not None]
    problems = dict.fromkeys(f"{item.status}: {item.message}" for item in known if item.status != "ok")
    problems.update(dict.fromkeys(problem for item in known for problem in item.problems))
    statuses = Counter(run.status for run in row.runs)
    if row.skip:
        problems[f"skipped: {row.skip}"] = None
        statuses["skipped"] = 1
    return Row(
        label=row.label,
        baseline=row.baseline,
        rank=None,
        metrics={
            metric.name: Summary.of([run.metrics.get(metric.name, math.nan) for run in good]) for metric in metrics
        },
        parameters=max((item.parameters for item in known), default=0),
        values_per_parameter=min(
            (item.values / item.parameters for item in known if item.values and item.parameters), default=math.nan
        ),
        train_s=Summary.of([run.record.times.get("train", math.nan) for run in good if run.record is not None]),
        statuses=statuses,
        problems=tuple(problems),
        runs=row.runs,
        chosen=row.chosen,
    )


def _order(row: Row, metric: Metric) -> tuple[bool, float]:
    mean = row.metrics[metric.name].mean
    if math.isnan(mean):
        return True, 0.0
    return False, mean if metric.higher_is_better is False else -mean
