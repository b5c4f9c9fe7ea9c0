"""Several results as one: what belongs together, and what only has the same name. Imports no torch."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from inrbench_core.results.results import ResultBoard, ResultRow, ResultRun, Results
from inrbench_core.runs.identity import digest, group_of
from inrbench_core.spec.experiment import plain_identity


def merge(parts: Sequence[tuple[str, Results]]) -> Results:
    """Several results as one.

    Tables of the same task, with the same options but for the signal, are put together; so are rows of the same
    settings, the same code and the same kind of device, and of a run that is in several places the better record
    counts. What has the same name and is not the same is told apart: by where it comes from, or by "other code" or
    the kind of device where only these differ. Signals are the same if their content is.

    Args:
        parts: (name, results).
    """
    boards: dict[str, ResultBoard] = {}
    for name, results in parts:
        for board in results.boards:
            label = _board_label(board, name, boards)
            boards[label] = _joined(boards.get(label, replace(board, label=label, rows=())), board, name)
    warnings = dict.fromkeys(line for _, results in parts for line in results.warnings)
    return Results(tuple(boards.values()), tuple(warnings))


def _joined(one: ResultBoard, other: ResultBoard, name: str) -> ResultBoard:
    """The board `one` with the rows of the other."""
    signals = _signal_labels(one, other)
    rows: dict[bool, dict[str, ResultRow]] = {True: {}, False: {}}
    for row in one.rows:
        rows[row.baseline][row.label] = row
    for row in other.rows:
        known = rows[row.baseline]
        row = replace(row, runs=tuple(replace(run, signal=signals[run.signal]) for run in row.runs))
        label = _row_label(row, name, known)
        runs = {run.id: run for run in known[label].runs} if label in known else {}
        for run in row.runs:
            renamed = replace(run, task=one.label, field=label)
            runs[run.id] = max(runs.get(run.id, renamed), renamed, key=_quality)
        known[label] = replace(row, label=label, runs=tuple(runs.values()))
    metrics = {metric.name: metric for metric in (*one.metrics, *other.metrics)}
    return replace(one, metrics=tuple(metrics.values()), rows=(*rows[True].values(), *rows[False].values()))


def _board_label(board: ResultBoard, name: str, known: Mapping[str, ResultBoard]) -> str:
    """The first of `label`, `label (name)`, `label (name 2)` and so on under which there is nothing or the same."""
    kinds = _tasks(board)
    for label in itertools.chain([board.label], _labelled(board.label, name)):
        ours = _tasks(known[label]) if label in known else set()
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
        """The row's kind, or None if no run has a record."""
        data = next((run.record.run for run in row.runs if run.record is not None), None)
        if data is None:
            return None
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
        for run in row.runs:
            if run.record is not None:
                found[run.signal] = _content(run.record.run)
            found.setdefault(run.signal, "")
    return found


def _content(data: Mapping[str, Any]) -> str:
    signal = data["task"].get(data["signal_option"])
    return digest([plain_identity(signal, data["files"]), sorted(data["files"].values())])


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


def _quality(run: ResultRun) -> int:
    return 2 if run.status == "ok" else int(run.record is not None)
