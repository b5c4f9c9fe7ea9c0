"""What is compared: the figures of all fields, task by task, or signal by signal where there is one task."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from inrbench_core import Metric, Results
from inrbench_core.results.formats import runs_text
from inrbench_core.results.leaderboard import Leaderboard, Row
from inrbench_core.results.remarks import origin_lines
from inrbench_core.results.samples import samples_of

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Block:
    """The figures of one task; or of one signal.

    Args:
        label: of the task, or of the signal.
        metric: whose figures.
        signals: for each signal (fields, seeds) float64, finite; signals may have different numbers of seeds.
    """

    label: str
    metric: Metric
    signals: tuple[Array, ...]

    @property
    def observations(self) -> Array:
        """(fields, signals x seeds), so oriented that higher is better."""
        values = np.concatenate(self.signals, axis=1)
        return -values if self.metric.higher_is_better is False else values

    @property
    def means(self) -> Array:
        """(fields,): the means over signals and seeds that tables show."""
        return np.concatenate(self.signals, axis=1).mean(axis=1)


@dataclass(frozen=True)
class Blocks:
    """The blocks of results.

    Args:
        of: "task" or "signal".
        fields: labels of those that have all figures of all tasks.
        blocks: one for each task, or for each signal of the only task; empty without fields.
        left_out: label of every other field -> why it is left out.
        origins: which figures come from elsewhere, one line each.
    """

    of: str
    fields: tuple[str, ...]
    blocks: tuple[Block, ...]
    left_out: dict[str, str]
    origins: tuple[str, ...]


def blocks_of(results: Results, sort: str = "") -> Blocks:
    """The blocks of results: tasks, or the signals of the only task.

    Args:
        results: baselines are no fields.
        sort: the metric that ranks; "": the one that each task says.

    Raises:
        InrbenchError: if no task has that metric.
    """
    boards = results.leaderboards(sort)
    labels = dict.fromkeys(row.label for board in results.boards for row in board.rows if not row.baseline)
    reasons = {label: _reason(label, boards) for label in labels}
    fields = tuple(label for label, reason in reasons.items() if not reason)
    left_out = {label: reason for label, reason in reasons.items() if reason}
    of = "signal" if len(boards) == 1 else "task"
    origins = tuple(f"{board.task_label}: {line}" for board in boards for line in origin_lines(board))
    if not fields:
        return Blocks(of, fields, (), left_out, origins)
    blocks: list[Block] = []
    for ranked, board in zip(boards, results.boards, strict=True):
        rows = {row.label: row for row in board.rows if not row.baseline}
        samples = samples_of([rows[label] for label in fields], ranked.rank_by)
        # Where one of these fields has no figure, none has: they have a rank, so they have the same runs.
        signals = [values[:, ~np.isnan(values).any(axis=0)] for values in samples.values.swapaxes(0, 1)]
        if of == "task":
            blocks.append(Block(ranked.task_label, ranked.rank_by, tuple(signals)))
        else:
            named = zip(samples.signals, signals, strict=True)
            blocks += [Block(signal, ranked.rank_by, (values,)) for signal, values in named]
    return Blocks(of, fields, tuple(blocks), left_out, origins)


def _reason(label: str, boards: Sequence[Leaderboard]) -> str:
    """Why a field is not complete on all tasks; "" if it is."""
    for board in boards:
        row = next((row for row in board.rows if row.label == label and not row.baseline), None)
        reason = "not in this table" if row is None else _row_reason(row, board.rank_by)
        if reason:
            return f"{board.task_label}: {reason}"
    return ""


def _row_reason(row: Row, metric: Metric) -> str:
    if row.rank is None:
        return row.problems[0] if row.problems else f"{runs_text(row)} runs ok"
    if not all(math.isfinite(run.metrics[metric.name]) for run in row.runs):
        return f"{metric.name} is not finite in every run"
    return ""
