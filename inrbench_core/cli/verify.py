"""`inrbench verify`: whether the tables of a folder follow from what is in it."""

from __future__ import annotations

import math
import time
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from inrbench_core.cli.common import AsJson, PluginFiles, emit, get_catalog, print_json, say

SCHEMA = "inrbench.verify/1"
SAY_EVERY_S = 5.0


def verify(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A folder that `inrbench eval` named at its end.")],
    refit: Annotated[int, typer.Option(min=0, metavar="N", help="Fit N runs, chosen at random, again.")] = 0,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the choice of --refit.")] = 0,
    as_json: AsJson = False,
    plugin_files: PluginFiles = None,
) -> None:
    """Recompute the metrics of a folder of results and name what disagrees, one line for each finding.

    Exit status 1 says that something was found.
    """
    from inrbench_core.results.verify.verify import verify as verify_folder

    report = verify_folder(folder, get_catalog(plugin_files), refit=refit, seed=seed, tell=_Progress().tell)
    if as_json:
        findings = [{key: _plain(value) for key, value in asdict(found).items()} for found in report.findings]
        print_json({"schema": SCHEMA, **asdict(report), "findings": findings})
    else:
        for finding in report.findings:
            emit(f"{finding.line()}\n")
        for unchecked in report.unchecked:
            emit(f"not checked: {unchecked.line()}\n")
        for note in report.notes:
            emit(f"note: {note}\n")
        count = len(report.findings)
        found = f"{count} finding{'s' * (count != 1)}" if count else "nothing found"
        refitted = f", {report.refitted} fitted again" if refit else ""
        emit(f"{report.recomputed} of {report.runs} runs computed again{refitted}: {found}\n")
    if report.findings:
        raise typer.Exit(1)


def _plain(value: Any) -> Any:
    """JSON has no NaN and no infinity: they are written as text."""
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


class _Progress:
    """Says every few seconds how far it is."""

    def __init__(self) -> None:
        self._said = time.monotonic()

    def tell(self, done: int, total: int, what: str) -> None:
        if time.monotonic() - self._said >= SAY_EVERY_S:
            self._said = time.monotonic()
            say(f"computing {done + 1} of {total}: {what}")
