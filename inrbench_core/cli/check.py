"""`inrbench check`: the conformance kit over what is installed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import asdict
from itertools import groupby
from typing import TYPE_CHECKING, Annotated, Any

import typer

from inrbench_core.api.errors import InrbenchError
from inrbench_core.api.suggest import did_you_mean
from inrbench_core.api.text import one_line
from inrbench_core.cli.common import AsJson, PluginFiles, all_plugin_files, emit, get_catalog, print_json
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
    """Check that components keep the contracts: shapes, gradients, seeds, saving, learning and more.

    Without DIST all that is installed is checked, or with --plugin-file the components of those files.
    """
    catalog = get_catalog(plugin_files)
    homes = _homes(distribution, catalog, [file.name for file in all_plugin_files(plugin_files)])
    from inrbench_core.testing import iter_checks, iter_hook_checks

    checks = [check for item in catalog.registered for check in iter_checks(item, catalog)]
    checks = [check for check in [*checks, *iter_hook_checks(catalog)] if check.subject.distribution in homes]
    results: list[CheckResult] = []
    for _, group in groupby(checks, key=lambda check: id(check.subject)):
        found = [check.run() for check in group]
        results += found
        if not as_json:
            _show(found)
    broken = [failure.describe() for failure in catalog.failures if failure.distribution in homes]
    counts = Counter(result.status for result in results)
    summary = {name: counts[name] for name in ("passed", "failed", "skipped")} | {"broken": len(broken)}
    if as_json:
        outcomes: list[dict[str, Any]] = [asdict(result) for result in results]
        print_json({"schema": "inrbench.check/1", "counts": summary, "checks": outcomes, "broken": broken})
    else:
        for line in broken:
            emit(f"  broken   {line}\n")
        emit(", ".join(f"{number} {name}" for name, number in summary.items() if number or name != "broken") + "\n")
    if counts["failed"] or broken:
        raise typer.Exit(1)


def _homes(distribution: str | None, catalog: Catalog, files: Collection[str]) -> set[str]:
    """The distributions and plugin files to check, as the catalog names them.

    Raises:
        InrbenchError: if `distribution` is none of them.
    """
    loaded = {label.rpartition(":")[0] for label, _ in catalog.manager.list_name_plugin()}
    known = loaded | {failure.distribution for failure in catalog.failures}
    if distribution is None:
        return known & set(files) if files else known
    for name in (distribution, normalise(distribution)):
        if name in known:
            return {name}
    raise InrbenchError(f"no distribution {distribution!r} with plugins{did_you_mean(distribution, known)}")


def _show(results: list[CheckResult]) -> None:
    """One line for the entry, and one for each check that did not pass."""
    counts = Counter(result.status for result in results)
    numbers = ", ".join(f"{counts[status]} {status}" for status in ("passed", "failed", "skipped") if counts[status])
    emit(f"{results[0].kind} {results[0].entry}: {numbers}\n")
    for result in results:
        if result.status != "passed":
            emit(f"  {result.status:8} {result.name}: {one_line(result.reason)}\n")
