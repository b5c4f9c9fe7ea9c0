"""Tasks with their signals, and the signals of trial runs. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from inrbench_core.api.entries import TaskEntry
from inrbench_core.api.errors import DataError
from inrbench_core.api.sources import content_sha256
from inrbench_core.api.spec import Component, TaskSpec
from inrbench_core.plugins.catalog import Catalog, shorten
from inrbench_core.spec.choosing import SelectSpec, TuningSpec
from inrbench_core.spec.experiment import Signal, plain_identity
from inrbench_core.spec.merging import without
from inrbench_core.spec.resolving import Resolver
from inrbench_core.spec.signals import expand_signals, signal_labels
from inrbench_core.spec.variants import Variant, canonical, tell_apart
from inrbench_core.spec.yaml_io import Document, YamlPath

# Signals that the label of a task names where others have the same label.
MOST_NAMED = 3
TASK_KEYS = ("label", "signals")


@dataclass(frozen=True)
class Signals:
    """A task with its signals: what one table is about.

    Args:
        label: the user's, or "".
        signals: may be none, where none is valid.
        text: equal for equal ones.
        trial_signals: those of trial runs.
    """

    label: str
    signals: tuple[Signal, ...]
    text: str
    trial_signals: tuple[Signal, ...] = ()

    @property
    def baselines(self) -> int:
        """How many baselines the task has of its own."""
        entry = self.signals[0].task.entry if self.signals else None
        return len(entry.baselines) if isinstance(entry, TaskEntry) else 0


class SignalReader(Resolver):
    """Finds the signals of tasks.

    Args:
        document: what problems are told about.
        catalog: where names are looked up.
    """

    def __init__(self, document: Document, catalog: Catalog) -> None:
        super().__init__(document, catalog)
        self._hashes: dict[Path, str] = {}

    def signals(self, variant: Variant) -> Signals:
        """The task once for each of its signals; signals with the same content are one."""
        own = self.label(variant)
        entry = self.entry("task", variant.value)
        if not isinstance(entry, TaskEntry):
            self.component("task", without(variant, *TASK_KEYS))
            return Signals(own, (), "")
        option = entry.signal_option
        known = option in entry.spec.model_fields
        found: dict[str, Signal] = {}
        for one in expand_signals(variant, option, known, self.document.folder, self.problem):
            resolved = self.component("task", without(one, *TASK_KEYS))
            origin = one.origin((option,))
            files = None if resolved is None else self._files(resolved.value, origin)
            if resolved is not None and files is not None:
                task: Component = resolved.value
                label = getattr(task.spec, option, None) or task.name
                signal = Signal(str(label), task, files, origin)
                found.setdefault(_identity(signal), signal)
        labels = signal_labels(list(found.values()))
        signals = tuple(replace(signal, label=label) for signal, label in zip(found.values(), labels, strict=True))
        return Signals(own, signals, canonical([own, list(found) or canonical(variant.value)]))

    def _files(self, task: Component, origin: YamlPath) -> dict[str, str] | None:
        """What is in the user's files that a task reads; None, and a problem, if one is not readable."""
        assert isinstance(task.spec, TaskSpec)
        paths = self.asked(task, task.spec.user_files, origin)
        if paths is None:
            return None
        files = {}
        for path in paths:
            try:
                if path not in self._hashes:
                    self._hashes[path] = content_sha256(path)
            except DataError as error:
                self.problem(origin, str(error))
                return None
            files[str(path)] = f"sha256:{self._hashes[path]}{path.suffix.lower()}"
        return files

    def with_trials(self, found: Signals, variant: Variant, key: str, choosing: SelectSpec | TuningSpec) -> Signals:
        """A task's signals with those of trial runs, which leave the table unless other seeds are given.

        Args:
            found: the task's.
            variant: the task.
            key: select or tuning.
            choosing: what is written there.
        """
        if not choosing.signals or not found.signals:
            return replace(found, trial_signals=found.signals)
        entry = found.signals[0].task.entry
        assert isinstance(entry, TaskEntry)
        value = dict(variant.value) if isinstance(variant.value, Mapping) else {"name": variant.value}
        value.pop(entry.signal_option, None)
        path = (key, "signals")
        value["signals"] = list(choosing.signals)
        given = self.signals(replace(variant, value=value, origins={**variant.origins, ("signals",): path})).signals
        own = {_identity(signal): signal for signal in found.signals}
        trial = tuple(own.get(_identity(signal), signal) for signal in given)
        left = found.signals if choosing.seeds else tuple(signal for signal in found.signals if signal not in trial)
        if not left:
            message = "the table has no other signals; give fewer, or give seeds: that the table does not have"
            self.problem(path, message)
        # A file of another folder may have the same name.
        other = [signal for signal in trial if signal not in found.signals]
        other_labels = signal_labels([*found.signals, *other])[len(found.signals) :]
        labels = dict(zip(map(_identity, other), other_labels, strict=True))
        named = tuple(replace(signal, label=labels.get(_identity(signal), signal.label)) for signal in trial)
        return replace(found, signals=left, trial_signals=named)

    def label(self, variant: Variant) -> str:
        """The label that the user gives, or ""."""
        label = variant.value.get("label") if isinstance(variant.value, Mapping) else None
        if label is not None and not (isinstance(label, str) and label.isprintable() and label.strip()):
            self.problem(variant.origin(("label",)), f"expected one line of text, got {shorten(label)}")
            return ""
        return label or ""


def _identity(signal: Signal) -> str:
    """Equal for signals of a task with the same content."""
    return canonical(plain_identity(signal.task.to_data(), signal.files))


def task_labels(found: Sequence[Signals]) -> list[str]:
    labels = [one.label or one.signals[0].task.name for one in found]
    data = []
    for one in found:
        files = {path: Path(path).name for signal in one.signals for path in signal.files}
        task = one.signals[0].task
        options = dict(plain_identity(task.to_data(), files))
        if len(one.signals) > 1:
            assert isinstance(task.entry, TaskEntry)
            options.pop(task.entry.signal_option, None)
            options["signals"] = ", ".join(signal.label for signal in one.signals[:MOST_NAMED])
            if len(one.signals) > MOST_NAMED:
                options["signals"] += f", {len(one.signals) - MOST_NAMED} more"
        data.append(options)
    return tell_apart(labels, data)
