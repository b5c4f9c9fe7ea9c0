"""Several results as one: what belongs together, and what only has the same name. Imports no torch."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

from inrbench_core.results.results import ResultBoard, ResultRow, ResultRun, Results
from inrbench_core.runs.identity import digest, group_of
from inrbench_core.spec.experiment import plain_identity

Item = TypeVar("Item", ResultBoard, ResultRow)


def merge(parts: Sequence[tuple[str, Results]]) -> Results:
    """Several results as one.

    Tables of the same task, with the same options but for the signal, are put together; so are rows of the same
    settings, and of a run that is in several places the better record counts. What has the same name and is not the
    same is told apart by the name of where it comes from.

    Args:
        parts: (name, results).
    """
    boards: dict[str, ResultBoard] = {}
    for name, results in parts:
        for board in results.boards:
            label = _place(board, name, boards, _tasks)
            boards[label] = _joined(boards.get(label, replace(board, label=label, rows=())), board, name)
    warnings = dict.fromkeys(line for _, results in parts for line in results.warnings)
    return Results(tuple(boards.values()), tuple(warnings))


def _joined(one: ResultBoard, other: ResultBoard, name: str) -> ResultBoard:
    """The board `one` with the rows of the other."""
    rows: dict[bool, dict[str, ResultRow]] = {True: {}, False: {}}
    for row in one.rows:
        rows[row.baseline][row.label] = row
    for row in other.rows:
        known = rows[row.baseline]
        label = _place(row, name, known, _groups)
        runs = {run.id: run for run in known[label].runs} if label in known else {}
        for run in row.runs:
            renamed = replace(run, task=one.label, field=label)
            runs[run.id] = max(runs.get(run.id, renamed), renamed, key=_quality)
        known[label] = replace(row, label=label, runs=tuple(runs.values()))
    metrics = {metric.name: metric for metric in (*one.metrics, *other.metrics)}
    return replace(one, metrics=tuple(metrics.values()), rows=(*rows[True].values(), *rows[False].values()))


def _place(item: Item, name: str, known: Mapping[str, Item], kinds: Callable[[Item], set[str]]) -> str:
    """The first of `label`, `label (name)`, `label (name 2)` and so on under which there is nothing or the same."""
    numbered = (f"{item.label} ({name} {number})" for number in itertools.count(2))
    for label in itertools.chain([item.label, f"{item.label} ({name})"], numbered):
        ours = kinds(known[label]) if label in known else set()
        # Of what has no record nothing is known: then the label decides.
        if not ours or not kinds(item) or ours & kinds(item):
            break
    return label


def _tasks(board: ResultBoard) -> set[str]:
    """Hashes of the task's options without the signal."""
    found = set()
    for row in board.rows:
        for run in row.runs:
            if run.record is not None:
                data = run.record.run
                task = plain_identity(data["task"], data["files"])
                found.add(digest([{key: value for key, value in task.items() if key != data["signal_option"]}]))
    return found


def _groups(row: ResultRow) -> set[str]:
    return {group_of(run.record.run) for run in row.runs if run.record is not None}


def _quality(run: ResultRun) -> int:
    return 2 if run.status == "ok" else int(run.record is not None)
