"""The kit in the tests of a plugin. pytest is imported only when it is used."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from inrbench_core.plugins.catalog import Catalog, Registered
from inrbench_core.plugins.discovery import normalise
from inrbench_core.plugins.loading import load_catalog
from inrbench_core.testing.kit import Check, iter_checks, iter_hook_checks

if TYPE_CHECKING:
    import pytest


def parametrize_with_checks(
    subjects: str | Iterable[Registered],
    catalog: Catalog | None = None,
    *,
    options: Mapping[str, Mapping[str, Any]] | None = None,
    excused: Mapping[str, str] | None = None,
) -> pytest.MarkDecorator:
    """Run a test once for each check; the test calls its argument `check`.

    Args:
        subjects: the name of an installed distribution, whose life-cycle hooks and commands are checked as well, or
            entries of the catalog.
        catalog: default: what is installed.
        options: values for the specs of entries by their names, such as a small size for a task.
        excused: checks that may fail, as "entry/check", with the reason; they are skipped then.

    Raises:
        ValueError: if there is nothing to check, or `excused` names no check.
    """
    import pytest

    catalog = catalog or load_catalog()
    found: list[Check] = []
    if isinstance(subjects, str):
        name = normalise(subjects)
        broken = [failure.describe() for failure in catalog.failures if failure.distribution == name]
        if broken:
            raise ValueError("; ".join(broken))
        subjects = [item for item in catalog.registered if item.distribution == name]
        found += [check for check in iter_hook_checks(catalog) if check.subject.distribution == name]
    for item in subjects:
        found += iter_checks(item, catalog, (options or {}).get(item.entry.name))
    checks = {f"{check.subject.name}/{check.name}": check for check in found}
    excused = excused or {}
    unknown = sorted(excused.keys() - checks.keys())
    if not checks or unknown:
        raise ValueError(f"no check {unknown[0]!r}" if unknown else "there is no entry to check")
    cases = [pytest.param(_Case(check, excused.get(key)), id=check.id) for key, check in checks.items()]
    return pytest.mark.parametrize("check", cases)


class _Case:
    """A check that tells pytest how it ended."""

    def __init__(self, check: Check, excuse: str | None) -> None:
        self.check = check
        self.excuse = excuse

    def __call__(self) -> None:
        import pytest

        result = self.check.run()
        if result.status == "failed" and self.excuse is None:
            pytest.fail(f"{self.check.id}: {result.reason}", pytrace=False)
        if result.status != "passed":
            pytest.skip(f"{self.excuse} ({result.reason})" if result.status == "failed" else result.reason)
