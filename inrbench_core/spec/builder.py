"""From a document to an experiment: every problem is told at once, with its line."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from inrbench_core.api.entries import TaskEntry
from inrbench_core.api.errors import DataError
from inrbench_core.api.sources import content_sha256
from inrbench_core.api.spec import Component, TaskSpec
from inrbench_core.plugins.catalog import Catalog, shorten, validate
from inrbench_core.spec.experiment import Experiment, FieldRow, Signal, TaskBoard, plain_identity
from inrbench_core.spec.head import ExperimentHead, name_of
from inrbench_core.spec.merging import Changes, changed, combinations, merged_training, without
from inrbench_core.spec.resolving import Resolver
from inrbench_core.spec.settings import with_settings
from inrbench_core.spec.signals import expand_signals, signal_labels
from inrbench_core.spec.variants import Variant, canonical, tell_apart
from inrbench_core.spec.yaml_io import Document, YamlPath, load_yaml

# Runs of one experiment; more take hours to plan and could not be carried out.
MOST_RUNS = 1_000_000
# Signals that the label of a task names where others have the same label.
MOST_NAMED = 3
TASK_KEYS = ("label", "signals")
FIELD_KEYS = ("label", "training")
# Label, field and training: rows that agree in all of them are one.
RowKey = tuple[str, str, str]


def load_experiment(file: Path, catalog: Catalog, settings: Sequence[str] = ()) -> Experiment:
    """Read and resolve a spec file.

    Args:
        file: the YAML file.
        catalog: where names are looked up.
        settings: changes as "dotted.key=value", the value in YAML.

    Raises:
        SpecError: with every problem found, each with its line.
    """
    return build_experiment(load_yaml(file), catalog, settings)


def build_experiment(document: Document, catalog: Catalog, settings: Sequence[str] = ()) -> Experiment:
    """Resolve a document; see `load_experiment`."""
    return _Builder(document, catalog, settings).build()


@dataclass(frozen=True)
class _Signals:
    """A task with its signals: what one table is about.

    Args:
        label: the user's, or "".
        signals: may be none, where none is valid.
        text: equal for equal ones.
    """

    label: str
    signals: tuple[Signal, ...]
    text: str

    @property
    def baselines(self) -> int:
        """How many baselines the task has of its own."""
        entry = self.signals[0].task.entry if self.signals else None
        return len(entry.baselines) if isinstance(entry, TaskEntry) else 0


class _Builder(Resolver):
    """Makes boards and rows of the parts of a document."""

    def __init__(self, document: Document, catalog: Catalog, settings: Sequence[str]) -> None:
        super().__init__(document, catalog)
        self.settings = settings
        self.hashes: dict[Path, str] = {}

    def build(self) -> Experiment:
        head = self._head()
        self.training(head.training, {(): ("training",)})
        self._check_analyses(head)
        sweep = combinations(head.sweep, self.problem)
        tasks = self._task_variants(head)
        fields = self.expand("field", head.fields, ("fields",))
        if not tasks:
            self._probe("field", fields)
        self._check_count(len(sweep) * len(tasks) * len(fields) * len(head.seeds))
        boards = self._boards(head, sweep, tasks, fields)
        self.stop_on_problems()
        return Experiment(
            name=head.name,
            boards=tuple(boards),
            seeds=tuple(head.seeds),
            analyses=tuple(head.analyses),
            executor=head.executor,
            timeout_s=head.timeout_s,
            device=head.device,
            document=self.document,
            settings=tuple(self.settings),
        )

    def _check_count(self, count: int) -> None:
        """Stop at once if there are too many runs, because making them would take too long."""
        if count > MOST_RUNS:
            self.problem((), f"expands to {count:,} runs; at most {MOST_RUNS:,}")
            self.stop_on_problems()

    def _head(self) -> ExperimentHead:
        data = self.document.data
        if not isinstance(data, Mapping):
            self.problem((), f"expected a mapping with task:, fields: and so on, got {_yaml_type(data)}")
            self.stop_on_problems()
        data = with_settings({"name": name_of(self.document.file), **data}, self.settings, self.problem)
        try:
            return validate(ExperimentHead, data, self.context)
        except ValidationError as error:
            self.invalid(error, Variant(data, {(): ()}))
            # Tell what is wrong elsewhere as well, where that can be read at all.
            for kind, keys in {"task": ("task", "tasks"), "field": ("fields",)}.items():
                for key in keys:
                    if data.get(key):
                        self._probe(kind, self.expand(kind, data[key], (key,)))
            if isinstance(data.get("training"), Mapping):
                self.training(data["training"], {(): ("training",)})
            if isinstance(data.get("sweep"), Mapping):
                combinations(data["sweep"], self.problem)
            self.stop_on_problems()
            raise

    def _check_analyses(self, head: ExperimentHead) -> None:
        names = [analysis.name for analysis in head.analyses]
        for index, name in enumerate(names):
            if name in names[:index]:
                self.problem(("analyses", index), f"{name!r} is already in the list")

    def _probe(self, kind: str, variants: list[Variant]) -> None:
        """Look for mistakes in what cannot be resolved into runs."""
        for variant in variants:
            self.component(kind, without(variant, *(TASK_KEYS if kind == "task" else FIELD_KEYS)))
            if kind == "field" and (own := self._own_training(variant)) is not None:
                self.training(own, {(): variant.origin(("training",))})

    def _task_variants(self, head: ExperimentHead) -> list[Variant]:
        if (head.task is None) == (not head.tasks):
            self.problem((), "give either task: or tasks:")
            return []
        key, value = ("task", head.task) if head.task is not None else ("tasks", head.tasks)
        return self.expand("task", value, (key,))

    def _boards(
        self, head: ExperimentHead, sweep: list[Changes], tasks: list[Variant], fields: list[Variant]
    ) -> list[TaskBoard]:
        """One board for each task and combination of its options, with the rows of all other combinations."""
        known: dict[str, _Signals] = {}
        chosen: list[tuple[Changes, _Signals]] = []
        observations = 0
        for changes, value in itertools.product(sweep, tasks):
            variant = changed(value, changes, "task")
            key = canonical(variant.value)
            if key not in known:
                known[key] = found = self._signals(variant)
                observations += len(found.signals) * found.baselines
            chosen.append((changes, known[key]))
            observations += len(known[key].signals) * len(fields)
        self._check_count(observations * len(head.seeds))
        boards: dict[str, tuple[_Signals, dict[RowKey, FieldRow]]] = {}
        for changes, found in chosen:
            task = found.signals[0].task if found.signals else None
            _, rows = boards.setdefault(found.text, (found, {}))
            for identity, row in self._rows(head, task, fields, changes):
                rows.setdefault(identity, row)
        # Without signals there is a problem, and this was done for the sake of others.
        self.stop_on_problems()
        labels = _task_labels([found for found, _ in boards.values()])
        return [
            TaskBoard(label, found.signals, tuple(_told_apart(list(rows.values()))))
            for label, (found, rows) in zip(labels, boards.values(), strict=True)
        ]

    def _signals(self, variant: Variant) -> _Signals:
        """The task once for each of its signals; signals with the same content are one."""
        own = self._label(variant)
        entry = self.entry("task", variant.value)
        if not isinstance(entry, TaskEntry):
            self.component("task", without(variant, *TASK_KEYS))
            return _Signals(own, (), "")
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
                identity = canonical(plain_identity(task.to_data(), files))
                found.setdefault(identity, Signal(str(label), task, files, origin))
        labels = signal_labels(list(found.values()))
        signals = tuple(replace(signal, label=label) for signal, label in zip(found.values(), labels, strict=True))
        return _Signals(own, signals, canonical([own, list(found) or canonical(variant.value)]))

    def _files(self, task: Component, origin: YamlPath) -> dict[str, str] | None:
        """What is in the user's files that a task reads; None, and a problem, if one is not readable."""
        assert isinstance(task.spec, TaskSpec)
        paths = self.asked(task, task.spec.user_files, origin)
        if paths is None:
            return None
        files = {}
        for path in paths:
            try:
                if path not in self.hashes:
                    self.hashes[path] = content_sha256(path)
            except DataError as error:
                self.problem(origin, str(error))
                return None
            files[str(path)] = f"sha256:{self.hashes[path]}{path.suffix.lower()}"
        return files

    def _rows(
        self, head: ExperimentHead, task: Component | None, fields: list[Variant], changes: Changes
    ) -> list[tuple[RowKey, FieldRow]]:
        """The rows of one combination, each after a key that is equal for equal ones."""
        rows = []
        for variant in fields:
            value = changed(variant, changes, "field")
            field = self.component("field", without(value, *FIELD_KEYS))
            own = self._own_training(value)
            label = self._label(value) or value.label
            if own is None:
                continue
            component: Component | None = field.value if field else None
            merged = merged_training(task, head.training, component, value, own, changes, self._recommended)
            training = self.training(merged.values, merged.origins)
            if field is None or component is None or training is None or task is None:
                continue
            origin = value.origin(())
            skip = self._skipped(task, component, origin)
            row = FieldRow(label or component.describe(), component, training.value, merged.sources, origin, skip)
            rows.append(((row.label, field.text, training.text), row))
        return rows

    def _skipped(self, task: Component, field: Component, origin: YamlPath) -> str:
        spec = task.spec
        assert isinstance(spec, TaskSpec)
        return self.asked(task, lambda: spec.accepts(field) or "", origin) or ""

    def _recommended(self, optimizer: Any) -> Mapping[str, Any]:
        """The training that an optimiser recommends."""
        entry = self.entry("optimizer", optimizer)
        return {} if entry is None else entry.training

    def _label(self, variant: Variant) -> str:
        """The label that the user gives, or ""."""
        label = variant.value.get("label") if isinstance(variant.value, Mapping) else None
        if label is not None and not (isinstance(label, str) and label.isprintable() and label.strip()):
            self.problem(variant.origin(("label",)), f"expected one line of text, got {shorten(label)}")
            return ""
        return label or ""

    def _own_training(self, variant: Variant) -> Mapping[str, Any] | None:
        """What a field itself says of its training; None, and a problem, if that is no mapping."""
        own = variant.value.get("training", {}) if isinstance(variant.value, Mapping) else {}
        if not isinstance(own, Mapping):
            self.problem(variant.origin(("training",)), f"expected a mapping, got {shorten(own)}")
            return None
        return own


def _task_labels(found: Sequence[_Signals]) -> list[str]:
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


def _told_apart(rows: list[FieldRow]) -> list[FieldRow]:
    data = [{"training": row.training.model_dump(mode="json"), "field": row.field.to_data()} for row in rows]
    labels = tell_apart([row.label for row in rows], data)
    return [replace(row, label=label) for row, label in zip(rows, labels, strict=True)]


def _yaml_type(value: Any) -> str:
    words = {list: "a list", str: "text", type(None): "nothing", bool: "true or false"}
    return words.get(type(value), "a number")
