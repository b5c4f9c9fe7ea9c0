"""What several commands share."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from inrbench_core.api.errors import InrbenchError
from inrbench_core.plugins.catalog import Catalog
from inrbench_core.plugins.loading import load_catalog

PluginFiles = Annotated[
    list[Path] | None,
    typer.Option("--plugin-file", help="Load this Python file as a plugin; may be given more than once."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")]


def say(text: str) -> None:
    """One message for people, on stderr."""
    print(f"inrbench: {text}", file=sys.stderr)


@lru_cache
def _catalog(plugin_files: tuple[Path, ...]) -> Catalog:
    return load_catalog(plugin_files)


def get_catalog(plugin_files: Sequence[Path] | None = None) -> Catalog:
    """The catalog of what is installed, loaded once. Raises InrbenchError if a plugin file is not there."""
    files = tuple(dict.fromkeys(file.resolve() for file in plugin_files or ()))
    for file in files:
        if not file.is_file():
            raise InrbenchError(f"--plugin-file {file}: {'a folder' if file.is_dir() else 'no such file'}")
    return _catalog(files)


def warn_of_broken_plugins(catalog: Catalog) -> None:
    """One line on stderr for each plugin that could not be used."""
    for failure in catalog.failures:
        say(f"warning: {failure.describe()}")


def print_json(data: Any) -> None:
    """Exactly one JSON object on stdout."""
    print(json.dumps(data, indent=2, ensure_ascii=False))


def make_console(*, stderr: bool = False, width: int = 200) -> Console:
    """A console as wide as the terminal, or of `width` characters where the output is a file or a pipe."""
    console = Console(stderr=stderr)
    return console if console.is_terminal else Console(stderr=stderr, width=width)
