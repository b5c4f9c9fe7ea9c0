"""`signals:` of a task: one leaderboard over several signals."""

from __future__ import annotations

import glob
import itertools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from inrbench_core.api.text import one_line
from inrbench_core.spec.experiment import Signal
from inrbench_core.spec.variants import Variant, numbered
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
        names = _named(signal, folder)
        if not names:
            report(place, f"no file matches {signal!r}")
        for name in names:
            found.setdefault(name, place)
    if len(found) > MOST_SIGNALS:
        report(path, f"expands to more than {MOST_SIGNALS:,} signals")
        return []
    return [base.with_value((option,), name, place) for name, place in found.items()]


def _named(signal: str, folder: Path) -> list[str]:
    """The signals that an item of the list stands for: itself, or the files that match it, sorted."""
    if not glob.has_magic(signal):
        return [signal]
    try:
        path = Path(folder, Path(signal).expanduser())
        # A file may have brackets in its name.
        return [str(path)] if path.exists() else _matching(path)
    except (OSError, RuntimeError, ValueError):
        return []


def _matching(pattern: Path) -> list[str]:
    start = next(index for index, part in enumerate(pattern.parts) if glob.has_magic(part))
    base, rest = Path(*pattern.parts[:start]), pattern.parts[start:]
    # Path.glob does not follow links to folders, of which two that lead upwards would never end.
    hidden = any(part.startswith(".") for part in rest)
    shown = (path for path in base.glob("/".join(rest)) if hidden or not _is_hidden(path.relative_to(base)))
    return sorted(str(path) for path in itertools.islice(shown, MOST_SIGNALS + 1))


def _is_hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


def signal_labels(signals: Sequence[Signal]) -> list[str]:
    """What tables call each signal: its name, of a file only the last part; equal ones are numbered.

    Args:
        signals: each with what names it as its label.
    """
    labels = [Path(signal.label).name if signal.label in signal.files else signal.label for signal in signals]
    return numbered([one_line(label) for label in labels])
