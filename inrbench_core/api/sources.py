"""Where a task's signal comes from: a name that it knows, or the user's own file. Imports no torch."""

from __future__ import annotations

import hashlib
import importlib.metadata
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationInfo

from inrbench_core.api.errors import DataError
from inrbench_core.api.suggest import did_you_mean


@dataclass(frozen=True)
class Sample:
    """A file that another distribution carries, found without importing it.

    Args:
        distribution: who carries it.
        file: its name there, unique in the distribution.
        sha256: of its content, so that a change upstream is an error and not another benchmark.
        licence: what is known of its terms.
        extra: what to install to have it, such as "inrbench-task-audio[samples]".
    """

    distribution: str
    file: str
    sha256: str
    licence: str
    extra: str


def find_sample(name: str, samples: Mapping[str, Sample]) -> Path:
    """Where the sample's file lies. Raises DataError, naming the extra, if it is not installed."""
    sample = samples[name]
    try:
        files = importlib.metadata.files(sample.distribution) or []
    except importlib.metadata.PackageNotFoundError:
        files = []
    found = [Path(str(file.locate())) for file in files if file.name == sample.file]
    if not found or not found[0].is_file():
        raise DataError(f"the sample {name!r} needs an extra: pip install '{sample.extra}'")
    return found[0]


def find_source(
    source: str,
    info: ValidationInfo,
    kind: str,
    names: Collection[str] = (),
    samples: Mapping[str, Sample] | None = None,
    *,
    folders: bool = False,
) -> str:
    """What a task's `source` stands for; for a field validator.

    Args:
        source: what the spec says; a path is relative to the spec's folder.
        info: the validator's.
        kind: what a source is, such as "picture".
        names: what the task knows without any file of the user's.
        samples: what it knows if an extra is installed.
        folders: whether a folder will do.

    Returns:
        the name as it is, or the absolute path of what is there.

    Raises:
        ValueError: a sample is not installed, nothing is there, or no name is like that.
    """
    samples = samples or {}
    if source in samples:
        try:
            find_sample(source, samples)
        except DataError as error:
            raise ValueError(str(error)) from None
    known = [*names, *samples]
    if source in known:
        return source
    path = Path((info.context or {}).get("folder", "."), Path(source).expanduser()).resolve()
    if path.is_file() or (folders and path.is_dir()):
        return str(path)
    if path.is_dir():
        raise ValueError(f"{path} is a folder; a {kind} is one file")
    thing = "file or folder" if folders else "file"
    if Path(source).suffix or len(Path(source).parts) > 1:
        raise ValueError(f"no such {thing}: {path}")
    hint = did_you_mean(source, known)
    raise ValueError(f"unknown {kind} {source!r}{hint} (known: {', '.join(known)}, or a {thing})")


def content_sha256(path: Path) -> str:
    """The SHA-256 of a file's content, or of the names and contents of all files in a folder.

    Raises:
        DataError: if something in it cannot be read.
    """
    if not path.is_dir():
        return file_sha256(path)
    files = sorted(file for file in path.rglob("*") if file.is_file())
    listing = "\n".join(f"{file_sha256(file)} {file.relative_to(path).as_posix()}" for file in files)
    return hashlib.sha256(listing.encode()).hexdigest()


def file_sha256(path: Path, expected: str | None = None) -> str:
    """The SHA-256 of a file's content, in hex.

    Raises:
        DataError: if the file cannot be read, or is another one than expected.
    """
    try:
        with path.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        raise DataError(f"no such file: {path}") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from None
    if expected is not None and sha256 != expected:
        raise DataError(f"{path}: not the file that is known: sha256 {sha256}, expected {expected}")
    return sha256
