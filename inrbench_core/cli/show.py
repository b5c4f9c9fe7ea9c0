"""`inrbench show`: one component, with a snippet to paste."""

from __future__ import annotations

import itertools
import math
import re
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
# Characters before a fact, for its title.
FACT_INDENT = 13
STANDS_FOR = "stands for"
BULLET = "- "
# The beginning of an entry of `Args:`, `Raises:` and the like.
NAMED_ENTRY = re.compile(r"\s+\S[^:]*:\s")


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
    width = min(console.width, MOST_COLUMNS)
    console.print(f"[bold cyan]{escape(data['name'])}[/bold cyan] ({kind}): {escape(data['summary'])}", highlight=False)
    if data["details"]:
        text = wrapped(data["details"], width)
        console.print(f"\n{text}\n", highlight=False, markup=False, soft_wrap=True)
    for title, lines in _facts(data).items():
        # YAML is there to be copied.
        whole = title == STANDS_FOR
        folded = lines if whole else [part for line in lines for part in _folded(line, width - FACT_INDENT)]
        if folded:
            text = f"\n{'':<{FACT_INDENT}}".join(folded)
            console.print(f"{title:<{FACT_INDENT}}{text}", highlight=False, markup=False, soft_wrap=True)
    if data["parameters"]:
        print_table(console, "", PARAMETER_COLUMNS, [_parameter_row(parameter) for parameter in data["parameters"]])
    console.print("on the command line:" if kind == "reporter" else "in a spec:", style="bold")
    console.print(data["yaml"], highlight=False, markup=False, soft_wrap=True)
    if kind in DRAWN_KINDS and plot_file is None:
        try:
            drawing = _drawing(_curves(catalog, kind, name))
        except InrbenchError as error:
            say(str(error))
        else:
            console.print(f"\n{drawing}", highlight=False, markup=False, soft_wrap=True)


def wrapped(text: str, width: int) -> str:
    """A docstring folded at a width, in characters.

    Paragraphs are filled. Items of lists and indented text keep their indent, and are folded only where a line of
    theirs is longer; lines of tables stay as they are.
    """
    blocks: list[list[str]] = []
    for line in text.splitlines():
        if blocks and _continues(line, blocks[-1][0]):
            blocks[-1].append(line)
        else:
            blocks.append([line])
    return "\n".join(itertools.chain.from_iterable(_folded_block(block, width) for block in blocks))


def _continues(line: str, first: str) -> bool:
    """Whether a line belongs to the block of a docstring that begins with the line `first`."""
    if any(not text.strip() or _is_table(text) for text in (line, first)) or _is_item(line):
        return False
    indent, outer = _indent(line), _indent(first)
    if _is_item(first):
        return indent > outer
    if outer == 0:
        return indent == 0
    return indent > outer or (indent == outer and not NAMED_ENTRY.match(line))


def _folded_block(block: list[str], width: int) -> list[str]:
    first = block[0]
    indent = _indent(first)
    is_prose = indent == 0 and not _is_item(first)
    if not first.strip() or _is_table(first) or (not is_prose and max(map(len, block)) <= width):
        return block
    further = len(BULLET) if _is_item(first) else 4 if NAMED_ENTRY.match(first) else 0
    return _folded(" ".join(map(str.strip, block)), width, " " * indent, " " * (indent + further))


def _folded(text: str, width: int, first_indent: str = "", indent: str = "") -> list[str]:
    return textwrap.wrap(
        text,
        width,
        initial_indent=first_indent,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _is_item(line: str) -> bool:
    return line.lstrip().startswith(BULLET)


def _is_table(line: str) -> bool:
    # A line of prose may begin with an absolute value.
    return line.startswith("|") and line.rstrip().endswith("|")


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


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


def _facts(data: dict[str, Any]) -> dict[str, list[str]]:
    """The lines of each fact by its title; no lines where there is nothing to say."""
    made_of = [f"{part['kind']} {part['name']}: {part['formula']}" for part in data.get("components", [])]
    facts = {
        "formula": data.get("formula", ""),
        "reference": data["reference"],
        "also called": ", ".join(data["aliases"]),
        "metrics": ", ".join(_metric_text(metric) for metric in data.get("metrics", [])),
        "ranked by": data.get("rank_by", ""),
        "baselines": ", ".join(data.get("baselines", [])),
        "training": ", ".join(f"{key}: {value}" for key, value in data.get("training", {}).items()),
    }
    return {
        **{title: [text] for title, text in facts.items()},
        STANDS_FOR: [_one_line_of_yaml(data["stands_for"])] if "stands_for" in data else [],
        "made of": made_of,
        "distribution": [f"{data['distribution']} {data['version']}"],
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
