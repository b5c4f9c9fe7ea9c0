"""`inrbench results`: the tables of an experiment, from its files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from inrbench_core.api.errors import InrbenchError
from inrbench_core.cli.common import AsJson, PluginFiles, get_catalog
from inrbench_core.plugins.catalog import LookupFailure


def results(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The folder that `inrbench eval` named at its end.")],
    format_name: Annotated[
        str, typer.Option("--format", help="table, csv, json, markdown, latex, or a plugin's reporter.")
    ] = "table",
    as_json: AsJson = False,
    plugin_files: PluginFiles = None,
) -> None:
    """Print the ranked tables of an experiment, mean and standard deviation over seeds."""
    from inrbench_core.api.entries import ReporterEntry
    from inrbench_core.results.load import load_leaderboards
    from inrbench_core.runs.store import RunStore

    catalog = get_catalog(plugin_files)
    try:
        reporter = catalog.find("reporter", "json" if as_json else format_name)
    except LookupFailure as failure:
        raise InrbenchError(f"--format: {failure}") from None
    assert isinstance(reporter.entry, ReporterEntry)
    boards = load_leaderboards(RunStore(folder), catalog)
    print(reporter.entry.load()(reporter.entry.spec(), boards), end="")
