"""A plugin file with reporters, sound and faulty ones, and a command."""

from __future__ import annotations

import sys
from typing import Any

from pydantic import Field

from inrbench_core import ComponentSpec, ReporterEntry, Results, hookimpl


class PlainSpec(ComponentSpec):
    """A reporter without options."""


class LinesSpec(ComponentSpec):
    """One line for each run."""

    prefix: str = Field("run", description="how each line begins")
    most: int = Field(100, ge=1, description="lines, at most")


def lines(spec: LinesSpec, results: Results) -> str:
    found = [f"{spec.prefix} {run.field} {run.seed} {run.status}" for run in results.runs]
    return "\n".join(found[: spec.most]) + "\n"


def raises(spec: PlainSpec, results: Results) -> str:
    raise KeyError("no such\ncolumn \x1b[31m")


def exits(spec: PlainSpec, results: Results) -> str:
    sys.exit(0)


def silent(spec: PlainSpec, results: Results) -> Any:
    return None


@hookimpl
def inrbench_reporters() -> Any:
    yield ReporterEntry("lines", LinesSpec, "outputs_plugin:lines", api=1)
    for name in ("raises", "exits", "silent"):
        yield ReporterEntry(name, PlainSpec, f"outputs_plugin:{name}", api=1)


@hookimpl
def inrbench_commands(app: Any) -> None:
    @app.command("greet")
    def greet(name: str) -> None:
        """Greet somebody."""
        print(f"hello, {name}")
