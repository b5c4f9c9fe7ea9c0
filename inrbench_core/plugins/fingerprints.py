"""Fingerprints of the code that computes a run: of core, and of each distribution that the run uses."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

from inrbench_core.api.entries import Entry, TaskEntry
from inrbench_core.api.fingerprint import (
    code_files,
    imported_names,
    is_importable,
    package_fingerprint,
    source_fingerprint,
)
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
    plugin_files = sorted({item.file for item in items if item.file is not None})
    if plugin_files:
        return "-".join(part for file in plugin_files for part in _file_fingerprints(file, items, catalog))
    # Targets may be in another package of the distribution than the hooks.
    packages = {item.package for item in items} | {name for item in items for name in _target_packages(item)}
    there = sorted(package for package in packages if is_importable(package))
    return "-".join(package_fingerprint(package, related=catalog.packages) for package in there)


def _file_fingerprints(plugin: Path, items: Iterable[Registered], catalog: Catalog) -> list[str]:
    """Of a plugin file with what is beside it, and of the installed plugins that these import."""
    files = _with_neighbours(plugin, items)
    imported = {name for file in files for name in imported_names(file)} & catalog.packages
    installed = [package_fingerprint(package, related=catalog.packages) for package in sorted(imported)]
    return [source_fingerprint(plugin.parent, files), *installed]


def _with_neighbours(plugin: Path, items: Iterable[Registered]) -> set[Path]:
    """A plugin file, and the modules and packages beside it that it names as targets or imports, directly or not."""
    found, queue = {plugin}, [plugin]
    names = {name for item in items for name in _target_packages(item)}
    while True:
        new = {file for name in names for file in _beside(plugin.parent, name)} - found
        found |= new
        queue += sorted(file for file in new if file.suffix == ".py")
        if not queue:
            return found
        names = imported_names(queue.pop())


def _beside(folder: Path, name: str) -> list[Path]:
    if name == "inrbench_core" or name in sys.stdlib_module_names:
        return []
    module, package = folder / f"{name}.py", folder / name
    files = [module] if module.is_file() else []
    return [*files, *code_files(package)] if any(package.glob("*.py")) else files


def _target_packages(item: Registered) -> set[str]:
    """The top-level packages or modules that its code begins in."""
    entry = item.entry
    targets = [entry.target] if isinstance(entry, Entry) else []
    if isinstance(entry, TaskEntry) and entry.renderer:
        targets.append(entry.renderer)
    return {target.partition(":")[0].partition(".")[0] for target in targets}
