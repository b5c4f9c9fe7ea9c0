"""`inrbench eval --dry-run`: what a spec would do, and how long it would take."""

from __future__ import annotations

import math
import time
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from rich.console import Console

from inrbench_core.api.executor import ExecutorContext
from inrbench_core.cli.common import make_console, print_json, say
from inrbench_core.cli.duration import duration
from inrbench_core.plugins.catalog import Catalog
from inrbench_core.results.evaluate import Options, find_device, results_folder, with_jobs
from inrbench_core.results.known import Known
from inrbench_core.results.tables import Column, print_line, print_table
from inrbench_core.runs.check_process import Cost, CostKey, Step, check_apart
from inrbench_core.runs.local import LocalExecutor
from inrbench_core.runs.plan import Plan, make_plan
from inrbench_core.runs.record import done_runs
from inrbench_core.runs.run import FitRun
from inrbench_core.runs.store import RunStore
from inrbench_core.spec.experiment import Experiment, FieldRow

SCHEMA = "inrbench.plan/2"
NOTHING = "-"
SAY_EVERY_S = 5.0
COLUMNS = (
    Column("field", fold_at=20),
    Column("runs"),
    Column("done", leave_out=1),
    Column("parameters", leave_out=5),
    Column("width", leave_out=2),
    Column("steps", leave_out=4),
    Column("batch", leave_out=3),
    Column("lr"),
    Column("lr is from", fold_at=12),
    Column("time a run"),
)
# Not shown where no field has any; said above the table where all fields have the same.
OPTIONAL, COMMON = ("done", "width"), ("steps", "batch")


def print_plan(
    experiment: Experiment, catalog: Catalog, options: Options, plugin_files: Sequence[Path], *, as_json: bool
) -> None:
    """Print the plan. Raises SpecError for data that is not readable and budgets that cannot be met."""
    experiment = with_jobs(experiment, options.jobs)
    plan = make_plan(experiment, catalog, find_device(experiment.device))
    store = RunStore(results_folder(experiment, options))
    records = store.records(plan.runs.keys()) if store.runs.is_dir() else {}
    taken = Known(options.known).take(plan.runs.values(), records)
    done = set() if options.fresh else done_runs({**records, **taken})
    todo = plan.runs.keys() - done
    jobs, threads = _jobs_at_a_time(plan)
    tell = ProgressLines().tell
    costs = check_apart(plan, plugin_files, plan.runs.keys(), everything=True, threads=threads, on_step=tell)
    rows = _plan_data(plan, costs, done)
    seconds = _total_seconds(plan, costs, todo, jobs)
    if as_json:
        counts = {"runs": len(plan.runs), "done": len(done), "seconds": seconds}
        print_json({"schema": SCHEMA, "name": experiment.name, **counts, "rows": rows})
        return
    console = make_console()
    for board in plan.boards:
        label = board.board.label
        _print_board(console, label, [row for row in rows if row["task"] == label])
    kept = f", {len(done)} of them done" if done else ""
    rest = "nothing is left to do"
    if todo:
        time_left = "time not known" if seconds is None else f"about {duration(seconds)}"
        rest = f"{time_left}; steps are measured without compilation, and start-up is left out"
    console.print(f"{len(plan.runs)} runs{kept}: {rest}", highlight=False, markup=False)


class ProgressLines:
    """Says now and then how far measuring is, where it takes long."""

    def __init__(self) -> None:
        self._said = time.monotonic()

    def tell(self, step: Step) -> None:
        """Say what comes next, on stderr, if nothing was said for some seconds."""
        if time.monotonic() - self._said >= SAY_EVERY_S and step.total:
            self._said = time.monotonic()
            say(f"measuring {min(step.done + 1, step.total)} of {step.total}: {step.what}")


def _jobs_at_a_time(plan: Plan) -> tuple[int, int | None]:
    """Jobs at a time, where the executor says so, and the threads of each: steps are timed with as many."""
    executor = plan.experiment.executor
    if executor.entry.target == "inrbench_core.runs.local:LocalExecutor":
        built: LocalExecutor = executor.build(ExecutorContext(len(plan.runs), plan.device))
        return built.jobs, built.threads
    return int(getattr(executor.spec, "jobs", None) or 1), None


def _total_seconds(plan: Plan, costs: Mapping[CostKey, Cost], todo: Collection[str], jobs: int) -> float | None:
    """Estimate of the time that the runs to be done take together, in s, with `jobs` at a time; None: not measured."""
    seconds = []
    for run in plan.runs.values():
        cost = costs.get((run.task_label, run.label, run.signal))
        if run.id in todo and cost is not None and not math.isnan(cost.seconds):
            seconds.append(cost.seconds)
    if todo and not seconds:
        return None
    return max(max(seconds, default=0.0), sum(seconds) / max(1, jobs))


def _plan_data(plan: Plan, costs: Mapping[CostKey, Cost], done: Collection[str]) -> list[dict[str, Any]]:
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


def _print_board(console: Console, label: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """One line for each field, over signals and seeds; below it why pairs are skipped."""
    groups: dict[tuple[str, bool], list[Mapping[str, Any]]] = {}
    for row in rows:
        groups.setdefault((row["field"], row["baseline"]), []).append(row)
    texts = [_texts(field, members) for (field, _), members in groups.items() if not members[0]["skip"]]
    counts = ((len({row[key] for row in rows if row["id"]}), key) for key in ("signal", "seed"))
    facts = [f"{count} {word}s" for count, word in counts if count > 1]
    shown = []
    for column in COLUMNS:
        found = {text[column.title] for text in texts} - {NOTHING}
        if column.title in COMMON and len(found) == 1:
            facts.append(f"{column.title} {found.pop()}")
        elif found or column.title not in (*OPTIONAL, *COMMON):
            shown.append(column)
    title = f"{label} ({', '.join(facts)})" if facts else label
    lines = [[text[column.title] for column in shown] for text in texts]
    print_table(console, title, shown, lines, hint="--json has all")
    for (field, _), members in groups.items():
        if members[0]["skip"]:
            print_line(console, f"{field}: skipped: {members[0]['skip']}")


def _texts(field: str, members: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """The cells of a field by the title of the column."""
    first = members[0]
    training, sources = first["training"] or {}, first["training_sources"] or {}
    done = sum(row["done"] for row in members)
    seconds = [row["seconds"] for row in members if row["seconds"] is not None]
    return {
        "field": f"{field} (baseline)" if first["baseline"] else field,
        "runs": str(len(members)),
        "done": str(done) if done else NOTHING,
        **{key: _range([row[key] for row in members if row[key] is not None]) for key in ("parameters", "width")},
        **{key: str(training.get(key, NOTHING)) for key in ("steps", "batch", "lr")},
        "lr is from": sources.get("lr", "default") if training else NOTHING,
        "time a run": duration(fmean(seconds)) if seconds else NOTHING,
    }


def _range(values: Collection[int]) -> str:
    """Whole numbers from the smallest to the largest."""
    return " to ".join(dict.fromkeys(f"{end:,}" for end in (min(values), max(values)))) if values else NOTHING
