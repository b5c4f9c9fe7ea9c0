"""Leaderboards: one per task, its fields ranked by the primary metric. Imports no torch."""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from inrbench_core.api.entries import Metric, TaskEntry
from inrbench_core.runs.record import RunRecord
from inrbench_core.runs.store import PlannedRun


@dataclass(frozen=True)
class Summary:
    """A figure over seeds: arithmetic mean and sample standard deviation (0 for one seed)."""

    mean: float
    std: float
    count: int

    @classmethod
    def of(cls, values: Sequence[float]) -> Summary:
        """Summarise values; NaNs are left out, and nothing left gives NaN."""
        known = [value for value in values if not math.isnan(value)]
        if not known:
            return cls(math.nan, math.nan, 0)
        if not all(math.isfinite(value) for value in known):
            return cls(statistics.fmean(known), math.nan, len(known))
        return cls(statistics.fmean(known), statistics.stdev(known) if len(known) > 1 else 0.0, len(known))


@dataclass(frozen=True)
class Row:
    """One field, or one baseline, on one task.

    Args:
        label: its name in tables.
        baseline: whether it is a measure for the others: an answer that needs no network, or a field meant as one.
        metrics: a summary for each metric, over the seeds that went well.
        parameters: trainable parameters.
        train_s: seconds of training.
        statuses: how many runs ended how; "missing" counts those without a result.
        problems: why runs failed, without repetition.
        ids: the ids of its runs, in the order of seeds.
    """

    label: str
    baseline: bool
    metrics: Mapping[str, Summary]
    parameters: int
    train_s: Summary
    statuses: Mapping[str, int]
    problems: tuple[str, ...] = ()
    ids: tuple[str, ...] = ()

    @property
    def complete(self) -> bool:
        """Whether every seed went well."""
        return set(self.statuses) <= {"ok"}


@dataclass(frozen=True)
class Leaderboard:
    """All rows of one task, best first; fields in which no run went well come last.

    Args:
        task_label: the task's name in tables.
        metrics: the task's metrics, the primary one first.
        rows: ranked rows, baselines among them.
    """

    task_label: str
    metrics: tuple[Metric, ...]
    rows: tuple[Row, ...]

    def shown_metrics(self) -> list[Metric]:
        """The metrics that at least one row has a figure for."""
        return [
            m for m in self.metrics if any(m.name in row.metrics and row.metrics[m.name].count for row in self.rows)
        ]


def make_leaderboards(
    planned: Sequence[PlannedRun], records: Mapping[str, RunRecord], entries: Mapping[str, TaskEntry]
) -> list[Leaderboard]:
    """Group runs by task and label and rank them.

    Args:
        planned: the experiment's runs, in order.
        records: records by run id; a planned run without one counts as missing.
        entries: the task entry of each task label.
    """
    boards = []
    for task_label in dict.fromkeys(run.task_label for run in planned):
        entry = entries[task_label]
        groups: dict[tuple[bool, str], list[str]] = {}
        for run in planned:
            if run.task_label == task_label:
                groups.setdefault((run.baseline, run.label), []).append(run.id)
        rows = [
            _make_row(label, baseline, {run_id: records.get(run_id) for run_id in ids}, entry)
            for (baseline, label), ids in groups.items()
        ]
        rows.sort(key=lambda row: _rank_key(row, entry.primary))
        boards.append(Leaderboard(task_label, entry.metrics, tuple(rows)))
    return boards


def _make_row(label: str, baseline: bool, records: Mapping[str, RunRecord | None], entry: TaskEntry) -> Row:
    known = [record for record in records.values() if record is not None]
    good = [record for record in known if record.status == "ok"]
    problems = dict.fromkeys(f"{record.status}: {_reason(record)}" for record in known if record.status != "ok")
    return Row(
        label=label,
        baseline=baseline,
        metrics={
            metric.name: Summary.of([record.metrics.get(metric.name, math.nan) for record in good])
            for metric in entry.metrics
        },
        parameters=max((record.parameters for record in known), default=0),
        train_s=Summary.of([record.times.get("train", math.nan) for record in good]),
        statuses=Counter(record.status if record is not None else "missing" for record in records.values()),
        problems=tuple(problems),
        ids=tuple(records),
    )


def _reason(record: RunRecord) -> str:
    at = f" (step {record.step})" if record.status == "diverged" and "step" not in record.message else ""
    return f"{record.message}{at}"


def _rank_key(row: Row, primary: Metric) -> tuple[bool, float]:
    mean = row.metrics[primary.name].mean
    if math.isnan(mean):
        return True, 0.0
    return False, -mean if primary.higher_is_better else mean
