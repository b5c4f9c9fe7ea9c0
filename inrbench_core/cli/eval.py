"""`inrbench eval`: carry out a spec and rank the fields."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any

import typer

from inrbench_core.cli.common import AsJson, PluginFiles, get_catalog, make_console, say, warn_of_broken_plugins

GOOD = {"ok", "skipped"}
# A label names all options that differ, whole paths among them; file systems allow 255 bytes.
LONGEST_STEM = 100


def evaluate(
    spec: Annotated[Path, typer.Option("--spec", help="The YAML file that says what to compare.")],
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder for results; default: results/<name of the spec>.")
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Change the spec, as in training.steps=50; repeatable."),
    ] = None,
    jobs: Annotated[int | None, typer.Option(min=1, help="Runs at a time.")] = None,
    device: Annotated[str | None, typer.Option(help="auto, cpu, cuda or cuda:N.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only print the runs, with parameter counts.")] = False,
    fresh: Annotated[bool, typer.Option("--fresh", help="Repeat runs that are already done.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress.")] = False,
    as_json: AsJson = False,
    plugin_files: PluginFiles = None,
) -> None:
    """Fit every field of a spec on every task with every seed, and print the ranked tables.

    Finished runs are kept: after a stop, the same command goes on where it was.
    """
    from inrbench_core.spec.experiment import load_experiment

    catalog = get_catalog(plugin_files)
    warn_of_broken_plugins(catalog)
    changes = list(settings or [])
    if device is not None:
        changes.append(f"device={device}")
    experiment = load_experiment(spec, catalog, changes)
    if dry_run:
        _print_plan(experiment, as_json=as_json)
        return
    if jobs is not None and "jobs" in type(experiment.executor.spec).model_fields:
        experiment = experiment.with_executor(experiment.executor.with_spec(jobs=jobs))

    from inrbench_core.cli.progress import make_listener
    from inrbench_core.runs.experiment import run_experiment
    from inrbench_core.runs.store import RunStore

    folder = out if out is not None else Path("results") / experiment.name
    store = RunStore(folder)
    try:
        with make_listener(quiet=quiet) as listener:
            records = run_experiment(experiment, store, catalog, listener, plugin_files=plugin_files or (), fresh=fresh)
    except KeyboardInterrupt:
        done = sum(
            (record := store.read(run.id, arrays=False)) is not None and record.status == "ok"
            for run in experiment.runs
        )
        say(
            f"stopped: {done} of {len(experiment.runs)} runs are done and kept in {folder}; "
            "the same command goes on from there"
        )
        raise typer.Exit(130) from None
    _print_results(store, catalog, as_json=as_json)
    if any(record.status not in GOOD for record in records):
        raise typer.Exit(1)


def _print_results(store: Any, catalog: Any, *, as_json: bool) -> None:
    from inrbench_core.cli.common import print_json
    from inrbench_core.results.formats import WIDE, json_data, print_tables
    from inrbench_core.results.load import load_leaderboards
    from inrbench_core.results.picture import draw_experiment

    boards = load_leaderboards(store, catalog)
    pictures: list[Path] = []
    for board in boards:
        stem = re.sub(r"[^\w.-]+", "_", board.task_label).strip("_")[:LONGEST_STEM]
        target = store.folder / f"{stem}.png"
        if target in pictures:
            # Labels that differ only in what a file's name cannot hold.
            target = store.folder / f"{stem}_{len(pictures) + 1}.png"
        try:
            if draw_experiment(board, store, target):
                pictures.append(target)
        except OSError as error:
            say(f"warning: {target} cannot be written: {error.strerror}")
    if as_json:
        print_json({**json_data(boards), "folder": str(store.folder), "pictures": [str(path) for path in pictures]})
        return
    console = make_console(width=WIDE)
    print_tables(console, boards)
    console.print(f"results: {store.folder}", highlight=False, soft_wrap=True)
    for path in pictures:
        console.print(f"picture: {path}", highlight=False, soft_wrap=True)


def _print_plan(experiment: Any, *, as_json: bool) -> None:
    from inrbench_core.cli.common import print_json
    from inrbench_core.runs.plan import describe_plan, plan_table

    rows = describe_plan(experiment)
    if as_json:
        print_json({"schema": "inrbench.plan/1", "name": experiment.name, "runs": rows})
        return
    make_console().print(plan_table(experiment.name, rows))
