"""Fingerprints of the code that computes a run: of core, and of each distribution that the run uses."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from inrbench_core.api.entries import Entry, TaskEntry
from inrbench_core.api.fingerprint import imported_names, package_fingerprint, source_fingerprint
from inrbench_core.api.spec import Component
from inrbench_core.plugins.catalog import Catalog, Registered

# The rooms of core that decide a figure.
CORE_ROOMS = ("api", "fit")


class Fingerprints:
    """Fingerprints of the code in a catalog, as it is on disk when it is first asked for.

    Args:
        catalog: where components come from.
    """

    def __init__(self, catalog: Catalog) -> None:
        self.catalog = catalog
        self._known: dict[str, str] = {"inrbench": package_fingerprint("inrbench_core", CORE_ROOMS)}

    def of(self, components: Iterable[Component]) -> dict[str, str]:
        """The fingerprint of core and of each distribution or plugin file that components come from, by name.

        Args:
            components: the outermost ones; those inside them count as well.
        """
        used = {part.distribution for component in components for part in component.walk()} | {"inrbench"}
        for distribution in used - self._known.keys():
            self._known[distribution] = _distribution_fingerprint(self.catalog, distribution)
        return {distribution: self._known[distribution] for distribution in sorted(used)}


def _distribution_fingerprint(catalog: Catalog, distribution: str) -> str:
    items = [item for item in catalog.registered if item.distribution == distribution]
    files = {item.file for item in items if item.file is not None}
    if files:
        return source_fingerprint(sorted(set().union(*(_with_neighbours(file, items) for file in files))))
    packages = sorted({item.package for item in items})
    return "-".join(package_fingerprint(package, related=catalog.packages) for package in packages)


def _with_neighbours(plugin: Path, items: Iterable[Registered]) -> set[Path]:
    """A plugin file and the modules beside it that it names as targets or imports, directly or not."""
    found, queue = {plugin}, [plugin]
    names = {target.partition(":")[0] for item in items for target in _targets(item)}
    while True:
        files = {plugin.parent / f"{name.replace('.', '/')}.py" for name in names}
        new = {file for file in files if file.is_file()} - found
        found |= new
        queue += sorted(new)
        if not queue:
            return found
        names = imported_names(queue.pop())


def _targets(item: Registered) -> list[str]:
    if not isinstance(item.entry, Entry):
        return []
    renderer = item.entry.renderer if isinstance(item.entry, TaskEntry) else ""
    return [item.entry.target, renderer] if renderer else [item.entry.target]
