"""What an experiment would do, without doing it."""

from __future__ import annotations

from typing import Any

from rich import box
from rich.table import Table

from inrbench_core.api.errors import InrbenchError
from inrbench_core.api.problem import Problem, SeedStreams
from inrbench_core.fit import build_model
from inrbench_core.plugins.failures import one_line
from inrbench_core.runs.execute import choose_device, prepare
from inrbench_core.spec.experiment import Experiment
from inrbench_core.spec.runspec import RunSpec


def describe_plan(experiment: Experiment) -> list[dict[str, Any]]:
    """One plain mapping per run, with the parameter count of its built model."""
    problems: dict[str, Problem] = {}
    counts: dict[tuple[str, str], int | str] = {}
    rows = []
    for run in experiment.runs:
        key = (run.task_label, run.label)
        if run.field is not None and key not in counts:
            counts[key] = _parameters(run, problems)
        training = run.training
        rows.append(
            {
                "id": run.id,
                "task": run.task_label,
                "field": run.label,
                "baseline": bool(run.baseline),
                "seed": run.seed,
                "parameters": counts.get(key) if run.field is not None else None,
                "training": training.model_dump(mode="json") if training else None,
                "skip": run.skip,
            }
        )
    return rows


def _parameters(run: RunSpec, problems: dict[str, Problem]) -> int | str:
    device = choose_device(run.device)
    try:
        if run.task_label not in problems:
            problems[run.task_label] = prepare(run, device)
        assert run.field is not None
        shapes = problems[run.task_label].shapes
        return build_model(run.field, shapes, seeds=SeedStreams(run.seed), device=device).parameters
    except InrbenchError as error:
        return str(error)
    except Exception as error:  # As in the run itself: a plugin's fault is not the end of the plan.
        return one_line(error)


def plan_table(name: str, rows: list[dict[str, Any]]) -> Table:
    """The plan for the terminal."""
    fits = sum(not row["baseline"] for row in rows)
    title = f"{name}: {fits} fits and {len(rows) - fits} baselines"
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD)
    for column in ("run", "task", "field", "seed", "parameters", "steps", "batch", "lr", "note"):
        table.add_column(column, justify="right" if column in {"seed", "parameters", "steps", "lr"} else "left")
    for row in rows:
        training = row["training"] or {}
        parameters = row["parameters"]
        table.add_row(
            row["id"],
            row["task"],
            row["field"],
            str(row["seed"]),
            f"{parameters:,}" if isinstance(parameters, int) else "-",
            *(str(training.get(key, "-")) for key in ("steps", "batch", "lr")),
            "baseline" if row["baseline"] else row["skip"] or (parameters if isinstance(parameters, str) else ""),
        )
    return table
