"""Looking at a plan before anything is trained: data that is not readable, budgets that cannot be met, costs."""

from __future__ import annotations

import math
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import torch

from inrbench_core.api.errors import BudgetError, DataError
from inrbench_core.api.problem import Problem, SeedStreams
from inrbench_core.fit import build_model
from inrbench_core.fit.calibrate import step_seconds
from inrbench_core.fit.device import choose_device
from inrbench_core.runs.execute import prepare
from inrbench_core.runs.plan import AnyRun, Plan, PlannedBoard
from inrbench_core.runs.run import FitRun
from inrbench_core.spec.experiment import FieldRow, Signal
from inrbench_core.spec.yaml_io import SpecError, SpecProblem


@dataclass(frozen=True)
class Cost:
    """What one run of a row takes.

    Args:
        parameters: trainable parameters of the model.
        width: the width that a budget was solved to, or None.
        seconds: estimate, in s, of training and evaluation; NaN where it was not measured.
    """

    parameters: int
    width: int | None
    seconds: float = math.nan


def check_plan(plan: Plan, todo: Collection[str], *, everything: bool = False) -> dict[tuple[str, str, str], Cost]:
    """Prepare each signal once, build each field once, and tell all that is wrong at once.

    Args:
        plan: what to look at.
        todo: ids of the runs that are to be done; rows without any are left out.
        everything: look at all fields and measure some steps of each, not only at those with a budget.

    Returns:
        the cost of a run by the labels of task, field and signal.

    Raises:
        SpecError: with a line for each signal that is not readable and each budget that cannot be met.
    """
    device = choose_device(plan.device)
    problems: list[SpecProblem] = []
    costs: dict[tuple[str, str, str], Cost] = {}
    for board in plan.boards:
        for signal in board.board.signals:
            runs = _runs_to_check(board, signal, todo, everything)
            if not runs:
                continue
            try:
                problem = prepare(next(iter(runs.values())), device)
            except DataError as error:
                problems.append(plan.experiment.document.problem(signal.origin, str(error)))
                continue
            except Exception:
                # A fault of the task's plugin: each run records it, and the others go on.
                continue
            _check_fields(plan, board, signal, problem, runs, costs, problems, measure=everything)
    if problems:
        raise SpecError(plan.experiment.document.file, problems)
    return costs


def _runs_to_check(board: PlannedBoard, signal: Signal, todo: Collection[str], everything: bool) -> dict[int, AnyRun]:
    """The first run of each row that is to be done on this signal, by the row's number."""
    found: dict[int, AnyRun] = {}
    for index, row in enumerate(board.rows):
        for run in row.runs:
            if run.signal == signal.label and run.id in todo:
                if everything or run.has_budget or (signal.files and not found):
                    found[index] = run
                break
    return found


def _check_fields(
    plan: Plan,
    board: PlannedBoard,
    signal: Signal,
    problem: Problem,
    runs: Mapping[int, AnyRun],
    costs: dict[tuple[str, str, str], Cost],
    problems: list[SpecProblem],
    *,
    measure: bool,
) -> None:
    for index, run in runs.items():
        row = board.rows[index].source
        if row is None or not isinstance(run, FitRun):
            continue
        try:
            costs[board.board.label, row.label, signal.label] = _cost(run, problem, measure=measure)
        except BudgetError as error:
            problems.append(plan.experiment.document.problem(row.origin, str(error)))
        except Exception:
            # A fault of the field's plugin: its runs record it.
            continue


def _cost(run: FitRun, problem: Problem, *, measure: bool) -> Cost:
    device = choose_device(run.device)
    seeds = SeedStreams(run.seed)
    built = build_model(run.field, problem.shapes, seeds=seeds, device=device)
    if not measure:
        return Cost(built.parameters, built.width)
    training = run.training
    seconds = step_seconds(problem, built.model, training, seeds=seeds) * training.steps if training.steps else 0.0
    along = training.steps // training.evaluate_every if training.evaluate_every else 0
    return Cost(built.parameters, built.width, seconds + _evaluation_seconds(problem, built.model, along))


def _evaluation_seconds(problem: Problem, model: torch.nn.Module, along: int) -> float:
    """Seconds of the final evaluation and of those along the curve."""
    model.eval()
    total = 0.0
    with torch.no_grad():
        for full, count in ((True, 1), (False, along)):
            started = time.perf_counter()
            if count:
                problem.evaluate(model, full=full)
            total += count * (time.perf_counter() - started)
    model.train()
    return total


def total_seconds(plan: Plan, costs: Mapping[tuple[str, str, str], Cost], todo: Collection[str], jobs: int) -> float:
    """Estimate of the time that the runs to be done take together, in s, with `jobs` of them at a time."""
    seconds = []
    for run in plan.runs.values():
        cost = costs.get((run.task_label, run.label, run.signal))
        if run.id in todo and cost is not None and not math.isnan(cost.seconds):
            seconds.append(cost.seconds)
    longest = max(seconds, default=0.0)
    return max(longest, sum(seconds) / max(1, jobs))


def plan_data(plan: Plan, costs: Mapping[tuple[str, str, str], Cost], done: Collection[str]) -> list[dict[str, Any]]:
    """The plan as plain data: one mapping for each run, and one for each pair that cannot work."""
    rows = []
    for board in plan.boards:
        for row in board.rows:
            source: FieldRow | None = row.source
            common = {"task": board.board.label, "field": row.label, "baseline": row.baseline, "skip": row.skip}
            if row.skip:
                rows.append({**common, "id": None, "signal": None, "seed": None, "done": False})
            for run in row.runs:
                cost = costs.get((board.board.label, row.label, run.signal))
                rows.append(
                    {
                        **common,
                        "id": run.id,
                        "signal": run.signal,
                        "seed": run.seed,
                        "done": run.id in done,
                        "parameters": cost.parameters if cost else None,
                        "width": cost.width if cost else None,
                        "seconds": cost.seconds if cost and not math.isnan(cost.seconds) else None,
                        "training": run.training.model_dump(mode="json") if isinstance(run, FitRun) else None,
                        "training_sources": dict(source.sources) if source else None,
                    }
                )
    return rows
