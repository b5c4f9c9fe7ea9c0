"""`inrbench show`: one component, with a snippet to paste."""

from __future__ import annotations

import itertools
import math
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
import yaml
from pydantic import ValidationError
from rich.markup import escape

from inrbench_core.api.entries import ENTRY_TYPES, RecipeEntry
from inrbench_core.api.errors import InrbenchError
from inrbench_core.api.suggest import did_you_mean
from inrbench_core.cli.common import AsJson, PluginFiles, get_catalog, make_console, print_json, say
from inrbench_core.cli.describe import describe_details, describe_entry, describe_parts
from inrbench_core.plugins.catalog import Catalog, LookupFailure, Registered
from inrbench_core.plugins.failures import one_line
from inrbench_core.results.tables import Column, print_table

if TYPE_CHECKING:
    from inrbench_core.cli.curves import Curves

PARAMETER_COLUMNS = (Column("parameter", 24), Column("type", 24), Column("default", 20), Column("description", 24))
DRAWN_KINDS = ("activation", "basis", "encoding")
# Characters of a line of prose, where the terminal is wider.
MOST_COLUMNS = 100


def show(
    kind: Annotated[str, typer.Argument(help="The kind: " + ", ".join(ENTRY_TYPES))],
    name: Annotated[str, typer.Argument(help="The component's name, as `inrbench list` shows it.")],
    as_json: AsJson = False,
    plot_file: Annotated[
        Path | None,
        typer.Option("--plot", metavar="FILE", help="Draw its functions into this picture: .png, .svg or .pdf."),
    ] = None,
    plugin_files: PluginFiles = None,
) -> None:
    """Show a component: what it is good for, formula, parameters, reference, YAML to paste, its functions drawn."""
    if kind not in ENTRY_TYPES:
        raise InrbenchError(
            f"no kind {kind!r}{did_you_mean(kind, ENTRY_TYPES) or '; there are ' + ', '.join(ENTRY_TYPES)}"
        )
    catalog = get_catalog(plugin_files)
    item = _find(catalog, kind, name)
    kind = item.entry.kind
    data = describe_entry(item, catalog)
    data["details"] = describe_details(item.entry)
    if isinstance(item.entry, RecipeEntry):
        data["components"] = describe_parts(item.entry, catalog)
    data["yaml"] = snippet(data)
    if plot_file is not None:
        _plot(_curves(catalog, kind, name), data, plot_file)
    if as_json:
        print_json({"schema": "inrbench.show/1", **data})
        return
    console = make_console()
    console.print(f"[bold cyan]{escape(data['name'])}[/bold cyan] ({kind}): {escape(data['summary'])}", highlight=False)
    if data["details"]:
        text = wrapped(data["details"], min(console.width, MOST_COLUMNS))
        console.print(f"\n{text}\n", highlight=False, markup=False, soft_wrap=True)
    for title, text in _facts(data).items():
        if text:
            console.print(f"{title:<13}{text}", highlight=False, markup=False, soft_wrap=True)
    if data["parameters"]:
        print_table(console, "", PARAMETER_COLUMNS, [_parameter_row(parameter) for parameter in data["parameters"]])
    console.print("on the command line:" if kind == "reporter" else "in a spec:", style="bold")
    console.print(data["yaml"], highlight=False, markup=False, soft_wrap=True)
    if kind in DRAWN_KINDS and plot_file is None:
        try:
            lines = _drawing(_curves(catalog, kind, name))
        except InrbenchError as error:
            say(str(error))
        else:
            console.print(f"\n{lines}", highlight=False, markup=False, soft_wrap=True)


def wrapped(text: str, width: int) -> str:
    """A docstring with its paragraphs folded at a width; indented lines and those of lists stay as they are."""
    folded: list[str] = []
    for kept, group in itertools.groupby(text.splitlines(), lambda line: line[:1] in ("", " ", "-", "|")):
        lines = list(group)
        folded += lines if kept else [textwrap.fill(" ".join(lines), width, break_long_words=False)]
    return "\n".join(folded)


