"""Which plugins are installed, found without importing any of them."""

from __future__ import annotations

import importlib.metadata
import os
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass

import entrypoints

from inrbench_core.plugins.failures import PluginFailure, one_line

GROUP = "inrbench"


@dataclass(frozen=True)
class PluginSource:
    """An installed entry point of the group `inrbench`."""

    name: str
    module: str
    distribution: str
    version: str

    @property
    def package(self) -> str:
        """The top-level package or module that it names."""
        return self.module.partition(".")[0]


def normalise(distribution: str) -> str:
    """Distribution names compare without case and with '-' for '_' and '.' (PEP 503)."""
    return re.sub(r"[-_.]+", "-", distribution).lower()


def discover() -> tuple[list[PluginSource], list[PluginFailure]]:
    """All installed entry points of the group, sorted by distribution and name."""
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", entrypoints.BadEntryPoint)
            found = entrypoints.get_group_all(GROUP)
    except Exception:
        # One malformed entry_points.txt, anywhere, makes `entrypoints` give up on all of them.
        return _discover_one_by_one()
    if any(issubclass(warning.category, entrypoints.BadEntryPoint) for warning in caught):
        return _discover_one_by_one()
    sources = [
        PluginSource(point.name, point.module_name, normalise(point.distro.name), point.distro.version)
        for point in found
        if point.distro is not None
    ]
    return _in_order(sources), []


def _discover_one_by_one() -> tuple[list[PluginSource], list[PluginFailure]]:
    # torch looks for device backends in the same files when it is imported, and would end us with them.
    os.environ.setdefault("TORCH_DEVICE_BACKEND_AUTOLOAD", "0")
    sources: list[PluginSource] = []
    failures: list[PluginFailure] = []
    for distribution in importlib.metadata.distributions():
        name, version = normalise(distribution.metadata["Name"] or "unknown"), distribution.version
        try:
            text = distribution.read_text("entry_points.txt")
            sources += [PluginSource(point, module, name, version) for point, module in _parse(text or "")]
        except Exception as error:
            failures.append(
                PluginFailure(name, version, "", "discover", f"entry_points.txt cannot be read: {one_line(error)}")
            )
    return _in_order(sources), failures


def _parse(text: str) -> list[tuple[str, str]]:
    """(name, module) of each entry point of our group; raises ValueError on a malformed file."""
    section = None
    points = []
    for number, raw in enumerate(text.splitlines(), start=1):
        line = raw.strip()
        if not line or line.startswith(("#", ";")):
            continue
        if line.startswith("[") and line.endswith("]"):
            section = line[1:-1].strip()
            continue
        name, equals, target = (part.strip() for part in line.partition("="))
        if section is None or not equals or not re.fullmatch(r"[\w.]+(\s*:\s*[\w.]+)?(\s*\[.*\])?", target):
            raise ValueError(f"line {number} is not 'name = module': {line!r}")
        if section == GROUP:
            points.append((name, re.split(r"[:\[]", target)[0].strip()))
    return points


def _in_order(sources: list[PluginSource]) -> list[PluginSource]:
    unique = dict.fromkeys(sources)
    return sorted(unique, key=lambda source: (source.distribution, source.name))


def allowed(distribution: str, environment: Mapping[str, str] = os.environ) -> bool:
    """Whether INRBENCH_PLUGINS and INRBENCH_DISABLE, lists of distribution names, let it load."""
    only = environment.get("INRBENCH_PLUGINS")
    disabled = environment.get("INRBENCH_DISABLE", "")
    if only is not None and distribution not in _names(only):
        return False
    return distribution not in _names(disabled)


def _names(listing: str) -> set[str]:
    return {normalise(name.strip()) for name in listing.split(",") if name.strip()}
