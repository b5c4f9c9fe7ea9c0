"""`inrbench reproduce`: a published setting on data at hand, beside its figures. Imports no torch at its top."""

from __future__ import annotations

import glob
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from inrbench_core.api.errors import InrbenchError
from inrbench_core.cli.common import (
    AsJson,
    PluginFiles,
    all_plugin_files,
    get_catalog,
    make_console,
    print_json,
    say,
    warn_of_broken_plugins,
)
from inrbench_core.cli.eval import Device, Fresh, Jobs, MaxTime, Only, Out, Quiet, Set, Wait, carry_out_watched, changes

if TYPE_CHECKING:
    from inrbench_published.settings import Setting

LIST_SCHEMA, SCHEMA = "inrbench.published/1", "inrbench.reproduce/1"


def add_command(app: typer.Typer) -> None:
    """Add `reproduce` to the command line."""
    app.command("reproduce")(reproduce)


def reproduce(
    name: Annotated[
        str | None, typer.Argument(help="A published setting, or a recipe for its own setting; none: list them.")
    ] = None,
    signals: Annotated[
        list[str] | None,
        typer.Option(
            "--signals",
            metavar="SIGNAL",
            help="A file, a pattern or a named signal in place of those at hand; repeatable. Files named as the "
            "source's count as the source's.",
        ),
    ] = None,
    write: Annotated[
        Path | None, typer.Option("--write", metavar="FILE", help="Only write the setting as a spec for `eval`.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only print the runs and the time they will take.")
    ] = False,
    out: Out = None,
    settings: Set = None,
    jobs: Jobs = None,
    device: Device = None,
    fresh: Fresh = False,
    wait: Wait = False,
    max_time_s: MaxTime = None,
    only: Only = None,
    quiet: Quiet = False,
    as_json: AsJson = False,
    plugin_files: PluginFiles = None,
) -> None:
    """Run the setting of a paper on data at hand, and say for each field whether the published figure is reproduced.

    Without a name, list the settings. Where the data of the source are not at hand, only the order of the fields is
    compared. Finished runs are kept: after a stop, the same command continues.
    """
    # Here, because every call of inrbench imports this module.
    from inrbench_published.settings import find, load_settings

    known = load_settings()
    if name is None:
        _list(known, as_json=as_json)
        return
    catalog = get_catalog(plugin_files)
    setting, row = find(name, known, catalog)
    if row and only:
        raise InrbenchError(
            f"{name} stands for one row of {setting.name}; to choose runs by --only, give {setting.name}"
        )
    if write is not None:
        given = {"--signals": signals, "--set": settings, "--device": device, "--only": only}
        if unused := [option for option, value in given.items() if value]:
            raise InrbenchError(f"--write writes the setting as published; leave out {', '.join(unused)}")
        _write(setting, write)
        return
    from inrbench_core.results.evaluate import Options, results_folder
    from inrbench_core.spec.builder import load_experiment
    from inrbench_published.changes import check_comparable, what_changed
    from inrbench_published.table import comparison_data, print_comparison
    from inrbench_published.verdicts import compare

    warn_of_broken_plugins(catalog)
    theirs = [f"task.signals={json.dumps(named(signals), ensure_ascii=False)}"] if signals else []
    experiment = load_experiment(setting.spec, catalog, [*theirs, *changes(settings, device)])
    check_comparable(setting, experiment)
    changed, same_signals = what_changed(load_experiment(setting.spec, catalog), experiment)
    # A label may have characters that are special in a pattern.
    patterns = tuple(only or ([glob.escape(row)] if row else ()))
    options = Options(out, jobs, fresh, wait, max_time_s, patterns)
    if dry_run:
        from inrbench_core.cli.dry_run import print_plan

        print_plan(experiment, catalog, options, all_plugin_files(plugin_files), as_json=as_json)
        return
    results = carry_out_watched(experiment, catalog, options, all_plugin_files(plugin_files), quiet=quiet)
    comparison = compare(setting.published, results.boards[0], changed, own_signals=same_signals)
    folder = results_folder(experiment, options)
    if as_json:
        print_json({"schema": SCHEMA, **comparison_data(setting, comparison), "folder": str(folder)})
    else:
        print_comparison(make_console(), setting, comparison, folder)
    if results.failed:
        raise typer.Exit(1)


def named(signals: Sequence[str]) -> list[str]:
    """Files and patterns as absolute paths, since those of a spec are relative to its file; other names as they are."""
    found = []
    for signal in signals:
        path = Path(signal).expanduser()
        found.append(str(path.absolute()) if path.exists() or glob.has_magic(signal) else signal)
    return found


def _write(setting: Setting, file: Path) -> None:
    """Write the spec, with its comments. Raises InrbenchError if the file is there, OSError if it cannot be written."""
    try:
        with file.open("x", encoding="utf-8") as target:
            target.write(setting.spec.read_text(encoding="utf-8"))
    except FileExistsError:
        raise InrbenchError(f"{file} exists already; give another name") from None
    say(f"spec: {file}; run it with: inrbench eval --spec {file}")


def _list(known: Mapping[str, Setting], *, as_json: bool) -> None:
    if as_json:
        data = [{"name": name, **setting.published.model_dump(mode="json")} for name, setting in known.items()]
        print_json({"schema": LIST_SCHEMA, "settings": data})
        return
    # Here, because it takes longer than all else that a list needs.
    from inrbench_core.results.tables import Column, print_table

    columns = [Column("setting", 24), Column("grade", 8), Column("fields"), Column("data", 30), Column("source", 40)]
    columns.append(Column("own setting of", 30, leave_out=1))
    rows = []
    for name, setting in known.items():
        published = setting.published
        count = str(len(published.figures)) if published.figures else "-"
        recipes = ", ".join(published.recipes)
        rows.append([name, published.grade, count, published.data, published.source, recipes])
    print_table(make_console(), f"published settings ({len(rows)})", columns, rows, hint="--json has all")