def _find(catalog: Catalog, kind: str, name: str) -> Registered:
    """The entry; a recipe stands where a field does, so its name may be given as one. Raises InrbenchError."""
    try:
        if kind == "field" and catalog.recipe(name) is not None:
            kind = "recipe"
        return catalog.find(kind, name)
    except LookupFailure as failure:
        raise InrbenchError(str(failure)) from None


def _parameter_row(parameter: dict[str, Any]) -> list[str]:
    default = "required" if parameter["required"] else str(parameter["default"])
    return [parameter["name"], parameter["type"], default, parameter["description"]]


def _curves(catalog: Catalog, kind: str, name: str) -> Curves:
    """The functions of a component with its defaults. Raises InrbenchError."""
    if kind not in DRAWN_KINDS:
        raise InrbenchError(f"components of kind {kind} are not drawn, only those of {', '.join(DRAWN_KINDS)}")
    # Here, because it imports numpy and torch, which the text does not need.
    from inrbench_core.cli.curves import sample_curves

    try:
        return sample_curves(catalog.resolve(kind, name))
    except ValidationError:
        raise InrbenchError(f"{kind} {name!r} has options without a default, so it cannot be drawn") from None
    except InrbenchError:
        raise
    except Exception as error:
        raise InrbenchError(f"{kind} {name!r} cannot be drawn: {one_line(error)}") from None


def _drawing(curves: Curves) -> str:
    from inrbench_core.cli.drawing import draw

    return "\n".join(draw(curves))


def _plot(curves: Curves, data: dict[str, Any], file: Path) -> None:
    from inrbench_core.cli.plotting import plot

    plot(curves, f"{data['name']}: {data['summary']}", data.get("formula", ""), file)
    say(f"plot: {file}")


def _facts(data: dict[str, Any]) -> dict[str, str]:
    made_of = [f"{part['kind']} {part['name']}: {part['formula']}" for part in data.get("components", [])]
    return {
        "formula": data.get("formula", ""),
        "reference": data["reference"],
        "also called": ", ".join(data["aliases"]),
        "metrics": ", ".join(_metric_text(metric) for metric in data.get("metrics", [])),
        "ranked by": data.get("rank_by", ""),
        "baselines": ", ".join(data.get("baselines", [])),
        "training": ", ".join(f"{key}: {value}" for key, value in data.get("training", {}).items()),
        "stands for": _one_line_of_yaml(data["stands_for"]) if "stands_for" in data else "",
        "made of": f"\n{'':<13}".join(made_of),
        "distribution": f"{data['distribution']} {data['version']}",
    }


def _one_line_of_yaml(value: Any) -> str:
    return str(yaml.safe_dump(value, default_flow_style=True, sort_keys=False, width=math.inf)).strip()


def _metric_text(metric: dict[str, Any]) -> str:
    unit = f" [{metric['unit']}]" if metric["unit"] else ""
    return f"{metric['name']}{unit}{' (lower is better)' if metric['higher_is_better'] is False else ''}"


def snippet(data: dict[str, Any]) -> str:
    """YAML that uses the component where components of its kind go, every default written out."""
    options = {p["name"]: p["default"] for p in data["parameters"] if not p["required"] and p["default"] is not None}
    value: Any = {"name": data["name"], **options} if options else data["name"]
    wrapped: dict[str, Any] = {
        "encoding": {"fields": [{"name": "mlp", "encoding": value}]},
        "activation": {"fields": [{"name": "mlp", "activation": value}]},
        "basis": {"fields": [{"name": "kan", "basis": value}]},
        "field": {"fields": [value]},
        "recipe": {"fields": [value]},
        "task": {"task": value},
        "optimizer": {"training": {"optimizer": value}},
        "analysis": {"analyses": [value]},
        "executor": {"executor": value},
    }.get(data["kind"], {})
    if not wrapped:
        return f"inrbench results DIR --format {data['name']}"
    # In flow style a mapping of one name alone could not stand beside other keys.
    flow = False if isinstance(value, str) else None
    return str(yaml.safe_dump(wrapped, sort_keys=False, default_flow_style=flow, width=100)).rstrip()
