"""`inrbench list`: what is installed."""

from __future__ import annotations

from collections import Counter
from typing import Annotated, Any

import typer
from rich import box
from rich.markup import escape
from rich.table import Table

from inrbench_core.api.entries import ENTRY_TYPES
from inrbench_core.api.errors import InrbenchError
from inrbench_core.api.suggest import did_you_mean
from inrbench_core.cli.common import AsJson, PluginFiles, get_catalog, make_console, print_json
from inrbench_core.cli.describe import describe_entry, parameters_text


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
            console.print(_table(name, group, folded=kind is None))
    if broken:
        console.print("[bold red]broken[/bold red]")
        for failure in catalog.failures:
            console.print(f"  {failure.describe()}", highlight=False, markup=False, soft_wrap=True)


def _table(kind: str, group: list[dict[str, Any]], *, folded: bool) -> Table:
    """A table of one kind. Folded, recipes whose names begin alike, as `inr-bench/`, share a line."""
    plural = {"basis": "bases", "activation": "activations"}.get(kind, f"{kind}s")
    table = Table(title=f"{plural} ({len(group)})", title_justify="left", title_style="bold", box=box.SIMPLE_HEAD)
    table.add_column("name", no_wrap=True, style="cyan")
    table.add_column("summary", ratio=3)
    table.add_column("parameters", ratio=3, style="dim")
    table.add_column("distribution")
    families = Counter(_family(data) for data in group if folded and "/" in data["name"])
    for (prefix, distribution), count in families.items():
        table.add_row(f"{prefix}/...", f"{count} recipes; inrbench list recipe names them", "", distribution)
    for data in group:
        if _family(data) in families:
            continue
        name = ", ".join([data["name"], *data["aliases"]])
        if data["clashes_with"]:
            name = f"{name} (clash)"
        if kind == "recipe":
            options = ", ".join(f"{key}={value}" for key, value in data["stands_for"].items())
        else:
            options = parameters_text(data)
        table.add_row(escape(name), escape(data["summary"]), escape(options), _family(data)[1])
    return table


def _family(data: dict[str, Any]) -> tuple[str, str]:
    """How a component's name begins, and where it comes from."""
    return data["name"].partition("/")[0], f"{data['distribution']} {data['version']}"
