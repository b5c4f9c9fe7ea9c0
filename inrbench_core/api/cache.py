"""Prepared data on disk: what takes long to compute is kept for the next process. Imports no torch."""

from __future__ import annotations

import hashlib
import json
import os
import time
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from inrbench_core.api.fingerprint import package_fingerprint

Arrays = Mapping[str, np.ndarray[Any, Any]]

# What is made in less time is not worth a file.
LEAST_SECONDS = 0.5
# Above this size the files that were used longest ago are deleted.
MOST_BYTES = 4 << 30


def cache_folder() -> Path:
    """Where prepared data is kept: $INRBENCH_CACHE, else inrbench under $XDG_CACHE_HOME or ~/.cache."""
    if chosen := os.environ.get("INRBENCH_CACHE"):
        return Path(chosen)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "inrbench"


def cached_arrays(module: str, key: Mapping[str, Any], make: Callable[[], Arrays]) -> dict[str, np.ndarray[Any, Any]]:
    """The arrays that `make` returns, from disk if they were made before.

    They are found by `key` and by the code of the package that `module` belongs to, so that edited code makes them
    anew. A file that is not readable is made again; where nothing can be written nothing is kept.

    Args:
        module: the caller's `__name__`.
        key: plain data that decides the arrays: options, and the SHA-256 of every file that is read.
        make: computes named arrays, of dtypes without objects.
    """
    package = module.partition(".")[0]
    known = json.dumps([package, package_fingerprint(package), dict(key)], sort_keys=True, default=str)
    path = cache_folder() / f"{hashlib.blake2b(known.encode(), digest_size=16).hexdigest()}.npz"
    found = _read(path)
    if found is not None:
        return found
    started = time.perf_counter()
    made = {name: np.asarray(array) for name, array in make().items()}
    if time.perf_counter() - started >= LEAST_SECONDS:
        _write(path, made)
    return made


def _read(path: Path) -> dict[str, np.ndarray[Any, Any]] | None:
    try:
        # The zip format keeps a checksum of each array, which reading it compares.
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        os.utime(path)
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile):
        return None
    return arrays


def _write(path: Path, arrays: Arrays) -> None:
    temporary = path.with_name(f".{path.stem}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as file:
            np.savez(file, **arrays)  # type: ignore[arg-type]
        temporary.replace(path)
        _delete_oldest(path.parent)
    except OSError:
        temporary.unlink(missing_ok=True)


def _delete_oldest(folder: Path) -> None:
    files = sorted(((file.stat().st_mtime, file.stat().st_size, file) for file in folder.glob("*.npz")), reverse=True)
    total = 0
    for _, size, file in files:
        total += size
        if total > MOST_BYTES:
            file.unlink(missing_ok=True)
