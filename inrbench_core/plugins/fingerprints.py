"""Fingerprints of the code that computes a run: of core, and of each distribution that the run uses."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from inrbench_core.api.entries import Entry, TaskEntry
from inrbench_core.api.fingerprint import (
    code_files,
    counts_where_imported,
    imported_fingerprint,
    imported_names,
    is_importable,
    package_fingerprint,
    source_fingerprint,
)
from inrbench_core.api.spec import Component
from inrbench_core.plugins.catalog import Catalog, Registered

# The parts of core that decide a figure.
CORE_PARTS = ("api", "fit")
# The fingerprint of each distribution whose code this process has imported for a run.
_imported: dict[str, str] = {}


class Fingerprints:
    """Fingerprints of the code in a catalog, as it is on disk when it is first asked for.

    Args:
        catalog: where components come from.
    """

    def __init__(self, catalog: Catalog) -> None:
        self.catalog = catalog
        self._known: dict[str, str] = {"inrbench": package_fingerprint("inrbench_core", CORE_PARTS)}

    def of(self, components: Iterable[Component]) -> dict[str, str]:
        """The fingerprint of core and of each distribution or plugin file that components come from, by name.

        Args:
            components: the outermost ones; those inside them count as well.
        """
        used = {part.distribution for component in components for part in component.walk()} | {"inrbench"}
        for distribution in used - self._known.keys():
            self._known[distribution] = _distribution_fingerprint(self.catalog, distribution)
        return {distribution: self._known[distribution] for distribution in sorted(used)}


def note_imported(catalog: Catalog, code: Mapping[str, str]) -> list[str]:
    """Note that this process has imported code, which on disk has these fingerprints now.

    Args:
        catalog: where the code comes from.
        code: fingerprints by distribution, as `Fingerprints.of` gives them.

    Returns:
        distributions of which it had imported other code before, which a process cannot forget.
    """
    for distribution in code.keys() - _imported.keys():
        items = [item for item in catalog.registered if item.distribution == distribution and item.file is None]
        for package in [] if distribution == "inrbench" else packages_of(items):
            imported_fingerprint(package)
    return sorted(name for name, found in code.items() if _imported.setdefault(name, found) != found)


def _distribution_fingerprint(catalog: Catalog, distribution: str) -> str:
    items = [item for item in catalog.registered if item.distribution == distribution]
    plugin_files = sorted({item.file for item in items if item.file is not None})
    if plugin_files:
        return "-".join(part for file in plugin_files for part in _file_fingerprints(file, items))
    return "-".join(package_fingerprint(package) for package in packages_of(items))


def packages_of(items: Iterable[Registered]) -> list[str]:
    """The packages of a distribution: targets may be in another one than the hooks."""
    packages = {name for item in items for name in (item.package, *_target_packages(item))}
    return sorted(package for package in packages if is_importable(package))


def _file_fingerprints(plugin: Path, items: Iterable[Registered]) -> list[str]:
    """Of a plugin file with what is beside it, and of other plugins that these import."""
    files = with_neighbours(plugin, items)
    beside = {file.relative_to(plugin.parent).parts[0].removesuffix(".py") for file in files}
    imported = {name for file in files for name in imported_names(file)} - beside
    others = [package_fingerprint(name) for name in sorted(imported) if counts_where_imported(name)]
    return [source_fingerprint(plugin.parent, files), *others]


def with_neighbours(plugin: Path, items: Iterable[Registered]) -> set[Path]:
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
