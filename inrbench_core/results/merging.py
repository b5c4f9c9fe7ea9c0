"""Several results as one: what belongs together, and what only has the same name. Imports no torch."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from inrbench_core.results.results import ResultBoard, ResultRow, ResultRun, Results
from inrbench_core.runs.identity import digest, group_of
from inrbench_core.spec.experiment import plain_identity

# Relative: figures of one run that differ more are told.
TOLERANCE = 1e-9
# Runs that are named in a warning of their own.
MOST_CONFLICTS = 5


def merge(parts: Sequence[tuple[str, Results]]) -> Results:
    """Several results as one.

    Tables of the same task, with the same options but for the signal, are put together; so are rows of the same
    settings, the same code and the same kind of device, and of a run that is in several places the better record
    counts; of records that are as good the one made in a folder counts more than what an exported table says, and
    the first of several. A run of which two places have different figures becomes a warning. What has the same name
    and is not the same is told apart: by where it comes from, or by "other code" or the kind of device where only
    these differ. Signals are the same if their content is.

    Args:
        parts: (name, results).
    """
    boards: dict[str, ResultBoard] = {}
    for name, results in parts:
        for board in results.boards:
            label = _board_label(board, name, boards)
            boards[label] = _joined(boards.get(label, replace(board, label=label, rows=())), board, name)
    warnings = dict.fromkeys(line for _, results in parts for line in results.warnings)
    # Sorting keeps the order of the parts.
    runs = sorted((run for _, results in parts for run in every_run(results)), key=_quality, reverse=True)
    return Results(tuple(boards.values()), (*warnings, *conflicts(runs)))


def every_run(results: Results) -> Iterator[ResultRun]:
    """Final runs and trials."""
    return (run for board in results.boards for row in board.rows for run in (*row.runs, *row.trials))


def _joined(one: ResultBoard, other: ResultBoard, name: str) -> ResultBoard:
    """The board `one` with the rows of the other."""
    signals = _signal_labels(one, other)
    rows: dict[bool, dict[str, ResultRow]] = {True: {}, False: {}}
    for row in one.rows:
        rows[row.baseline][row.label] = row
    for row in other.rows:
        known = rows[row.baseline]
        row = _renamed(row, one.label, row.label, signals)
        label = _row_label(row, name, known)
        row = _renamed(row, one.label, label)
        known[label] = _united(known[label], row) if label in known else row
    metrics = {metric.name: metric for metric in (*one.metrics, *other.metrics)}
    return replace(one, metrics=tuple(metrics.values()), rows=(*rows[True].values(), *rows[False].values()))


def _renamed(row: ResultRow, task: str, label: str, signals: Mapping[str, str] | None = None) -> ResultRow:
    """The row as the joined table calls it, its task and its signals."""

    def renamed(runs: Sequence[ResultRun]) -> tuple[ResultRun, ...]:
        names = signals if signals is not None else {run.signal: run.signal for run in runs}
        return tuple(replace(run, task=task, field=label, signal=names[run.signal]) for run in runs)

    return replace(row, label=label, runs=renamed(row.runs), trials=renamed(row.trials))


def _united(one: ResultRow, other: ResultRow) -> ResultRow:
    """Two parts of a row."""
    # Not by the id: what a table says of a run may have been made with other code than the rest of the row.
    runs = {(run.signal, run.seed): run for run in one.runs}
    trials = {run.id: run for run in one.trials}
    for run in other.runs:
        key = run.signal, run.seed
        runs[key] = max(runs.get(key, run), run, key=_quality)
    for run in other.trials:
        trials[run.id] = max(trials.get(run.id, run), run, key=_quality)
    return replace(
        one,
        runs=tuple(runs.values()),
        trials=tuple(trials.values()),
        chosen=one.chosen or other.chosen,
        skip=one.skip if not runs else "",
    )


def _board_label(board: ResultBoard, name: str, known: Mapping[str, ResultBoard]) -> str:
    """The first of `label`, `label (name)`, `label (name 2)` and so on under which there is nothing or the same."""
    kinds = task_hashes(board)
    for label in itertools.chain([board.label], _labelled(board.label, name)):
        ours = task_hashes(known[label]) if label in known else set()
        # Of what has no record nothing is known: then the label decides.
        if not ours or not kinds or ours & kinds:
            break
    return label


def _row_label(row: ResultRow, name: str, known: Mapping[str, ResultRow]) -> str:
    """Like `_board_label`; for a row of the same settings the remark says what else differs."""
    kind = _Kind.of(row)
    for label in itertools.chain([row.label], _labelled(row.label, name)):
        if label not in known or _same(row, known[label]):
            return label
        ours = _Kind.of(known[label])
        if kind is not None and ours is not None and kind.group == ours.group:
            remarks = _labelled(label, kind.difference(ours))
            return next(text for text in remarks if text not in known or _same(row, known[text]))
    raise AssertionError("there are infinitely many labels")


def _labelled(label: str, remark: str) -> Iterator[str]:
    """`label (remark)`, `label (remark 2)` and so on."""
    yield f"{label} ({remark})"
    yield from (f"{label} ({remark} {number})" for number in itertools.count(2))


@dataclass(frozen=True)
class _Kind:
    """What the runs of a row have in common: the settings without signal and seed, the code, the kind of device."""

    group: str
    code: str
    device: str

    @classmethod
    def of(cls, row: ResultRow) -> _Kind | None:
        """The row's kind, or None if no run has a record; what a table says counts only where nothing else does."""
        best = max(row.runs, key=lambda run: (run.record is not None, not run.origin), default=None)
        if best is None or best.record is None:
            return None
        data = best.record.run
        return cls(group_of(data), digest([data["code"], data["targets"]]), data["device"].partition(":")[0])

    def difference(self, other: _Kind) -> str:
        """In what it differs from a kind of the same settings, in a few words."""
        remarks = [self.device] if self.device != other.device else []
        return ", ".join([*remarks, *(["other code"] if self.code != other.code else [])])


