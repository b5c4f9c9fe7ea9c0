"""Choosing options by trial runs: what `select:` and `tuning:` do once the plan is made. Imports no torch."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from statistics import fmean

from inrbench_core.api.entries import Metric
from inrbench_core.runs.plan import GridStrategy, Plan, PlannedBoard, PlannedRow, PlannedTrial, Strategy
from inrbench_core.runs.record import RunRecord
from inrbench_core.runs.run import AnyRun

# How a trial has ended; one that was interrupted, or has not run, is waited for.
ENDED = ("ok", "diverged", "failed")


def make_strategy(plan: Plan, known: Mapping[str, RunRecord]) -> Strategy:
    """What carries out a plan.

    Args:
        plan: as it is made.
        known: the record of every run that has one, by id.
    """
    chosen = any(row.trials for board in plan.boards for row in board.rows)
    return TuningStrategy(plan, known) if chosen else GridStrategy(plan)


class TuningStrategy:
    """Hands out the first seed of rows that need no trials, and the trials; then all other runs.

    Rows whose options are chosen so have as much to show, as early, as the others.

    Args:
        plan: as it is made.
        known: the record of every run that has one, by id: what they choose is in the plan from the start, and chosen
            again after what is repeated.
    """

    def __init__(self, plan: Plan, known: Mapping[str, RunRecord]) -> None:
        self._first = plan
        self.plan = grown(plan, known)
        self._given: set[str] = set()

    def next(self, results: Mapping[str, RunRecord]) -> Sequence[AnyRun]:
        """First what does not depend on a choice, of the first seed; then the rest, by seed; none after."""
        runs = list(self._first.runs.values())
        if self._given:
            new = grown(self._first, results)
            if new.boards != self.plan.boards:
                self.plan = new
            runs = [run for run in self.plan.runs.values() if run.id not in self._given]
        elif trials := [number for number, run in enumerate(runs) if run.id in self._first.trials]:
            runs = runs[: trials[-1] + 1]
        self._given |= {run.id for run in runs}
        return runs


def grown(plan: Plan, results: Mapping[str, RunRecord]) -> Plan:
    """The plan with the runs of every row whose trials have all ended.

    Args:
        plan: as it is made.
        results: the record of every run so far, by id.
    """
    boards = tuple(
        replace(board, rows=tuple(_chosen(plan, board, row, results) if row.pending else row for row in board.rows))
        for board in plan.boards
    )
    return plan.with_boards(boards)


def _chosen(plan: Plan, board: PlannedBoard, row: PlannedRow, results: Mapping[str, RunRecord]) -> PlannedRow:
    """The row with the runs of its best trial, if all have ended; of equally good ones the first is taken."""
    records = [[results.get(run.id) for run in trial.runs] for trial in row.trials]
    if any(record is None or record.status not in ENDED for group in records for record in group):
        return row
    metric, scores = _scores(plan, board, row.trials, results)
    best = max(range(len(scores)), key=scores.__getitem__)
    if scores[best] == -math.inf:
        failed = [record for group in records for record in group if record is not None and record.status != "ok"]
        reason = f"{failed[0].status}: {failed[0].message}" if failed else f"they have no {metric.name}"
        return replace(row, skip=f"none of its {len(row.trials)} trials has a figure to choose by ({reason})")
    trial = row.trials[best]
    chosen = {
        "options": dict(trial.options),
        "metric": metric.name,
        "trials": len(row.trials),
        "signals": [signal.label for signal in board.board.trial_signals],
        "seeds": list(plan.experiment.trial_seeds),
        "published": row.published,
        **_without_figure(scores, records),
    }
    return replace(row, runs=trial.final, source=trial.source, chosen=chosen)


def _without_figure(scores: Sequence[float], records: Sequence[Sequence[RunRecord | None]]) -> dict[str, int]:
    """How many trials have no figure to choose by: because a run diverged, or for another reason."""
    lost = [group for score, group in zip(scores, records, strict=True) if score == -math.inf]
    diverged = sum(any(record is not None and record.status == "diverged" for record in group) for group in lost)
    return {"diverged": diverged, "failed": len(lost) - diverged}


def _scores(
    plan: Plan, board: PlannedBoard, trials: Sequence[PlannedTrial], results: Mapping[str, RunRecord]
) -> tuple[Metric, list[float]]:
    """The metric that chooses, and how good each trial is by it: larger is better, minus infinity is the worst.

    Where the spec names none, it is the one that ranks, or the task's first where no trial has that.
    """
    by_name = {metric.name: metric for metric in board.metrics}
    named = plan.experiment.choose_by
    metrics = [by_name[named]] if named else [by_name.get(board.rank_by, board.metrics[0]), board.metrics[0]]
    metrics = [metric for metric in metrics if metric.higher_is_better is not None]
    scores: list[float] = []
    for metric in metrics:
        scores = [_score(trial, metric, results) for trial in trials]
        if max(scores) > -math.inf:
            break
    return metric, scores


def _score(trial: PlannedTrial, metric: Metric, results: Mapping[str, RunRecord]) -> float:
    """The mean over the trial's signals and seeds; a run that went wrong, or lacks the metric, makes it the worst."""
    records = [results[run.id] for run in trial.runs]
    values = [record.metrics.get(metric.name, math.nan) for record in records if record.status == "ok"]
    if len(values) < len(records) or any(math.isnan(value) for value in values):
        return -math.inf
    mean = fmean(values)
    return mean if metric.higher_is_better else -mean
