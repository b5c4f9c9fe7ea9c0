"""`signals:` of a task: one leaderboard over several signals."""

from __future__ import annotations

import glob
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from inrbench_core.spec.variants import Variant
from inrbench_core.spec.yaml_io import YamlPath

# Runs over more signals than these would take years.
MOST_SIGNALS = 10_000


def expand_signals(
    variant: Variant, option: str, known: bool, folder: Path, report: Callable[[YamlPath, str], None]
) -> list[Variant]:
    """The task of each of its `signals:`, in order; the task itself where it has none.

    Args:
        variant: a task's value.
        option: the option of the task's spec that names the signal.
        known: whether the task's spec has that option.
        folder: patterns such as photos/*.png are relative to it.
        report: is told the path and the reason of what is wrong.
    """
    if not isinstance(variant.value, Mapping) or "signals" not in variant.value:
        return [variant]
    value = dict(variant.value)
    signals = value.pop("signals")
    path = variant.origin(("signals",))
    if not known:
        report(path, "this task has no signals to choose from")
        return []
    if option in value:
        report(path, f"give either signals: or {option}:")
        return []
    if not isinstance(signals, list) or not signals:
        report(path, "expected a list of names, files, and patterns such as photos/*.png")
        return []
    base = Variant(value, variant.origins, variant.label, variant.training)
    found: dict[str, YamlPath] = {}
    for index, signal in enumerate(signals):
        place = (*path, index)
        if not isinstance(signal, str):
            report(place, f"expected a name, a file or a pattern, got {type(signal).__name__}")
            continue
        for name in _matching(signal, folder) if glob.has_magic(signal) else [signal]:
            found.setdefault(name, place)
        if glob.has_magic(signal) and not _matching(signal, folder):
            report(place, f"no file matches {signal!r}")
    if len(found) > MOST_SIGNALS:
        report(path, f"expands to {len(found):,} signals; at most {MOST_SIGNALS:,}")
        return []
    return [base.with_value((option,), name, place) for name, place in found.items()]


def _matching(pattern: str, folder: Path) -> list[str]:
    try:
        full = Path(folder, Path(pattern).expanduser())
        return sorted(glob.glob(str(full), recursive=True))
    except (OSError, RuntimeError, ValueError):
        return []


def signal_labels(sources: Sequence[Any], files: Sequence[Mapping[str, str]]) -> list[str]:
    """What tables call each signal: its name, of a file only the last part; equal ones are numbered.

    Args:
        sources: the option that names each signal.
        files: the user's files that each task reads, by path.
    """
    labels = [
        Path(source).name if isinstance(source, str) and source in mapping else str(source)
        for source, mapping in zip(sources, files, strict=True)
    ]
    counts: dict[str, int] = {}
    result = []
    for label in labels:
        counts[label] = counts.get(label, 0) + 1
        result.append(label if counts[label] == 1 else f"{label} ({counts[label]})")
    return result