def _same(row: ResultRow, known: ResultRow) -> bool:
    """Whether the runs of both are observations of one row."""
    kinds = _Kind.of(row), _Kind.of(known)
    if None not in kinds:
        return kinds[0] == kinds[1]
    # Nothing but ids is known of a row without a record.
    ids = {(run.signal, run.seed): run.id for run in known.runs}
    return all(ids.get((run.signal, run.seed), run.id) == run.id for run in row.runs)


def _signal_labels(one: ResultBoard, other: ResultBoard) -> dict[str, str]:
    """What the joined table calls each signal of the other: as `one` does, and equal labels are numbered."""
    contents = _signals(one)
    labels = {content: label for label, content in contents.items() if content}
    result = {}
    for label, content in _signals(other).items():
        numbered = (f"{label} ({number})" for number in itertools.count(2))
        free = (
            text
            for text in itertools.chain([label], numbered)
            # Of a signal without a record nothing is known: then the label decides.
            if not content or not contents.get(text) or contents[text] == content
        )
        result[label] = labels.get(content) or next(free)
        contents[result[label]] = content or contents.get(result[label], "")
    return result


def _signals(board: ResultBoard) -> dict[str, str]:
    """A hash of the content of each of the table's signals; "" where no run has a record."""
    found: dict[str, str] = {}
    for row in board.rows:
        for run in (*row.runs, *row.trials):
            if run.record is not None:
                found[run.signal] = signal_hash(run.record.run)
            found.setdefault(run.signal, "")
    return found


def signal_hash(data: Mapping[str, Any]) -> str:
    """A hash of the content of the signal of a run, of which `data` is the plain data."""
    signal = data["task"].get(data["signal_option"])
    return digest([plain_identity(signal, data["files"]), sorted(data["files"].values())])


def task_hashes(board: ResultBoard) -> set[str]:
    """Hashes of the task's options without the signal, and of the data seed."""
    return {task_hash(run.record.run) for row in board.rows for run in row.runs if run.record is not None}


def task_hash(data: Mapping[str, Any]) -> str:
    """A hash of the options of the task of a run without its signal, and of its data seed: what a table has in common.

    Args:
        data: the run's plain data.
    """
    task = plain_identity(data["task"], data["files"])
    return digest([{key: value for key, value in task.items() if key != data["signal_option"]}, data["data_seed"]])


def _quality(run: ResultRun) -> tuple[bool, bool, bool]:
    """Of records that are as good, one that was made here counts more than what a table says."""
    return run.status == "ok", run.record is not None, not run.origin


def conflicts(runs: Iterable[ResultRun]) -> list[str]:
    """A line for each run of which two places have different figures, the first few only.

    Args:
        runs: of several places, those that count first.
    """
    first: dict[str, ResultRun] = {}
    lines = []
    for run in runs:
        if run.status != "ok":
            continue
        one = first.setdefault(run.id, run)
        differing = (name for name, value in run.metrics.items() if not _agrees(one.metrics.get(name, value), value))
        name = next(differing, "")
        if name:
            lines.append(
                f"run {run.id} ({run.task} / {run.signal} / {run.field} / seed {run.seed}): {name} is "
                f"{one.metrics[name]!r} in {_place(one)} and {run.metrics[name]!r} in {_place(run)}; the first counts"
            )
    hidden = len(lines) - MOST_CONFLICTS
    rest = [f"runs with other figures in another place that are not named: {hidden}"] if hidden > 0 else []
    return lines[:MOST_CONFLICTS] + rest


def _agrees(one: float, other: float) -> bool:
    return math.isclose(one, other, rel_tol=TOLERANCE) or (math.isnan(one) and math.isnan(other))


def _place(run: ResultRun) -> str:
    return run.origin or str(run.folder)
