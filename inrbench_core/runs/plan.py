"""The plan: every run of an experiment, its rows, and the strategy that hands runs out. Imports no torch."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from functools import cached_property
from typing import Any, Protocol

from inrbench_core.api.entries import Metric
from inrbench_core.api.errors import InrbenchError
from inrbench_core.plugins.catalog import Catalog
from inrbench_core.plugins.fingerprints import Fingerprints
from inrbench_core.runs.record import RunRecord, done_runs
from inrbench_core.runs.run import AnyRun, FitRun, RunFactory
from inrbench_core.spec.experiment import Choice, Experiment, FieldRow, Signal, TaskBoard
from inrbench_core.spec.lists import OWN_DATA, DataSeed


@dataclass(frozen=True)
class PlannedTrial:
    """One of the settings that a row is chosen from.

    Args:
        options: dotted key -> value, of the options that are chosen.
        runs: those that choose, over the seeds and signals of trials.
        final: the runs of the row if this setting is chosen.
        source: the field with these options.
    """

    options: Mapping[str, Any]
    runs: tuple[AnyRun, ...]
    final: tuple[AnyRun, ...]
    source: FieldRow


@dataclass(frozen=True)
class PlannedRow:
    """A row of a table.

    Args:
        label: what the table calls it.
        baseline: whether it is a measure for the others.
        runs: its runs, over seeds and, for each seed, over signals; none while its options are not chosen, and of a
            task's own baseline only one a signal where all seeds have the same data.
        skip: why there are none, or "". A task's own baseline that needs an extra has runs in any case, which are not
            carried out here and may have been elsewhere.
        source: the field's row in the spec; None for a task's own baseline, and while its options are not chosen.
        trials: the settings that it is chosen from.
        published: the label of the row of the same field with the options that the spec says, or "".
        chosen: what was chosen, as plain data with the keys of `results.Chosen`; None: nothing (yet).
    """

    label: str
    baseline: bool
    runs: tuple[AnyRun, ...]
    skip: str = ""
    source: FieldRow | None = None
    trials: tuple[PlannedTrial, ...] = ()
    published: str = ""
    chosen: Mapping[str, Any] | None = None

    @property
    def pending(self) -> bool:
        """Whether its options are still to be chosen."""
        return bool(self.trials) and self.chosen is None and not self.skip


@dataclass(frozen=True)
class PlannedBoard:
    """A table.

    Args:
        board: the task with its signals.
        rows: baselines of the task first, then fields.
        metrics: those of the task, then those of the analyses.
        rank_by: the metric that ranks where it is defined.
    """

    board: TaskBoard
    rows: tuple[PlannedRow, ...]
    metrics: tuple[Metric, ...]
    rank_by: str


@dataclass(frozen=True)
class Plan:
    """Every run of an experiment, as far as it is known: what `select:` or `tuning:` chooses adds runs later.

    Args:
        experiment: what was asked for.
        boards: the tables.
        runs: those that are to be carried out, by id, each once however many rows it is in. First the runs of rows
            with the first seed: by the signal's place in its task, then task, then row, so that a stopped experiment
            has something of every field on every task, and prepared data is used several times in a row. Then
            trials, the first of every row before the second. Then the runs of rows with the other seeds.
        device: where runs are carried out: cpu, cuda or cuda:N.
        count: how many runs the whole experiment has, whatever `only` says; as if every row that is still to be
            chosen had runs of its own.
        only: patterns, see `make_plan`; none: all runs.
    """

    experiment: Experiment
    boards: tuple[PlannedBoard, ...]
    runs: Mapping[str, AnyRun]
    device: str
    count: int
    only: tuple[str, ...] = ()

    @cached_property
    def trials(self) -> frozenset[str]:
        """The ids of all runs that only serve to choose options."""
        rows = (row for board in self.boards for row in board.rows)
        return frozenset(run.id for row in rows for trial in row.trials for run in trial.runs)

    def done(self, records: Mapping[str, RunRecord]) -> set[str]:
        """The ids of the runs that are not to be repeated: those with a good result, and trials that diverged.

        Args:
            records: by id.
        """
        diverged = {run_id for run_id in self.trials & records.keys() if records[run_id].status == "diverged"}
        return done_runs(records) | diverged

    def with_boards(self, boards: tuple[PlannedBoard, ...]) -> Plan:
        """The plan with other boards of the same experiment, and their runs."""
        runs: dict[str, AnyRun] = {}
        for selected, run in _in_order(self.experiment, boards, self.only):
            if selected:
                runs.setdefault(run.id, run)
        return replace(self, boards=boards, runs=runs)


def make_plan(experiment: Experiment, catalog: Catalog, device: str, only: Sequence[str] = ()) -> Plan:
    """The plan of an experiment.

    Args:
        experiment: what was asked for.
        catalog: for the fingerprints of code.
        device: cpu, cuda or cuda:N; what the experiment's `device` stands for on this machine.
        only: patterns as in `fnmatch`, case-sensitive; a run is carried out if one of them is or matches the label
            of its row, its task or its signal. The label of a row whose options are chosen is also that of the row
            with the published ones; its trials are carried out if one of its own runs is.

    Raises:
        InrbenchError: if a pattern matches no label.
    """
    planner = _Planner(experiment, Fingerprints(catalog), device)
    boards = tuple(planner.board(board) for board in experiment.boards)
    _check_only(only, boards)
    count = len({run.id for selected, run in _in_order(experiment, boards, ()) if selected})
    count += sum(len(row.trials[0].final) for board in boards for row in board.rows if row.pending)
    return Plan(experiment, boards, {}, device, count, tuple(only)).with_boards(boards)


class _Planner:
    """Makes the runs of an experiment's tables."""

    def __init__(self, experiment: Experiment, fingerprints: Fingerprints, device: str) -> None:
        self.experiment = experiment
        self.fingerprints = fingerprints
        self.device = device

    def board(self, board: TaskBoard) -> PlannedBoard:
        rows = [self._baseline(board, name) for name in board.entry.baselines]
        choices = {choice.published: choice for choice in board.choices if choice.published}
        for row in board.rows:
            runs = () if row.skip else self._final(board, row, row.label)
            rows.append(PlannedRow(row.label, row.is_baseline, runs, row.skip, row))
            if row.label in choices:
                rows.append(self._choice(board, choices[row.label]))
        rows += [self._choice(board, choice) for choice in board.choices if not choice.published]
        made = itertools.chain.from_iterable((*row.runs, *(trial.runs[0] for trial in row.trials)) for row in rows)
        analyses = next((run.analysis_metrics for run in made if isinstance(run, FitRun)), ())
        return PlannedBoard(board, tuple(rows), (*board.entry.metrics, *analyses), board.entry.rank_by)

    def _baseline(self, board: TaskBoard, name: str) -> PlannedRow:
        return PlannedRow(name, True, self._final(board, name, name), board.entry.lacking(name))

    def _choice(self, board: TaskBoard, choice: Choice) -> PlannedRow:
        seeds = self.experiment.trial_seeds
        trials = tuple(
            PlannedTrial(
                trial.options,
                self._runs(board, board.trial_signals, seeds, OWN_DATA, trial.row, f"{choice.label}, trial {number}"),
                self._final(board, trial.row, choice.label),
                trial.row,
            )
            for number, trial in enumerate(choice.trials)
        )
        baseline = any(trial.row.is_baseline for trial in choice.trials)
        return PlannedRow(choice.label, baseline, (), choice.skip, trials=trials, published=choice.published)

    def _final(self, board: TaskBoard, what: str | FieldRow, label: str) -> tuple[AnyRun, ...]:
        seeds, data_seed = self.experiment.seeds, self.experiment.data_seed
        if isinstance(what, str) and data_seed != OWN_DATA:
            # Nothing in it depends on any other seed.
            seeds = (data_seed,)
        return self._runs(board, board.signals, seeds, data_seed, what, label)

    def _runs(
        self,
        board: TaskBoard,
        signals: Sequence[Signal],
        seeds: Sequence[int],
        data_seed: DataSeed,
        what: str | FieldRow,
        label: str,
    ) -> tuple[AnyRun, ...]:
        made = what if isinstance(what, str) else (what.field, what.training, self.experiment.analyses)
        factories = [
            (signal.label, RunFactory(signal.task, signal.files, self.device, self.fingerprints.of, made, data_seed))
            for signal in signals
        ]
        return tuple(
            factory.run(seed, label=label, task_label=board.label, signal=signal)
            for seed in seeds
            for signal, factory in factories
        )


