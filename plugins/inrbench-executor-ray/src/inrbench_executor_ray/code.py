"""What travels to the nodes: the code of inrbench and its plugins, plugin files, and the user's files.

Installed code goes as the working folder of Ray's runtime environment. Plugin files and the user's files are only known
with each job, and go through Ray's object store, once each.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from inrbench_core.api.executor import Job
from inrbench_core.api.fingerprint import code_files, counts_where_imported, imported_names
from inrbench_core.plugins.catalog import Registered
from inrbench_core.plugins.fingerprints import packages_of, with_neighbours
from inrbench_core.plugins.loading import load_catalog


def stage(folder: Path) -> list[str]:
    """Copy core, all loaded plugins, and packages developed here that they import, with their metadata into a folder.

    Args:
        folder: an empty folder, which a worker finds at the front of `sys.path`.

    Returns:
        names of the plugins' distributions.
    """
    items = [item for item in load_catalog().registered if item.file is None]
    plugins = sorted({item.distribution for item in items} - {"inrbench"})
    packages = {"inrbench_core", *packages_of(item for item in items if item.distribution in plugins)}
    for package in packages | _developed_here(packages):
        _copy_package(package, folder)
    for distribution in ["inrbench", *plugins]:
        _copy_metadata(importlib.metadata.distribution(distribution), folder)
    return plugins


def _developed_here(packages: Iterable[str]) -> set[str]:
    """What packages import, directly or not, of plugins and of code that is not installed but developed here."""
    found: set[str] = set()
    queue = list(packages)
    while queue:
        files = [file for _, file in _files(queue.pop()) if file.suffix == ".py"]
        new = {name for file in files for name in imported_names(file) if counts_where_imported(name)} - found
        found |= new
        queue += new
    return found


def _files(package: str) -> list[tuple[Path, Path]]:
    """The files of a top-level package or module, each with its place on the path of imports."""
    spec = importlib.util.find_spec(package)
    if spec is None or not (spec.submodule_search_locations or spec.origin):
        return []
    if not spec.submodule_search_locations:
        return [(Path(str(spec.origin)).name, Path(str(spec.origin)))]  # type: ignore[list-item]
    folders = [Path(place) for place in spec.submodule_search_locations]
    return [(Path(package, file.relative_to(place)), file) for place in folders for file in code_files(place)]


def _copy_package(package: str, folder: Path) -> None:
    for place, file in _files(package):
        target = folder / place
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, target)


def _copy_metadata(distribution: importlib.metadata.Distribution, folder: Path) -> None:
    """What entry points and versions are read from."""
    name = distribution.metadata["Name"].replace("-", "_")
    target = folder / f"{name}-{distribution.version}.dist-info"
    target.mkdir()
    for file in ("METADATA", "entry_points.txt"):
        (target / file).write_text(distribution.read_text(file) or "", encoding="utf-8")


@dataclass(frozen=True)
class Parcel:
    """Files that travel together.

    Args:
        digest: of all of them.
        main: the one that is meant, relative to their folder.
        content: a reference to a mapping of relative paths to bytes in Ray's object store.
    """

    digest: str
    main: str
    content: Any


class Parcels:
    """Puts each file into Ray's object store once.

    Args:
        put: `ray.put`.
    """

    def __init__(self, put: Callable[[Any], Any]) -> None:
        self._put = put
        self._known: dict[tuple[str, tuple[tuple[str, int, int], ...]], Parcel] = {}
        self._plugins: dict[tuple[str, ...], list[Registered]] = {}

    def of(self, job: Job) -> dict[str, Parcel]:
        """The parcel of each plugin file and each user's file of a job, by its path. Raises OSError."""
        parcels = {path: self._parcel(Path(path), {Path(path)}) for path in job.files}
        if job.plugin_files:
            if job.plugin_files not in self._plugins:
                catalog = load_catalog([Path(file) for file in job.plugin_files])
                self._plugins[job.plugin_files] = [item for item in catalog.registered if item.file is not None]
            for path in job.plugin_files:
                items = [item for item in self._plugins[job.plugin_files] if str(item.file) == path]
                parcels[path] = self._parcel(Path(path), with_neighbours(Path(path), items))
        return parcels

    def _parcel(self, main: Path, files: set[Path]) -> Parcel:
        states = [(str(file), file.stat()) for file in sorted(files)]
        key = str(main), tuple((name, state.st_mtime_ns, state.st_size) for name, state in states)
        if key not in self._known:
            content = {file.relative_to(main.parent).as_posix(): file.read_bytes() for file in sorted(files)}
            digest = hashlib.blake2b(digest_size=16)
            for name, data in content.items():
                digest.update(f"{len(name)} {len(data)} {name}".encode() + data)
            self._known[key] = Parcel(digest.hexdigest(), main.name, self._put(content))
        return self._known[key]


def unpack(parcel: Parcel) -> Path:
    """The parcel's main file on this machine, in the working folder that Ray made for the experiment's code."""
    import ray

    folder = Path("files", parcel.digest).absolute()
    if not folder.is_dir():
        folder.parent.mkdir(exist_ok=True)
        # Another worker of this node may be at the same.
        with tempfile.TemporaryDirectory(dir=folder.parent) as made:
            for name, data in ray.get(parcel.content).items():
                target = Path(made, "content", name)
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(data)
            try:
                os.rename(Path(made, "content"), folder)
            except OSError:
                if not folder.is_dir():
                    raise
    return folder / parcel.main
