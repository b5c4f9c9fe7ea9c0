"""What quality costs: steps and seconds to a target quality, and Pareto fronts. Imports no torch."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from inrbench_core.api.entries import Metric
from inrbench_core.results.leaderboard import Leaderboard, Row
from inrbench_core.results.results import ResultRun
from inrbench_core.results.samples import Array


@dataclass(frozen=True)
class TimeToTarget:
    """How soon the runs of a row reach a target.

    A run that never reaches it, or diverges, is not left out: it counts as later than every other in medians, and with
    the limit in the mean (restricted mean, Royston and Parmar 2013, doi:10.1186/1471-2288-13-152).

    Args:
        label: of the row.
        runs: how many it has.
        reached: how many of them reach the target.
        median_steps: optimiser steps up to the first evaluation that is at the target; inf: half of the runs, or more,
            never are; NaN: a run has failed or has no curve, so that it is not known.
        median_s: the same in seconds of training.
        mean_steps: the mean over runs of the steps, at most the limit; NaN as above.
    """

    label: str
    runs: int
    reached: int
    median_steps: float
    median_s: float
    mean_steps: float


def curve_metrics(board: Leaderboard) -> list[Metric]:
    """The metrics that are evaluated along training, the one that ranks first; others are known at the end only.

    Raises:
        InrbenchError: if the file of a run is not readable any more.
    """
    curves = (_curve(run) for row in board.rows for run in row.runs)
    columns = next((curve for curve in curves if curve), {})
    return [metric for metric in board.metrics if metric.name in columns]


def _curve(run: ResultRun) -> Mapping[str, Array]:
    # Read without keeping it: with the arrays of all runs, weights among them, memory may not suffice.
    return run.record.read_arrays().curve if run.record is not None and run.status == "ok" else {}


def time_to_target(board: Leaderboard, metric: Metric, targets: Mapping[str, float]) -> tuple[list[TimeToTarget], int]:
    """How soon rows reach a quality, those that take the fewest steps first.

    Args:
        board: rows without a curve, such as answers that are computed, are left out.
        metric: of the quality.
        targets: quality by signal.

    Returns:
        a line for each row, and the limit of the means: the fewest steps that a run was asked to train for; 0 if no
        run has a curve.

    Raises:
        InrbenchError: if the file of a run is not readable any more.
    """
    found = [(row, [_first_reached(run, metric, targets) for run in row.runs]) for row in board.rows]
    found = [(row, times) for row, times in found if any(time is not None for time in times)]
    records = [run.record for row, _ in found for run in row.runs if run.record is not None]
    limit = min((record.run["training"]["steps"] for record in records if record.run.get("training")), default=0)
    lines = []
    for row, times in found:
        # Without every run nothing is known of the middle one.
        known = np.array([time or (math.nan, math.nan) for time in times])
        median_steps, median_s = np.median(known, axis=0)
        mean = float(np.minimum(known[:, 0], limit).mean())
        reached = int(np.isfinite(known[:, 0]).sum())
        lines.append(TimeToTarget(row.label, len(times), reached, float(median_steps), float(median_s), mean))
    return sorted(lines, key=lambda line: (math.isnan(line.mean_steps), line.mean_steps, -line.reached)), limit


def _first_reached(run: ResultRun, metric: Metric, targets: Mapping[str, float]) -> tuple[float, float] | None:
    """Steps and seconds up to the target, inf if it is never reached; None if the run does not tell."""
    if run.status == "diverged":
        return math.inf, math.inf
    curve = _curve(run)
    if metric.name not in curve or run.signal not in targets:
        return None
    values, target = curve[metric.name], targets[run.signal]
    there = np.flatnonzero(values <= target if metric.higher_is_better is False else values >= target)
    return (float(curve["step"][there[0]]), float(curve["seconds"][there[0]])) if there.size else (math.inf, math.inf)


def signal_means(row: Row, metric: Metric) -> dict[str, float]:
    """The mean over seeds on each signal, of the runs that are ok."""
    values: dict[str, list[float]] = {}
    for run in row.runs:
        if metric.name in run.metrics:
            values.setdefault(run.signal, []).append(run.metrics[metric.name])
    return {signal: float(np.mean(found)) for signal, found in values.items()}


def find_targets(board: Leaderboard, metric: Metric, target: float | str) -> tuple[dict[str, float], str]:
    """The target on each signal, and what it is in words.

    Args:
        board: the task.
        metric: whose targets.
        target: a value for all signals; or the label of a row, for its mean on each signal; or "", for the median over
            fields with a rank of their means on each signal.

    Returns:
        target by signal, empty if there is no such row.
    """
    if not isinstance(target, str):
        signals = {run.signal for row in board.rows for run in row.runs}
        return dict.fromkeys(signals, float(target)), "as given"
    if target:
        row = next((row for row in board.rows if row.label == target), None)
        return (signal_means(row, metric) if row else {}), f"the mean of {target}"
    means = [signal_means(row, metric) for row in board.rows if row.rank is not None]
    signals = {signal for row in means for signal in row}
    found = {signal: float(np.median([row[signal] for row in means if signal in row])) for signal in signals}
    return found, "the median field"


@dataclass(frozen=True)
class ParetoRow:
    """A field's quality against its cost.

    Args:
        label: of the field.
        quality: mean of the metric that ranks.
        cost: what it takes.
        dominated_by: the best field that is no worse, costs no more, and is ahead in one of them; "": it is on the
            front.
        surely: whether a field that dominates it has surely the better quality (paired t over seeds on these signals,
            Holm's correction over all pairs); None where there are too few seeds to tell.
    """

    label: str
    quality: float
    cost: float
    dominated_by: str
    surely: bool | None


def pareto_front(board: Leaderboard, against: str) -> list[ParetoRow]:
    """Which fields are on the front of quality against cost, the cheapest first.

    Args:
        board: rows without a rank, or whose cost is not known, are left out.
        against: "parameters", "flops" (of the whole training, estimated) or "seconds" (of training).
    """
    metric = board.rank_by
    comparisons = board.comparisons.get("these signals")
    costs = [_cost(row, against) for row in board.ranked]
    sign = -1.0 if metric.higher_is_better is False else 1.0
    quality = [sign * row.metrics[metric.name].mean for row in board.ranked]
    known = [index for index, cost in enumerate(costs) if cost > 0]
    lines = []
    for index in known:
        point = (quality[index], costs[index])
        by = [
            other
            for other in known
            if quality[other] >= point[0] and costs[other] <= point[1] and (quality[other], costs[other]) != point
        ]
        # Rows are in the order of their quality.
        best = board.ranked[by[0]].label if by else ""
        surely = bool(comparisons.surely_better[by, index].any()) if comparisons and by else None
        row = board.ranked[index]
        lines.append(ParetoRow(row.label, row.metrics[metric.name].mean, costs[index], best, surely))
    return sorted(lines, key=lambda line: (line.cost, -sign * line.quality))


def _cost(row: Row, against: str) -> float:
    """NaN if it is not known."""
    if against == "parameters":
        return float(row.parameters)
    if against == "seconds":
        return row.train_s.mean
    return float(np.mean([run.record.flops if run.record is not None else math.nan for run in row.runs]))
