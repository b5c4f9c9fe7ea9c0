"""The plan: every run of an experiment, its rows, and the strategy that hands runs out. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from inrbench_core.api.entries import Metric
from inrbench_core.plugins.catalog import Catalog
from inrbench_core.plugins.fingerprints import Fingerprints
from inrbench_core.runs.record import RunRecord
from inrbench_core.runs.run import AnyRun, FitRun, RunFactory
from inrbench_core.spec.experiment import Experiment, FieldRow, Signal, TaskBoard


@dataclass(frozen=True)
class PlannedRow:
    """A row of a table.

    Args:
        label: what the table calls it.
        baseline: whether it is a measure for the others.
        runs: its runs, over signals and seeds.
        skip: why there are none, or "".
        source: the field's row in the spec; None for a task's own baseline.
    """

    label: str
    baseline: bool
    runs: tuple[AnyRun, ...]
    skip: str = ""
    source: FieldRow | None = None


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
    """Every run of an experiment.

    Args:
        experiment: what was asked for.
        boards: the tables.
        runs: by id, each once however many rows it is in: by task, then seed, then signal, then row, so that a
            stopped experiment has something of every field, and prepared data is used several times in a row.
        device: where runs are carried out: cpu, cuda or cuda:N.
    """

    experiment: Experiment
    boards: tuple[PlannedBoard, ...]
    runs: Mapping[str, AnyRun]
    device: str


def make_plan(experiment: Experiment, catalog: Catalog, device: str) -> Plan:
    """The plan of an experiment.

    Args:
        experiment: what was asked for.
        catalog: for the fingerprints of code.
        device: cpu, cuda or cuda:N; what the experiment's `device` stands for on this machine.
    """
    fingerprints = Fingerprints(catalog)
    runs: dict[str, AnyRun] = {}
    boards = []
    for board in experiment.boards:
        entry = board.entry
        rows: dict[int, list[AnyRun]] = {}
        names: list[str | FieldRow] = [*entry.baselines, *board.rows]
        for index, run in _board_runs(experiment, board, names, fingerprints, device):
            rows.setdefault(index, []).append(run)
            runs.setdefault(run.id, run)
        analyses = next((run.analysis_metrics for run in runs.values() if isinstance(run, FitRun)), ())
        planned = [_planned(name, tuple(rows.get(index, ()))) for index, name in enumerate(names)]
        boards.append(PlannedBoard(board, tuple(planned), (*entry.metrics, *analyses), entry.rank_by))
    return Plan(experiment, tuple(boards), runs, device)


def _board_runs(
    experiment: Experiment, board: TaskBoard, names: Sequence[str | FieldRow], fingerprints: Fingerprints, device: str
) -> Iterator[tuple[int, AnyRun]]:
    """(row, run) of a table, in the order in which runs are carried out."""
    factories: dict[tuple[str, int], RunFactory] = {}
    for seed in experiment.seeds:
        for signal in board.signals:
            for index, name in enumerate(names):
                if isinstance(name, FieldRow) and name.skip:
                    continue
                key = (signal.label, index)
                if key not in factories:
                    factories[key] = _factory(experiment, signal, name, fingerprints, device)
                label = name if isinstance(name, str) else name.label
                run = factories[key].run(seed, label=label, task_label=board.label, signal=signal.label)
                yield index, run


def _factory(
    experiment: Experiment, signal: Signal, name: str | FieldRow, fingerprints: Fingerprints, device: str
) -> RunFactory:
    what = name if isinstance(name, str) else (name.field, name.training, experiment.analyses)
    return RunFactory(signal.task, signal.files, device, fingerprints.of, what)


def _planned(name: str | FieldRow, runs: tuple[AnyRun, ...]) -> PlannedRow:
    if isinstance(name, str):
        return PlannedRow(name, True, runs)
    return PlannedRow(name.label, name.is_baseline, runs, name.skip, name)


class Strategy(Protocol):
    """Says what to do next; asked again when all of that has ended."""

    def next(self, results: Mapping[str, RunRecord]) -> Sequence[AnyRun]:
        """The runs that are to be carried out now; none: the experiment is complete.

        Args:
            results: the record of every run so far, by id, without arrays.
        """


class GridStrategy:
    """Hands out every run of a plan at once."""

    def __init__(self, plan: Plan) -> None:
        self._runs = list(plan.runs.values())

    def next(self, results: Mapping[str, RunRecord]) -> Sequence[AnyRun]:
        """All runs the first time, none after."""
        runs, self._runs = self._runs, []
        return runs
