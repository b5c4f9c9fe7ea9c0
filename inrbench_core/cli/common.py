"""What several commands share: plugin files, and every way to print, each safe for a terminal."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from inrbench_core.api.text import json_text, one_line, printable
from inrbench_core.plugins.catalog import Catalog, check_plugin_files
from inrbench_core.plugins.loading import load_catalog

PluginFiles = Annotated[
    list[Path] | None,
    typer.Option("--plugin-file", help="Load this Python file as a plugin; may be given more than once."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")]


def say(text: str) -> None:
    """One message for people, on stderr."""
    print(f"inrbench: {one_line(text)}", file=sys.stderr)


def emit(text: str, *, stderr: bool = False) -> None:
    """Text as it is, line by line, without what a terminal would act on."""
    print(printable(text), file=sys.stderr if stderr else sys.stdout, end="", flush=True)


def print_json(data: Any) -> None:
    """Exactly one JSON object on stdout."""
    print(json_text(data))


class SafeConsole(Console):
    """A console that writes out, in what it is given, all that a terminal would act on."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        for segment in super().render(renderable, options):
            safe = segment.text if segment.control else printable(segment.text)
            yield segment if safe == segment.text else Segment(safe, segment.style, segment.control)


def make_console(*, stderr: bool = False, width: int = 200) -> Console:
    """A console as wide as the terminal, or as COLUMNS says; else of `width` characters."""
    # A label such as a:b:c is no emoji.
    console = SafeConsole(stderr=stderr, emoji=False)
    columns = os.environ.get("COLUMNS", "")
    if console.is_terminal or (columns.isdecimal() and int(columns)):
        return console
    return SafeConsole(stderr=stderr, emoji=False, width=width)


@lru_cache
def _catalog(plugin_files: tuple[Path, ...]) -> Catalog:
    return load_catalog(plugin_files)


# Those given before the command: `inrbench --plugin-file FILE COMMAND`.
_global_plugin_files: list[Path] = []


def add_plugin_files(files: Sequence[Path]) -> None:
    """Have every catalog of this process load these plugin files, too."""
    _global_plugin_files.extend(files)


def all_plugin_files(plugin_files: Sequence[Path] | None) -> list[Path]:
    """The plugin files given before and after the command. Raises InrbenchError if one is not there."""
    files = list(dict.fromkeys([*_global_plugin_files, *(plugin_files or ())]))
    check_plugin_files(files, "--plugin-file")
    return files


def get_catalog(plugin_files: Sequence[Path] | None = None) -> Catalog:
    """The catalog of what is installed, loaded once. Raises InrbenchError if a plugin file is not there."""
    return _catalog(tuple(dict.fromkeys(file.resolve() for file in all_plugin_files(plugin_files))))


def warn_of_broken_plugins(catalog: Catalog) -> None:
    """One line on stderr for each plugin that could not be used."""
    for failure in catalog.failures:
        say(f"warning: {failure.describe()}")
