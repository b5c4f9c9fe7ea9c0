"""Looking at a plan before anything is trained: data that is not readable, budgets that cannot be met, costs."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Hashable, Mapping
from dataclasses import dataclass

import torch

from inrbench_core.api.errors import BudgetError, DataError, UnsupportedError
from inrbench_core.api.problem import Problem, SeedStreams
from inrbench_core.fit import build_model
from inrbench_core.fit.calibrate import step_seconds
from inrbench_core.fit.device import choose_device
from inrbench_core.fit.precision import check_precision
from inrbench_core.plugins.failures import one_line
from inrbench_core.runs.check_process import Answer, Cost, Step
from inrbench_core.runs.execute import prepare
from inrbench_core.runs.plan import Plan, PlannedBoard
from inrbench_core.runs.run import AnyRun, FitRun
from inrbench_core.spec.experiment import Signal
from inrbench_core.spec.variants import canonical

# The first run of each row that is to be done on a signal, by the row's number.
RowRuns = Mapping[int, AnyRun]


def check_plan(
    plan: Plan,
    todo: Collection[str],
    *,
    everything: bool = False,
    on_step: Callable[[Step], None] = lambda step: None,
) -> Answer:
    """Prepare each signal once, build each field once, and tell all that is wrong at once.

    Args:
        plan: what to look at.
        todo: ids of the runs that are to be done; rows without any are left out.
        everything: look at all fields and measure some steps of each, not only at those with a budget.
        on_step: is told each step before it is done.

    Raises:
        UnsupportedError: if there is no such device.
    """
    return _Check(plan, everything, on_step).check(todo)


def runs_to_check(board: PlannedBoard, todo: Collection[str], *, everything: bool) -> Mapping[str, RowRuns]:
    """The runs of a table that are to be looked at, by the signal's label."""
    signals = _signals(board)
    with_files = {signal.label for signal in signals if signal.files}
    found: dict[str, dict[int, AnyRun]] = {signal.label: {} for signal in signals}
    for index, row in enumerate(board.rows):
        seen = set()
        for run in (*row.runs, *(run for trial in row.trials for run in trial.runs)):
            if run.signal in seen or run.id not in todo:
                continue
            seen.add(run.signal)
            runs = found[run.signal]
            if everything or run.has_budget or (run.signal in with_files and not runs):
                runs[index] = run
    return found


def _signals(board: PlannedBoard) -> list[Signal]:
    """Those of the table, and those of trial runs that it does not have; labels tell them apart."""
    by_label = {signal.label: signal for signal in (*board.board.signals, *board.board.trial_signals)}
    return list(by_label.values())


@dataclass(frozen=True)
class _Times:
    """What was measured of a model: seconds of a step, of the last evaluation and of one along the curve."""

    step: float
    last: float
    along: float


class _Check:
    """A check and what it has found so far."""

    def __init__(self, plan: Plan, everything: bool, on_step: Callable[[Step], None]) -> None:
        self.plan = plan
        self.everything = everything
        self.on_step = on_step
        self.device = choose_device(plan.device)
        self.answer = Answer({}, [], [])
        self.done = 0
        self.total = 0
        self._times: dict[Hashable, _Times] = {}

    def check(self, todo: Collection[str]) -> Answer:
        chosen = [(board, runs_to_check(board, todo, everything=self.everything)) for board in self.plan.boards]
        self.total = sum(
            isinstance(run, FitRun) for _, found in chosen for runs in found.values() for run in runs.values()
        )
        for board, found in chosen:
            for signal in _signals(board):
                if found[signal.label]:
                    self._check_signal(board, signal, found[signal.label])
        return self.answer

    def _check_signal(self, board: PlannedBoard, signal: Signal, runs: RowRuns) -> None:
        title = " / ".join(dict.fromkeys((board.board.label, signal.label)))
        self.on_step(Step(self.done, self.total, title))
        fits = {index: run for index, run in runs.items() if isinstance(run, FitRun)}
        try:
            problem = prepare(next(iter(runs.values())), self.device)
        except DataError as error:
            self.answer.problems.append(self.plan.experiment.document.problem(signal.origin, str(error)))
        except SystemExit as error:
            self.answer.unchecked.append(f"{title}: it raised {one_line(error)}")
        except Exception:
            # A fault of the task's plugin: each run records it, and the others go on.
            pass
        else:
            for index, run in fits.items():
                self.on_step(Step(self.done, self.total, f"{title} / {run.label}"))
                self._check_field(board, index, run, problem)
                self.done += 1
            return
        self.done += len(fits)

    def _check_field(self, board: PlannedBoard, index: int, run: FitRun, problem: Problem) -> None:
        row = board.rows[index]
        source = row.source or row.trials[0].source
        try:
            self.answer.costs[board.board.label, row.label, run.signal] = self._cost(run, problem)
        except (BudgetError, UnsupportedError) as error:
            self.answer.problems.append(self.plan.experiment.document.problem(source.origin, str(error)))
        except SystemExit as error:
            self.answer.unchecked.append(f"{board.board.label} / {row.label}: it raised {one_line(error)}")
        except Exception:
            # A fault of the field's plugin: its runs record it.
            return

    def _cost(self, run: FitRun, problem: Problem) -> Cost:
        built = build_model(run.field, problem.shapes, seeds=SeedStreams(run.seed), device=self.device)
        check_precision(run.training, problem, built.model)
        if not self.everything:
            return Cost(built.parameters, built.width)
        training = run.training
        key = _structure(run, problem, built.model, built.parameters)
        if key not in self._times:
            self._times[key] = _measured(run, problem, built.model)
        times = self._times[key]
        along = training.steps // training.evaluate_every if training.evaluate_every else 0
        return Cost(built.parameters, built.width, times.step * training.steps + times.last + times.along * along)


def _structure(run: FitRun, problem: Problem, model: torch.nn.Module, parameters: int) -> Hashable:
    """Equal for rows whose steps take equally long: those that differ in rates, budgets of steps and constants only."""
    training = run.training
    return (
        type(problem),
        canonical({key: value for key, value in run.task.to_data().items() if key != run.task_entry.signal_option}),
        problem.elements,
        problem.points_per_element,
        tuple(problem.shapes.items()),
        training.batch,
        training.precision,
        canonical(training.optimizer.to_data()),
        (training.steps == 0, bool(training.evaluate_every)),
        tuple((part.distribution, part.name) for part in run.field.walk()),
        parameters,
        str(model),
    )


def _measured(run: FitRun, problem: Problem, model: torch.nn.Module) -> _Times:
    step = step_seconds(problem, model, run.training, seeds=SeedStreams(run.seed))
    model.eval()
    seconds = []
    with torch.no_grad():
        for full in (True, False):
            started = time.perf_counter()
            if full or run.training.evaluate_every:
                problem.evaluate(model, full=full)
            seconds.append(time.perf_counter() - started)
    return _Times(step, *seconds)
