"""Recordings that another distribution carries, found without importing it. Imports no torch."""

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
    "flute": Sample(
        "pyo",
        "flute.aif",
        "0b258e8c892183263dd3e65c6434b48f311f5d988a4c581e52555a1a5babbff1",
        "from pyo, LGPL-3+; no terms of its own",
    ),
    "speech": Sample(
        "pyo",
        "baseballmajeur_m.aif",
        "757cc71f338ec522457d57d6fbe91d2a93adfbc80095cb30f942d6db5b815aca",
        "from pyo, LGPL-3+; no terms of its own",
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
        raise DataError(f"the sample {name!r} needs an extra: pip install 'inrbench-task-audio[samples]'")
    return found[0]
