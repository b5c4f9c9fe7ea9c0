"""`inrbench eval --dry-run`: what a spec would do, and how long it would take."""

from __future__ import annotations

import math
import time
from collections.abc import Collection, Mapping, Sequence
from operator import itemgetter
from pathlib import Path
from statistics import fmean
from typing import Any

from rich.console import Console

from inrbench_core.api.executor import ExecutorContext
from inrbench_core.cli.common import make_console, print_json, say
from inrbench_core.cli.duration import duration
from inrbench_core.plugins.catalog import Catalog
from inrbench_core.results.evaluate import Options, find_device, known_records, results_folder, with_jobs
from inrbench_core.results.known import Known, planned
from inrbench_core.results.tables import Column, print_line, print_table
from inrbench_core.runs.check_process import Cost, CostKey, Step, check_apart
from inrbench_core.runs.local import LocalExecutor
from inrbench_core.runs.plan import Plan, make_plan
from inrbench_core.runs.run import FitRun
from inrbench_core.runs.store import RunStore
from inrbench_core.runs.tuning import grown
from inrbench_core.spec.experiment import Experiment

SCHEMA = "inrbench.plan/3"
NOTHING = "-"
SAY_EVERY_S = 5.0
COLUMNS = (
    Column("field", fold_at=20),
    Column("runs"),
    Column("trials", leave_out=1),
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
OPTIONAL, COMMON = ("trials", "done", "width"), ("steps", "batch")


def print_plan(
    experiment: Experiment, catalog: Catalog, options: Options, plugin_files: Sequence[Path], *, as_json: bool
) -> None:
    """Print the plan. Raises SpecError for data that is not readable and budgets that cannot be met."""
    experiment = with_jobs(experiment, options.jobs)
    for line in experiment.remarks:
        say(f"warning: {line}")
    plan = make_plan(experiment, catalog, find_device(experiment.device), options.only)
    store = RunStore(results_folder(experiment, options))
    records = store.records({run.id for run in planned(plan)}) if store.runs.is_dir() else {}
    known = {} if options.fresh else known_records(plan, store, records, Known(options.known))
    done, shown = plan.done(known), grown(plan, known)
    jobs, threads = _jobs_at_a_time(plan)
    tell = ProgressLines().tell
    costs = check_apart(plan, plugin_files, plan.runs.keys(), everything=True, threads=threads, on_step=tell)
    rows = _plan_data(shown, costs, done)
    runs = list({row["id"] or index: row for index, row in enumerate(rows) if not row["skip"]}.values())
    trials, finished = (sum(map(is_one, runs)) for is_one in (lambda row: row["role"] == "trial", itemgetter("done")))
    seconds = _total_seconds([row["seconds"] for row in runs if not row["done"]], jobs)
    if as_json:
        counts = {"runs": len(runs), "trials": trials, "done": finished, "seconds": seconds}
        print_json({"schema": SCHEMA, "name": experiment.name, **counts, "rows": rows})
        return
    console = make_console()
    for board in plan.boards:
        label = board.board.label
        _print_board(console, label, [row for row in rows if row["task"] == label])
    kept = f", {trials} of them trials" if trials else ""
    kept += f", {finished} of them done" if finished else ""
    rest = "nothing is left to do"
    if finished < len(runs):
        time_left = "time not known" if seconds is None else f"about {duration(seconds)}"
        rest = f"{time_left}; steps are measured without compilation, and start-up is left out"
    console.print(f"{len(runs)} runs{kept}: {rest}", highlight=False, markup=False)


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
        return built.workers, built.threads
    return int(getattr(executor.spec, "jobs", None) or 1), None


def _total_seconds(runs: Sequence[float | None], jobs: int) -> float | None:
    """Estimate of the time that runs take together, in s, with `jobs` at a time; None: none of them is measured."""
    seconds = [one for one in runs if one is not None]
    if runs and not seconds:
        return None
    return max(max(seconds, default=0.0), sum(seconds) / max(1, jobs))


def _plan_data(plan: Plan, costs: Mapping[CostKey, Cost], done: Collection[str]) -> list[dict[str, Any]]:
    """The plan as plain data: one mapping for each run, and one for each pair that cannot work.

    A run whose options are still to be chosen has no id.
    """
    rows = []
    for board in plan.boards:
        for row in board.rows:
            common = {"task": board.board.label, "field": row.label, "baseline": row.baseline, "skip": row.skip}
            if row.skip:
                rows.append({**common, "id": None, "role": "final", "signal": None, "seed": None, "done": False})
            found = [("final", row.source, run) for run in row.runs]
            found += [("trial", trial.source, run) for trial in row.trials for run in trial.runs]
            found = [item for item in found if item[2].id in plan.runs]
            if row.pending and found:
                found += [("", row.trials[0].source, run) for run in row.trials[0].final]
            for role, source, run in found:
                cost = costs.get((board.board.label, row.label, run.signal))
                rows.append(
                    {
                        **common,
                        "id": run.id if role else None,
                        "role": role or "final",
                        "signal": run.signal,
                        "seed": run.seed,
                        "done": bool(role) and run.id in done,
                        "parameters": cost.parameters if cost else None,
                        "width": cost.width if cost else None,
                        "seconds": cost.seconds if cost and not math.isnan(cost.seconds) else None,
                        "training": run.training.model_dump(mode="json") if isinstance(run, FitRun) and role else None,
                        "training_sources": dict(source.sources) if source and role else None,
                    }
                )
    return rows


def _print_board(console: Console, label: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """One line for each field, over signals and seeds; below it why pairs are skipped."""
    groups: dict[tuple[str, bool], list[Mapping[str, Any]]] = {}
    for row in rows:
        groups.setdefault((row["field"], row["baseline"]), []).append(row)
    texts = [_texts(field, members) for (field, _), members in groups.items() if not members[0]["skip"]]
    final = [row for row in rows if row["role"] == "final" and not row["skip"]]
    # A baseline's run may serve all seeds, and then has none of theirs.
    seeded = [row for row in final if not row["baseline"]] or final
    counts = {"signals": len({row["signal"] for row in final}), "seeds": len({row["seed"] for row in seeded})}
    facts = [f"{count} {word}" for word, count in counts.items() if count > 1]
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
    trainings = [row["training"] for row in members if row["training"]]
    sources = [row["training_sources"].get("lr", "default") for row in members if row["training_sources"] is not None]
    seconds = [row["seconds"] for row in members if row["seconds"] is not None]
    counts = {
        "runs": sum(row["role"] == "final" for row in members),
        "trials": sum(row["role"] == "trial" for row in members),
        "done": sum(row["done"] for row in members),
    }
    return {
        "field": f"{field} (baseline)" if first["baseline"] else field,
        **{key: str(count) if count else NOTHING for key, count in counts.items()},
        **{key: _range([row[key] for row in members if row[key] is not None]) for key in ("parameters", "width")},
        **{key: _several([training[key] for training in trainings]) for key in ("steps", "batch", "lr")},
        "lr is from": ", ".join(dict.fromkeys(sources)) if trainings else NOTHING,
        "time a run": duration(fmean(seconds)) if seconds else NOTHING,
    }


def _several(values: Sequence[Any]) -> str:
    """A value that all runs share, or those that they have, numbers from the smallest to the largest."""
    found = dict.fromkeys(values)
    if len(found) > 1 and all(isinstance(value, int | float) for value in found):
        return f"{min(found):.4g} to {max(found):.4g}"
    return ", ".join(map(str, found)) or NOTHING


def _range(values: Collection[int]) -> str:
    """Whole numbers from the smallest to the largest."""
    return " to ".join(dict.fromkeys(f"{end:,}" for end in (min(values), max(values)))) if values else NOTHING
