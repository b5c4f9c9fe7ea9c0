"""Prepared data on disk: what takes long to compute is kept for the next process. Imports no torch."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.metadata
import io
import json
import os
import time
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from inrbench_core.api.fingerprint import imported_fingerprint, package_fingerprint

Arrays = Mapping[str, np.ndarray[Any, Any]]

# What is made in less time is not worth a file.
LEAST_SECONDS = 0.5
# Above this size the files that were used longest ago are deleted.
MOST_BYTES = 4 << 30
ORPHANED_S = 86_400.0
# Distributions that the official plugins compute or read prepared data with: their versions may differ in its values.
LIBRARIES = (
    "av",
    "nibabel",
    "numpy",
    "pillow",
    "pydicom",
    "scikit-image",
    "scipy",
    "soundfile",
    "tifffile",
    "torch",
    "trimesh",
)
SUFFIX = ".arrays"
# Of each file's beginning; numpy's npz follows.
CHECKSUM_BYTES = 16


def cache_folder() -> Path:
    """Where prepared data is kept: $INRBENCH_CACHE, else inrbench under $XDG_CACHE_HOME or ~/.cache."""
    if chosen := os.environ.get("INRBENCH_CACHE"):
        return Path(chosen)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "inrbench"


def cached_arrays(module: str, key: Mapping[str, Any], make: Callable[[], Arrays]) -> dict[str, np.ndarray[Any, Any]]:
    """The arrays that `make` returns, from disk if they were made before.

    They are found by `key`, by the versions of `LIBRARIES`, and by the code of core's `api` and of the package that
    `module` belongs to, with the plugins that it imports, so that edited code makes them anew. A file that is damaged
    or not readable is made again; where nothing can be written nothing is kept.

    Args:
        module: the caller's `__name__`.
        key: plain data that decides the arrays: options, the SHA-256 of every file that is read, and versions of
            libraries beyond `LIBRARIES`.
        make: computes named arrays, of dtypes without objects.
    """
    package = module.partition(".")[0]
    code = [imported_fingerprint(package), imported_fingerprint("inrbench_core", ("api",))]
    if code != [package_fingerprint(package), package_fingerprint("inrbench_core", ("api",))]:
        # Edited since it was imported: what this process computes belongs to neither version's files.
        return _made(make)
    known = json.dumps([package, code, _library_versions(), dict(key)], sort_keys=True, default=str)
    path = cache_folder() / f"{hashlib.blake2b(known.encode(), digest_size=16).hexdigest()}{SUFFIX}"
    found = _read(path)
    if found is not None:
        return found
    started = time.perf_counter()
    made = _made(make)
    if time.perf_counter() - started >= LEAST_SECONDS:
        _write(path, made)
    return made


@cache
def _library_versions() -> dict[str, str]:
    """Versions of those of `LIBRARIES` that are installed."""
    versions = {}
    for name in LIBRARIES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions[name] = importlib.metadata.version(name)
    return versions


def _made(make: Callable[[], Arrays]) -> dict[str, np.ndarray[Any, Any]]:
    return {name: np.asarray(array) for name, array in make().items()}


def _read(path: Path) -> dict[str, np.ndarray[Any, Any]] | None:
    try:
        content = path.read_bytes()
        checksum, body = content[:CHECKSUM_BYTES], content[CHECKSUM_BYTES:]
        if hashlib.blake2b(body, digest_size=CHECKSUM_BYTES).digest() != checksum:
            return None
        with np.load(io.BytesIO(body), allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        os.utime(path)
    except (OSError, ValueError):
        return None
    return arrays


def _write(path: Path, arrays: Arrays) -> None:
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)  # type: ignore[arg-type]
    body = buffer.getbuffer()
    temporary = path.with_name(f".{path.stem}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as file:
            file.write(hashlib.blake2b(body, digest_size=CHECKSUM_BYTES).digest())
            file.write(body)
        temporary.replace(path)
        _clean(path.parent)
    except OSError:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def _clean(folder: Path) -> None:
    """Delete what was used longest ago beyond the bound, and what processes that were killed left behind."""
    for orphan in folder.glob(".*.tmp"):
        if time.time() - orphan.stat().st_mtime > ORPHANED_S:
            orphan.unlink(missing_ok=True)
    known = [(file.stat(), file) for file in folder.glob(f"*{SUFFIX}")]
    total = 0
    for status, file in sorted(known, key=lambda item: item[0].st_mtime, reverse=True):
        total += status.st_size
        if total > MOST_BYTES:
            file.unlink(missing_ok=True)
