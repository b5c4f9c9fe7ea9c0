"""Probes of an experiment's runs beside the plan that its stored spec makes. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterator

from inrbench_core.results.results import ResultBoard, ResultRow, ResultRun
from inrbench_core.results.verify.report import Finding, Note, Remark, Unchecked, finding
from inrbench_core.results.verify.subject import Subject
from inrbench_core.results.verify.tables import settings_findings
from inrbench_core.runs.identity import group_of, settings_of
from inrbench_core.runs.plan import PlannedBoard, PlannedRow

RUN_AGAIN = "run the experiment again"


def check_plan(subject: Subject) -> Iterator[Remark]:
    """Every run that the stored spec asks for is in the tables, with the settings that it asks for, and no other is."""
    if subject.plan is None:
        yield Unchecked((), subject.no_plan)
        return
    found = {board.label: board for board in subject.results.boards}
    for planned in subject.plan.boards:
        board = found.pop(planned.board.label, None)
        if board is None:
            yield Finding("missing-seed", f"{planned.board.label}: no table of this task", RUN_AGAIN)
        else:
            yield from _check_board(subject, planned, board)
    for board in found.values():
        yield Finding("spec", f"{board.label}: the stored spec has no such task", RUN_AGAIN)


def _check_board(subject: Subject, planned: PlannedBoard, board: ResultBoard) -> Iterator[Remark]:
    found = {(row.label, row.baseline): row for row in board.rows}
    for row in planned.rows:
        ours = found.pop((row.label, row.baseline), None)
        if ours is None:
            yield Finding("missing-seed", f"{board.label} / {row.label}: no such row in the table", RUN_AGAIN)
        else:
            yield from _check_row(subject, row, ours, board.label)
    for ours in found.values():
        yield Finding("spec", f"{board.label} / {ours.label}: the stored spec has no such row", RUN_AGAIN)


def _check_row(subject: Subject, planned: PlannedRow, row: ResultRow, board: str) -> Iterator[Remark]:
    if planned.pending:
        yield Finding("missing-seed", f"{board} / {row.label}: not all of its trials have a result", RUN_AGAIN)
        return
    runs = {(run.signal, run.seed): run for run in row.runs}
    for wanted in planned.runs:
        run = runs.pop((wanted.signal, wanted.seed), None)
        if run is None:
            if not (planned.skip or row.skip):
                what = f"{board} / {row.label}: {wanted.signal}, seed {wanted.seed} is not in the table"
                yield Finding("missing-seed", what, RUN_AGAIN)
        elif run.record is not None and not run.origin:
            data = run.record.run
            if settings_of(group_of(data), data) != wanted.settings:
                found = settings_findings(run, wanted.to_data(), "the stored spec")
                yield from found or [_other_settings(run)]
    for run in runs.values():
        yield finding("spec", [run], "the stored spec does not ask for it", RUN_AGAIN)


def _other_settings(run: ResultRun) -> Finding:
    what = "its signal, its data seed, its files or its analyses are not those of the stored spec"
    return finding("spec", [run], what, "run the experiment again, or correct the spec")


def check_installed_code(subject: Subject) -> Iterator[Remark]:
    """Say where the code that made the runs is not what is installed now: no error, for code may be edited since."""
    if subject.plan is None:
        return
    now = {name: code for run in subject.plan.runs.values() for name, code in run.code.items()}
    edited = sorted(
        {
            name
            for board in subject.results.boards
            for run in subject.board_runs(board)
            if run.record is not None
            for name, code in run.record.run["code"].items()
            if name in now and now[name] != code
        }
    )
    if edited:
        yield Note(f"the code of {', '.join(edited)} is not what it was when these runs were made")
