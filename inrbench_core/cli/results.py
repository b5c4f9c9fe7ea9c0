"""`inrbench results`: the tables of experiments, from their files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from inrbench_core.cli.common import AsJson, PluginFiles, get_catalog, say
from inrbench_core.cli.reporting import FormatName, FormatOptions, Sort, find_reporter


def results(
    places: Annotated[
        list[Path],
        typer.Argument(metavar="DIR...", help="Folders that `inrbench eval` named at its end, and exported tables."),
    ],
    format_name: FormatName = None,
    format_options: FormatOptions = None,
    sort: Sort = None,
    every: Annotated[
        bool, typer.Option("--all", help="Also experiments that were started earlier in the same folder.")
    ] = False,
    export: Annotated[
        Path | None,
        typer.Option(
            "--export",
            metavar="FILE",
            help="Write all runs to a .csv or .parquet file for others: metrics, costs, versions; no weights.",
        ),
    ] = None,
    as_json: AsJson = False,
    plugin_files: PluginFiles = None,
) -> None:
    """Print the ranked tables of experiments.

    Of several folders and exported tables, those of the same task are put together. No plugin is needed.
    """
    from inrbench_core.results.export import export_results
    from inrbench_core.results.load import load_results

    reporter = find_reporter(get_catalog(plugin_files), format_name, format_options, sort, as_json=as_json)
    found = load_results(*places, every=every)
    for line in found.warnings:
        say(f"warning: {line}")
    if export is not None:
        say(f"exported to {export}; runs: {export_results(found, export)}")
    reporter.write(found, as_json=as_json)
