"""`inrbench list`: what is installed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Annotated, Any

import typer
from rich.console import Console

from inrbench_core.api.entries import ENTRY_TYPES
from inrbench_core.api.errors import InrbenchError
from inrbench_core.api.suggest import did_you_mean
from inrbench_core.cli.common import AsJson, PluginFiles, get_catalog, make_console, print_json
from inrbench_core.cli.describe import describe_entry, parameters_text
from inrbench_core.results.tables import Column, print_line, print_table

# From what width of the console on a column is shown: all tables have the same columns.
COLUMNS = {"name": 0, "summary": 0, "parameters": 160, "distribution": 120}
FOLD = 30


def list_components(
    kind: Annotated[str | None, typer.Argument(help="Only this kind: " + ", ".join(ENTRY_TYPES))] = None,
    as_json: AsJson = False,
    plugin_files: PluginFiles = None,
) -> None:
    """List the installed components by kind, and the plugins that are broken."""
    if kind is not None and kind not in ENTRY_TYPES:
        raise InrbenchError(
            f"no kind {kind!r}{did_you_mean(kind, ENTRY_TYPES) or '; there are ' + ', '.join(ENTRY_TYPES)}"
        )
    catalog = get_catalog(plugin_files)
    kinds = [kind] if kind else list(ENTRY_TYPES)
    entries = {name: [describe_entry(item, catalog) for item in catalog.of_kind(name)] for name in kinds}
    broken = [
        {
            "distribution": failure.distribution,
            "version": failure.version,
            "entry_point": failure.entry_point,
            "stage": failure.stage,
            "error": failure.error,
        }
        for failure in catalog.failures
    ]
    if as_json:
        components = [entry for group in entries.values() for entry in group]
        print_json({"schema": "inrbench.list/1", "components": components, "broken": broken})
        return
    console = make_console()
    for name, group in entries.items():
        if group:
            _print_table(console, name, group, folded=kind is None)
    hidden = [title for title, width in COLUMNS.items() if console.width < width]
    if hidden:
        print_line(console, f"not shown at this width: {', '.join(hidden)}; `inrbench show KIND NAME` has all")
    if broken:
        console.print("[bold red]broken[/bold red]")
        for failure in catalog.failures:
            print_line(console, failure.describe())


def _print_table(console: Console, kind: str, group: list[dict[str, Any]], *, folded: bool) -> None:
    """A table of one kind. Folded, recipes whose names begin alike, as `inr-bench/`, share a line."""
    plural = {"basis": "bases", "analysis": "analyses"}.get(kind, f"{kind}s")
    families = Counter(_family(data) for data in group if folded and "/" in data["name"])
    rows = [
        [f"{prefix}/...", f"{count} of {distribution}: `inrbench list recipe` names them", "", distribution]
        for (prefix, distribution), count in families.items()
    ]
    for data in group:
        if _family(data) in families:
            continue
        name = ", ".join([data["name"], *data["aliases"]]) + (" (clash)" if data["clashes_with"] else "")
        options = _inline(data["stands_for"]) if kind == "recipe" else parameters_text(data)
        rows.append([name, data["summary"], options, _family(data)[1]])
    shown = [index for index, width in enumerate(COLUMNS.values()) if console.width >= width]
    columns = [Column(title, FOLD) for title in COLUMNS]
    print_table(
        console,
        f"{plural} ({len(group)})",
        [columns[index] for index in shown],
        [[row[index] for index in shown] for row in rows],
    )


def _inline(options: Mapping[str, Any]) -> str:
    """Options as YAML writes them on one line."""
    return ", ".join(f"{key}: {_inlined(value)}" for key, value in options.items())


def _inlined(value: Any) -> str:
    return f"{{{_inline(value)}}}" if isinstance(value, Mapping) else str(value)


def _family(data: dict[str, Any]) -> tuple[str, str]:
    """How a component's name begins, and where it comes from."""
    return data["name"].partition("/")[0], f"{data['distribution']} {data['version']}"
