"""`inrbench check`: the conformance kit over what is installed."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from inrbench_core.api.errors import InrbenchError
from inrbench_core.api.suggest import did_you_mean
from inrbench_core.cli.common import AsJson, PluginFiles, get_catalog, print_json
from inrbench_core.plugins.catalog import Catalog
from inrbench_core.plugins.discovery import normalise

if TYPE_CHECKING:
    from inrbench_core.testing import CheckResult


def check(
    distribution: Annotated[
        str | None, typer.Argument(metavar="DIST", help="Only the entries of this distribution or plugin file.")
    ] = None,
    as_json: AsJson = False,
    plugin_files: PluginFiles = None,
) -> None:
    """Check that components keep the contracts: shapes, gradients, seeds, saving, learning and more."""
    catalog = get_catalog(plugin_files)
    home = None if distribution is None else _home(distribution, catalog)
    from inrbench_core.testing import run_checks

    results: list[CheckResult] = []
    for item in catalog.registered:
        if home in (None, item.distribution):
            found = run_checks(item, catalog)
            results += found
            if not as_json:
                _show(found)
    broken = [failure.describe() for failure in catalog.failures if home in (None, failure.distribution)]
    counts = Counter(result.status for result in results)
    summary = {name: counts[name] for name in ("passed", "failed", "skipped")} | {"broken": len(broken)}
    if as_json:
        checks: list[dict[str, Any]] = [asdict(result) for result in results]
        print_json({"schema": "inrbench.check/1", "counts": summary, "checks": checks, "broken": broken})
    else:
        for line in broken:
            print(f"  broken   {line}")
        print(", ".join(f"{number} {name}" for name, number in summary.items() if number or name != "broken"))
    if counts["failed"] or broken:
        raise typer.Exit(1)


def _home(distribution: str, catalog: Catalog) -> str:
    """The distribution as the catalog names it. Raises InrbenchError if there is none."""
    homes = {item.distribution for item in catalog.registered} | {failure.distribution for failure in catalog.failures}
    for name in (distribution, normalise(distribution)):
        if name in homes:
            return name
    raise InrbenchError(f"no distribution {distribution!r} with plugins{did_you_mean(distribution, homes)}")


def _show(results: list[CheckResult]) -> None:
    """One line for the entry, and one for each check that did not pass."""
    counts = Counter(result.status for result in results)
    numbers = ", ".join(f"{counts[status]} {status}" for status in ("passed", "failed", "skipped") if counts[status])
    print(f"{results[0].kind} {results[0].entry}: {numbers}", flush=True)
    for result in results:
        if result.status != "passed":
            print(f"  {result.status:8} {result.name}: {result.reason}")
