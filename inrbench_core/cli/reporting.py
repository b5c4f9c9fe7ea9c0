"""Choosing a reporter and its options, for `eval` and `results`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer
from pydantic import ValidationError

from inrbench_core.api.errors import InrbenchError
from inrbench_core.api.spec import Component
from inrbench_core.cli.common import emit, make_console, print_json, say
from inrbench_core.plugins.catalog import Catalog
from inrbench_core.plugins.failures import one_line
from inrbench_core.results.tables import WIDE
from inrbench_core.spec.yaml_io import parse_value, show_path

if TYPE_CHECKING:
    from inrbench_core.results.results import Results

FormatName = Annotated[
    str | None,
    typer.Option(
        "--format", help="table, runs, csv, json, markdown, latex, time-to-target, pareto, or a plugin's reporter."
    ),
]
FormatOptions = Annotated[
    list[str] | None,
    typer.Option("--option", metavar="KEY=VALUE", help="An option of the format; `inrbench show reporter NAME`."),
]
# Formats whose data `--json` prints.
WITH_JSON = ("table", "runs", "json")
Sort = Annotated[str | None, typer.Option(metavar="METRIC", help="Rank by this metric.")]


@dataclass(frozen=True)
class Reporter:
    """A reporter with its options.

    Args:
        component: the reporter.
    """

    component: Component

    @property
    def is_table(self) -> bool:
        """Whether it is core's table for the terminal."""
        return self.component.entry.target == "inrbench_core.results.formats:table_report"

    @property
    def sort(self) -> str:
        """The metric that it is asked to rank by, or ""."""
        return str(getattr(self.component.spec, "sort", ""))

    def write(self, results: Results, *, as_json: bool = False) -> None:
        """Print what it makes of results; the table as wide as the terminal.

        Args:
            results: what to print.
            as_json: the data of the table, or of the runs, as JSON.

        Raises:
            InrbenchError: if there is no metric of the name that is to rank, or the plugin itself raises it.
            typer.Exit: with status 1, after one line on stderr, if the plugin's code raises anything else.
        """
        from inrbench_core.results.formats import json_data, print_tables, runs_data

        if as_json:
            by_run = self.component.name == "runs"
            print_json(runs_data(results) if by_run else json_data(results.leaderboards(self.sort)))
        elif self.is_table:
            print_tables(make_console(width=WIDE), results.leaderboards(self.sort))
        else:
            emit(self._text(results))

    def _text(self, results: Results) -> str:
        try:
            text = self.component.entry.load()(self.component.spec, results)
            if not isinstance(text, str):
                raise TypeError(f"it returned {type(text).__name__}, not text")
        except InrbenchError:
            raise
        except (Exception, SystemExit) as error:
            # The spec and the options are right, and the results are kept: this is no mistake of the caller's.
            say(
                f"the reporter {self.component.name!r} of {self.component.distribution} raised {one_line(error)}; "
                "the results are kept, and another --format shows them"
            )
            raise typer.Exit(1) from None
        return text


def find_reporter(
    catalog: Catalog, name: str | None, options: list[str] | None, sort: str | None, *, as_json: bool
) -> Reporter:
    """The reporter asked for; default: the table.

    Raises:
        InrbenchError: if there is none of that name, it has no such option, or `--json` does not go with it.
    """
    if name is None and options:
        raise InrbenchError("--option belongs to --format")
    name = name or "table"
    if as_json and name not in WITH_JSON:
        raise InrbenchError(f"--json and --format {name}: give one of them")
    values: dict[str, Any] = {"name": name}
    for option in options or []:
        key, equals, text = option.partition("=")
        if not equals or not key:
            raise InrbenchError(f"--option {option}: expected key=value")
        try:
            values[key] = parse_value(text)
        except ValueError as error:
            raise InrbenchError(f"--option {option}: {error}") from None
    if sort is not None:
        values["sort"] = sort
    try:
        return Reporter(catalog.resolve("reporter", values))
    except ValidationError as error:
        problem = error.errors()[0]
        path = show_path(problem["loc"])
        where = "--format" if path in ("", "name") else f"--format {name}: {path}"
        raise InrbenchError(f"{where}: {problem['msg']}") from None