def _in_order(
    experiment: Experiment, boards: Sequence[PlannedBoard], only: Sequence[str]
) -> Iterator[tuple[bool, AnyRun]]:
    """Every run, and whether one of the patterns selects it, in the order in which runs are carried out."""
    yield from _of_seed(0, boards, only)
    yield from _trials(boards, only)
    for seed in range(1, len(experiment.seeds)):
        yield from _of_seed(seed, boards, only)


def _of_seed(seed: int, boards: Sequence[PlannedBoard], only: Sequence[str]) -> Iterator[tuple[bool, AnyRun]]:
    """The runs of rows with a seed, given by its place in the list of seeds."""
    for signal in range(max((len(board.board.signals) for board in boards), default=0)):
        for board in boards:
            count = len(board.board.signals)
            for row in board.rows if signal < count else ():
                for run in row.runs[seed * count + signal : seed * count + signal + 1]:
                    yield not row.skip and _selects(only, [run.signal, *_labels(board, row)]), run


def _trials(boards: Sequence[PlannedBoard], only: Sequence[str]) -> Iterator[tuple[bool, AnyRun]]:
    chosen = [
        (row.trials, _selects(only, [*(signal.label for signal in board.board.signals), *_labels(board, row)]))
        for board in boards
        for row in board.rows
        if row.trials
    ]
    for number in range(max((len(trials) for trials, _ in chosen), default=0)):
        for trials, selected in chosen:
            for run in trials[number].runs if number < len(trials) else ():
                yield selected, run


