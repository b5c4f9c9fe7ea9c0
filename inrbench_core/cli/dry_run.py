"""`inrbench eval --dry-run`: what a spec would do, and how long it would take."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich import box
from rich.markup import escape
from rich.table import Table

from inrbench_core.cli.common import make_console, print_json
from inrbench_core.cli.duration import duration
from inrbench_core.plugins.catalog import Catalog
from inrbench_core.results.evaluate import Options, find_device, results_folder, with_jobs
from inrbench_core.runs.check import check_plan, plan_data, total_seconds
from inrbench_core.runs.local import LocalExecutor
from inrbench_core.runs.plan import Plan, make_plan
from inrbench_core.runs.store import RunStore
from inrbench_core.spec.experiment import Experiment

SCHEMA = "inrbench.plan/2"


def print_plan(experiment: Experiment, catalog: Catalog, options: Options, *, as_json: bool) -> None:
    """Print the plan. Raises SpecError for data that is not readable and budgets that cannot be met."""
    experiment = with_jobs(experiment, options.jobs)
    plan = make_plan(experiment, catalog, find_device(experiment.device))
    store = RunStore(results_folder(experiment, options))
    records = store.records(plan.runs.keys()) if store.runs.is_dir() else {}
    done = {run_id for run_id, record in records.items() if record.status == "ok" and not options.fresh}
    todo = plan.runs.keys() - done
    costs = check_plan(plan, set(plan.runs), everything=True)
    rows = plan_data(plan, costs, done)
    seconds = total_seconds(plan, costs, todo, _parallel(plan))
    if as_json:
        counts = {"runs": len(plan.runs), "done": len(done), "seconds": seconds}
        print_json({"schema": SCHEMA, "name": experiment.name, **counts, "rows": rows})
        return
    console = make_console()
    for board in plan.boards:
        label = board.board.label
        console.print(_table(label, [row for row in rows if row["task"] == label]))
    kept = f", {len(done)} of them done" if done else ""
    text = (
        f"{len(plan.runs)} runs{kept}; the rest takes about {duration(seconds)}, compilation and start-up not counted"
    )
    console.print(text, highlight=False, markup=False, soft_wrap=True)


def _parallel(plan: Plan) -> int:
    """Jobs at a time, where the executor says so."""
    from inrbench_core.api.executor import ExecutorContext

    executor = plan.experiment.executor
    if executor.entry.target == "inrbench_core.runs.local:LocalExecutor":
        built: LocalExecutor = executor.build(ExecutorContext(len(plan.runs), plan.device))
        return built.jobs
    return int(getattr(executor.spec, "jobs", None) or 1)


def _table(label: str, rows: Sequence[Mapping[str, Any]]) -> Table:
    """One line for each field, over signals and seeds."""
    table = Table(title=escape(label), title_justify="left", box=box.SIMPLE_HEAD)
    for column in ("field", "runs", "parameters", "steps", "batch", "lr", "lr is from", "time of a run", "note"):
        is_text = column in {"field", "lr is from", "note"}
        table.add_column(column, justify="left" if is_text else "right", overflow="fold")
    groups: dict[tuple[str, bool], list[Mapping[str, Any]]] = {}
    for row in rows:
        groups.setdefault((row["field"], row["baseline"]), []).append(row)
    for (field, baseline), members in groups.items():
        first = members[0]
        training, sources = first.get("training") or {}, first.get("training_sources") or {}
        done = sum(row["done"] for row in members)
        notes = [*(["baseline"] if baseline else []), *([first["skip"]] if first["skip"] else [])]
        notes += [f"{done} done"] if done else []
        notes += [f"width {first['width']}"] if first.get("width") else []
        parameters, seconds = first.get("parameters"), first.get("seconds")
        table.add_row(
            escape(field),
            "0" if first["skip"] else str(len(members)),
            "-" if parameters is None else f"{parameters:,}",
            *(str(training.get(key, "-")) for key in ("steps", "batch", "lr")),
            escape(sources.get("lr", "default") if training else "-"),
            "-" if seconds is None else duration(seconds),
            escape(", ".join(notes)),
        )
    return table
