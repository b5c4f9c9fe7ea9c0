"""Two fields, or two folders of results, compared by what they have in common. Imports no torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from inrbench_core.api.entries import Metric
from inrbench_core.api.errors import InrbenchError
from inrbench_core.api.suggest import did_you_mean
from inrbench_core.results.leaderboard import Leaderboard, Row, check_metric
from inrbench_core.results.merging import task_hashes
from inrbench_core.results.results import ResultRow, Results
from inrbench_core.results.samples import samples_of
from inrbench_core.results.statistics.comparisons import Difference, comparisons_of
from inrbench_core.results.statistics.variances import LEAST_SEEDS, SCOPES, Array, has_scope, variances_of_means


@dataclass(frozen=True)
class Pair:
    """Two rows on one task, by the signals and seeds that both have figures of.

    Args:
        task: what tables call the task.
        labels: of the two.
        metric: whose figures were compared.
        means: of both, over what they have in common.
        signals: how many signals they have in common.
        seeds: how many seeds, each with all of these signals.
        left_out: how many runs with a figure have no counterpart.
        differences: the first against the second, in each scope that the figures are enough for.
        among: how many pairs of the task are compared at once, as the rows of two folders are: verdicts are corrected
            for their number.
    """

    task: str
    labels: tuple[str, str]
    metric: Metric
    means: tuple[float, float]
    signals: int
    seeds: int
    left_out: int
    differences: tuple[Difference, ...]
    among: int = 1


def compare_fields(results: Results, one: str, other: str, metric: str = "") -> list[Pair]:
    """Compare two rows on every task that has both.

    Where the other rows of the table have the same signals and seeds, variances are shared with them.

    Args:
        results: of one or more folders.
        one: the label of a field or baseline.
        other: the label of another one.
        metric: its name; "": the one that ranks on each task.

    Raises:
        InrbenchError: if no task has both rows, or no task has the metric.
    """
    boards = results.leaderboards(metric)
    labels = dict.fromkeys(row.label for board in boards for row in board.rows)
    for label in (one, other):
        if label not in labels:
            raise InrbenchError(f"no row {label!r}{did_you_mean(label, labels) or '; there are ' + ', '.join(labels)}")
    found = []
    for board in boards:
        # Of a field and a baseline of one label the field is meant.
        rows = {row.label: row for row in sorted(board.rows, key=lambda row: not row.baseline)}
        if one in rows and other in rows:
            beside = [row for row in board.ranked if row.label not in (one, other)]
            found.append(_pair(board, (rows[one], rows[other]), beside))
    if not found:
        raise InrbenchError(f"no task has both {one!r} and {other!r}")
    return found


def _pair(board: Leaderboard, rows: tuple[Row, Row], beside: Sequence[Row]) -> Pair:
    metric = board.rank_by
    # Fields are alike in how they are trained; a baseline is not, and shares nothing.
    others = [] if any(row.baseline for row in rows) else list(beside)
    samples = samples_of([*rows, *others], metric)
    values, left_out = _in_common(samples.values)
    complete = np.isfinite(values).all(axis=(1, 2))
    values = values[complete]
    compared = comparisons_of(values, higher_is_better=metric.higher_is_better) if values.size else {}
    differences = [one.difference(0, 1) for one in compared.values()]
    return _made(board.task_label, (rows[0].label, rows[1].label), metric, values[:2], left_out, differences)


def _made(
    task: str, labels: tuple[str, str], metric: Metric, values: Array, left_out: int, differences: Sequence[Difference]
) -> Pair:
    means = (float(values[0].mean()), float(values[1].mean())) if values.size else (float("nan"), float("nan"))
    return Pair(task, labels, metric, means, values.shape[1], values.shape[2], left_out, tuple(differences))


def _in_common(values: Array) -> tuple[Array, int]:
    """Figures (rows, signals, seeds) of the signals and seeds that the first two rows have, and how many are left out.

    Where one lacks a figure, either its signal or its seed has to go: whichever leaves more, of at least two seeds.
    """
    both = np.logical_and(*np.isfinite(values[:2]))
    signals, seeds = np.flatnonzero(both.any(axis=1)), np.flatnonzero(both.any(axis=0))
    ways = [
        (signals, np.flatnonzero(both[signals].all(axis=0)) if signals.size else signals),
        (np.flatnonzero(both[:, seeds].all(axis=1)) if seeds.size else seeds, seeds),
    ]
    kept_signals, kept_seeds = max(ways, key=lambda way: (way[1].size >= LEAST_SEEDS, way[0].size * way[1].size))
    kept: Array = values[:, kept_signals][:, :, kept_seeds]
    return kept, int(np.isfinite(values[:2]).sum() - kept[:2].size)


def compare_folders(one: Results, other: Results, names: tuple[str, str], metric: str = "") -> list[Pair]:
    """Compare each row of one folder with the row of the same label in the other one, on each task that both have.

    Tasks are the same if their options are, but for the signal. The variances of the differences are shared between
    the rows of a task.

    Args:
        one: the results of a folder.
        other: those of another one.
        names: what to call both.
        metric: its name; "": the one that ranks on each task of the first folder.

    Raises:
        InrbenchError: if they have no row in common, or no task has the metric.
    """
    check_metric(metric, {item.name for results in (one, other) for board in results.boards for item in board.metrics})
    found: list[Pair] = []
    for board, leaderboard in zip(one.boards, one.leaderboards(metric), strict=True):
        same = next((item for item in other.boards if task_hashes(item) & task_hashes(board)), None)
        if same is not None:
            rows = {(row.baseline, row.label): row for row in same.rows}
            both = [
                (row, rows[row.baseline, row.label]) for row in leaderboard.rows if (row.baseline, row.label) in rows
            ]
            found += _pairs_of_folders(leaderboard, both, names)
    if not found:
        raise InrbenchError(f"{names[0]} and {names[1]} have no row of the same label on the same task in common")
    return found


def _pairs_of_folders(board: Leaderboard, rows: Sequence[tuple[Row, ResultRow]], names: tuple[str, str]) -> list[Pair]:
    metric = board.rank_by
    kept = [_in_common(samples_of(pair, metric).values) for pair in rows]
    sign = -1.0 if metric.higher_is_better is False else 1.0
    differences = [sign * (values[0] - values[1]) for values, _ in kept]
    own: list[list[Difference]] = [[] for _ in rows]
    for shape in dict.fromkeys(one.shape for one in differences):
        alike = [number for number, one in enumerate(differences) if one.shape == shape]
        for number, found in zip(alike, _against_zero(np.stack([differences[n] for n in alike])), strict=True):
            own[number] = found
    return [
        replace(
            _made(
                board.task_label, (f"{row.label} of {names[0]}", f"{row.label} of {names[1]}"), metric, *one, differing
            ),
            among=max(1, sum(map(bool, own))),
        )
        for (row, _), one, differing in zip(rows, kept, own, strict=True)
    ]


def _against_zero(differences: Array) -> list[list[Difference]]:
    """Each of several differences (rows, signals, seeds) against zero, in each scope that they are enough for."""
    rows, signals, seeds = differences.shape
    found: list[list[Difference]] = [[] for _ in range(rows)]
    for scope in SCOPES:
        if not differences.size or not has_scope(differences, scope):
            continue
        variances = variances_of_means(differences, scope, share=True)
        for index, mean in enumerate(differences.mean(axis=(1, 2))):
            found[index].append(
                Difference(
                    scope,
                    float(mean),
                    float(variances.values[index]),
                    float(variances.df[index]),
                    seeds if scope == "these signals" else signals,
                    float(variances.fixed[index]),
                    # The wider scope comes after the narrower one.
                    found[index][-1] if found[index] else None,
                )
            )
    return found