def _labels(board: PlannedBoard, row: PlannedRow) -> list[str]:
    return [board.board.label, row.label, *([row.published] if row.published else [])]


def _selects(only: Sequence[str], labels: Sequence[str]) -> bool:
    # A label may have brackets in it, which mean something else in a pattern.
    return not only or any(label == pattern or fnmatchcase(label, pattern) for pattern in only for label in labels)


def _check_only(only: Sequence[str], boards: Sequence[PlannedBoard]) -> None:
    """Raise InrbenchError, with all labels, for a pattern that matches none."""
    labels = {
        "fields": dict.fromkeys(row.label for board in boards for row in board.rows),
        "tasks": dict.fromkeys(board.board.label for board in boards),
        "signals": dict.fromkeys(signal.label for board in boards for signal in board.board.signals),
    }
    for pattern in only:
        if not any(_selects([pattern], list(group)) for group in labels.values()):
            known = "; ".join(f"{word}: {', '.join(group)}" for word, group in labels.items())
            raise InrbenchError(f"only {pattern!r}: no field, task or signal has such a label; there are {known}")


class Strategy(Protocol):
    """Says what to do next; asked again when all of that has ended.

    Args:
        plan: the experiment as it is planned so far; another one after `next` where that has added runs.
    """

    plan: Plan

    def next(self, results: Mapping[str, RunRecord]) -> Sequence[AnyRun]:
        """The runs that are to be carried out now; none: the experiment is complete.

        Args:
            results: the record of every run so far, by id, without arrays.
        """


class GridStrategy:
    """Hands out every run of a plan at once."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self._runs = list(plan.runs.values())

    def next(self, results: Mapping[str, RunRecord]) -> Sequence[AnyRun]:
        """All runs the first time, none after."""
        runs, self._runs = self._runs, []
        return runs
