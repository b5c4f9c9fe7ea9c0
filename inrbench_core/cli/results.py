"""`inrbench results`: the tables of experiments, from their files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from inrbench_core.cli.common import AsJson, PluginFiles, get_catalog, say
from inrbench_core.cli.reporting import FormatName, FormatOptions, Sort, find_reporter


def results(
    folders: Annotated[
        list[Path], typer.Argument(metavar="DIR...", help="Folders that `inrbench eval` named at its end.")
    ],
    format_name: FormatName = None,
    format_options: FormatOptions = None,
    sort: Sort = None,
    every: Annotated[
        bool, typer.Option("--all", help="Also experiments that were started earlier in the same folder.")
    ] = False,
    as_json: AsJson = False,
    plugin_files: PluginFiles = None,
) -> None:
    """Print the ranked tables of experiments, mean and standard deviation over signals and seeds.

    Of several folders the tables of the same task are put together. No plugin is needed.
    """
    from inrbench_core.results.load import load_results

    reporter = find_reporter(get_catalog(plugin_files), format_name, format_options, sort, as_json=as_json)
    found = load_results(*folders, every=every)
    for line in found.warnings:
        say(f"warning: {line}")
    reporter.write(found, as_json=as_json)
