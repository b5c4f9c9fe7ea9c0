"""Core's own entries: the local executor and the plain reporters."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import Field

from inrbench_core.api.entries import ExecutorEntry, ReporterEntry
from inrbench_core.api.hookspecs import hookimpl
from inrbench_core.api.spec import ComponentSpec


class LocalSpec(ComponentSpec):
    """Warm worker processes on this machine."""

    jobs: int | None = Field(
        None, gt=0, description="runs at a time; if not given, one per core up to 8 on the CPU, and 1 on a GPU"
    )
    timeout_s: float | None = Field(None, gt=0, description="time limit of one run, in s")


class TableSpec(ComponentSpec):
    """A ranked table for the terminal."""


class CsvSpec(ComponentSpec):
    """Comma-separated values, one row per task and field."""


class JsonSpec(ComponentSpec):
    """One JSON object with every figure unrounded."""


class MarkdownSpec(ComponentSpec):
    """A table in Markdown."""


class LatexSpec(ComponentSpec):
    """A table in LaTeX (booktabs)."""


@hookimpl
def inrbench_executors() -> Iterator[ExecutorEntry]:
    yield ExecutorEntry("local", LocalSpec, "inrbench_core.runs.local:LocalExecutor")


@hookimpl
def inrbench_reporters() -> Iterator[ReporterEntry]:
    for name, spec in {
        "table": TableSpec,
        "csv": CsvSpec,
        "json": JsonSpec,
        "markdown": MarkdownSpec,
        "latex": LatexSpec,
    }.items():
        yield ReporterEntry(name, spec, f"inrbench_core.results.formats:{name}_report")
