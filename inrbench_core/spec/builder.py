"""From a document to an experiment: every problem is told at once, with its line."""

from __future__ import annotations

import copy
import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from inrbench_core.api.errors import DataError
from inrbench_core.api.sources import content_sha256
from inrbench_core.api.spec import Component, TaskSpec
from inrbench_core.plugins.catalog import Catalog, LookupFailure, shorten, validate
from inrbench_core.spec.experiment import Experiment, FieldRow, Signal, TaskBoard, plain_identity
from inrbench_core.spec.head import ExperimentHead
from inrbench_core.spec.merging import Changes, changed, combinations, merged_training, without
from inrbench_core.spec.signals import expand_signals, signal_labels
from inrbench_core.spec.training import TrainingSpec
from inrbench_core.spec.variants import Variant, canonical, expand, tell_apart
from inrbench_core.spec.yaml_io import Document, SpecError, SpecProblem, YamlPath, load_yaml, parse_value

# Runs of one experiment; more take hours to plan and could not be carried out.
MOST_RUNS = 1_000_000
TASK_KEYS = ("label", "signals")
FIELD_KEYS = ("label", "training")


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


class _Builder:
    """Collects problems while resolving, so that all are told at once."""

    def __init__(self, document: Document, catalog: Catalog, settings: Sequence[str]) -> None:
        self.document = document
        self.catalog = catalog
        self.context: dict[str, Any] = {"catalog": catalog, "folder": str(document.folder)}
        self.problems: list[SpecProblem] = []
        self.settings = settings
        self.hashes: dict[Path, str] = {}

    def build(self) -> Experiment:
        head = self._head()
        self._valid_training(dict(head.training), Variant(head.training, {(): ("training",)}))
        self._check_analyses(head)
        sweep = combinations(head.sweep, self._problem)
        tasks = self._task_variants(head)
        fields = self._expand("field", head.fields, ("fields",))
        if not tasks:
            self._probe("field", fields)
        count = len(sweep) * len(tasks) * len(fields) * len(head.seeds)
        if count > MOST_RUNS:
            self._problem((), f"expands to {count:,} runs; at most {MOST_RUNS:,}")
            self._stop_on_problems()
        boards = self._boards(head, sweep, tasks, fields)
        self._stop_on_problems()
        return Experiment(
            name=head.name,
            boards=tuple(boards),
            seeds=tuple(head.seeds),
            analyses=tuple(head.analyses),
            executor=head.executor,
            timeout_s=head.timeout_s,
            device=head.device,
            document=self.document,
        )

    def _stop_on_problems(self) -> None:
        if self.problems:
            raise SpecError(self.document.file, self.problems)

    def _problem(self, path: YamlPath, message: str, *, broken: bool = False) -> None:
        self.problems.append(self.document.problem(path, message, broken=broken))

    def _expand(self, kind: str, value: Any, path: YamlPath) -> list[Variant]:
        return expand(self.catalog, kind, value, path, self._problem)

    def _invalid(self, error: ValidationError, variant: Variant) -> None:
        for detail in error.errors(include_url=False):
            message = "required, but not given" if detail["type"] == "missing" else detail["msg"]
            self._problem(variant.origin(detail["loc"]), message, broken=detail["type"] == "broken_plugin")

    def _head(self) -> ExperimentHead:
        data = self.document.data
        if not isinstance(data, Mapping):
            self._problem((), f"expected a mapping with task:, fields: and so on, got {_yaml_type(data)}")
            self._stop_on_problems()
        stem = re.sub(r"[^\w.-]+", "_", self.document.file.stem).lstrip(".-")[:100]
        data = self._with_settings({"name": stem or "experiment", **data})
        try:
            return validate(ExperimentHead, data, self.context)
        except ValidationError as error:
            self._invalid(error, Variant(data, {(): ()}))
            # Tell what is wrong elsewhere as well, where that can be read at all.
            for kind, keys in {"task": ("task", "tasks"), "field": ("fields",)}.items():
                for key in keys:
                    if data.get(key):
                        self._probe(kind, self._expand(kind, data[key], (key,)))
            if isinstance(data.get("training"), Mapping):
                self._valid_training(dict(data["training"]), Variant(data["training"], {(): ("training",)}))
            if isinstance(data.get("sweep"), Mapping):
                combinations(data["sweep"], self._problem)
            self._stop_on_problems()
            raise

    def _check_analyses(self, head: ExperimentHead) -> None:
        names = [analysis.name for analysis in head.analyses]
        for index, name in enumerate(names):
            if name in names[:index]:
                self._problem(("analyses", index), f"{name!r} is already in the list")

    def _probe(self, kind: str, variants: list[Variant]) -> None:
        """Look for mistakes in what cannot be resolved into runs."""
        for variant in variants:
            self._component(kind, without(variant, *(TASK_KEYS if kind == "task" else FIELD_KEYS)))
            own = self._own_training(variant)
            self._valid_training(dict(own or {}), Variant(own, {(): variant.origin(("training",))}))

    def _with_settings(self, data: dict[str, Any]) -> dict[str, Any]:
        data = copy.deepcopy(data)
        for setting in self.settings:
            key, equals, text = setting.partition("=")
            if not equals or not key:
                self._problem((), f"--set {setting}: expected key=value")
                continue
            try:
                value = parse_value(text)
            except ValueError as error:
                self._problem((), f"--set {setting}: {error}")
                continue
            target: Any = data
            *parents, last = key.split(".")
            try:
                for part in parents:
                    target = target[int(part)] if isinstance(target, list) else target.setdefault(part, {})
                target[int(last) if isinstance(target, list) else last] = value
            except (KeyError, IndexError, ValueError, TypeError, AttributeError):
                self._problem((), f"--set {setting}: the spec has nothing at {key!r} to set")
        return data

    def _task_variants(self, head: ExperimentHead) -> list[Variant]:
        if (head.task is None) == (not head.tasks):
            self._problem((), "give either task: or tasks:")
            return []
        key, value = ("task", head.task) if head.task is not None else ("tasks", head.tasks)
        return self._expand("task", value, (key,))

    def _boards(
        self, head: ExperimentHead, sweep: list[Changes], tasks: list[Variant], fields: list[Variant]
    ) -> list[TaskBoard]:
        """One board for each task and combination of its options, with the rows of all other combinations."""
        signals: dict[str, tuple[Variant, list[Signal]]] = {}
        rows: dict[str, dict[str, FieldRow]] = {}
        for changes, task in itertools.product(sweep, tasks):
            variant = changed(task, changes, "task")
            key = canonical([variant.value, variant.label])
            if key not in signals:
                signals[key] = variant, self._signals(variant)
                self._check_count(head, [found for _, found in signals.values()], len(sweep) * len(fields))
            found = signals[key][1]
            known = rows.setdefault(key, {})
            for row in self._rows(head, found[0].task if found else None, fields, changes):
                data = [row.label, row.field.to_data(), row.training.model_dump(mode="json")]
                known.setdefault(canonical(data), row)
        keys = [key for key in signals if signals[key][1]]
        labels = self._task_labels([signals[key] for key in keys])
        return [
            TaskBoard(label, tuple(signals[key][1]), tuple(_told_apart(list(rows[key].values()))))
            for key, label in zip(keys, labels, strict=True)
        ]

    def _check_count(self, head: ExperimentHead, signals: Sequence[Sequence[Signal]], rows: int) -> None:
        count = sum(map(len, signals)) * rows * len(head.seeds)
        if count > MOST_RUNS:
            self._problem((), f"expands to {count:,} runs; at most {MOST_RUNS:,}")
            self._stop_on_problems()

    def _signals(self, variant: Variant) -> list[Signal]:
        """The task once for each of its signals."""
        name = variant.value.get("name") if isinstance(variant.value, Mapping) else variant.value
        entry = next((item.entry for item in self.catalog.of_kind("task") if name in self._names(item.entry)), None)
        option = str(getattr(entry, "signal_option", "source"))
        known = entry is not None and option in entry.spec.model_fields  # type: ignore[union-attr]
        found = []
        for one in expand_signals(variant, option, known, self.document.folder, self._problem):
            component = self._component("task", without(one, *TASK_KEYS))
            origin = one.origin((option,))
            files = None if component is None else self._files(component, origin)
            if component is not None and files is not None:
                found.append(Signal("", component, files, origin))
        sources = [getattr(signal.task.spec, option, None) for signal in found]
        labels = signal_labels(
            [source or signal.task.name for signal, source in zip(found, sources, strict=True)],
            [signal.files for signal in found],
        )
        return [replace(signal, label=label) for signal, label in zip(found, labels, strict=True)]

    def _names(self, entry: Any) -> set[str]:
        return {entry.name, *entry.aliases}

    def _files(self, task: Component, origin: YamlPath) -> dict[str, str] | None:
        """What is in the user's files that a task reads; None, and a problem, if one is not readable."""
        assert isinstance(task.spec, TaskSpec)
        files = {}
        for path in task.spec.user_files():
            try:
                if path not in self.hashes:
                    self.hashes[path] = content_sha256(path)
            except DataError as error:
                self._problem(origin, str(error))
                return None
            files[str(path)] = f"sha256:{self.hashes[path]}{path.suffix.lower()}"
        return files

    def _task_labels(self, found: Sequence[tuple[Variant, list[Signal]]]) -> list[str]:
        labels, data = [], []
        for variant, signals in found:
            own = variant.value.get("label") if isinstance(variant.value, Mapping) else None
            labels.append(self._label(own, variant) or signals[0].task.name)
            files = {path: Path(path).name for signal in signals for path in signal.files}
            options = dict(plain_identity(signals[0].task.to_data(), files))
            if len(signals) > 1:
                options["signals"] = ", ".join(signal.label for signal in signals)
            data.append(options)
        return tell_apart(labels, data)

    def _rows(
        self, head: ExperimentHead, task: Component | None, fields: list[Variant], changes: Changes
    ) -> list[FieldRow]:
        rows = []
        for variant in fields:
            value = changed(variant, changes, "field")
            component = self._component("field", without(value, *FIELD_KEYS))
            own = self._own_training(value)
            label = value.value.get("label") if isinstance(value.value, Mapping) else None
            label = self._label(label, value) or value.label
            if own is None:
                continue
            merged = merged_training(task, head.training, component, value, own, changes, self._recommended)
            training = self._valid_training(merged.values, Variant(merged.values, merged.origins))
            if component is None or training is None or task is None:
                continue
            assert isinstance(task.spec, TaskSpec)
            skip = task.spec.accepts(component) or ""
            origin = value.origin(())
            rows.append(FieldRow(label or component.describe(), component, training, merged.sources, origin, skip))
        return rows

    def _recommended(self, optimizer: Any) -> Mapping[str, Any]:
        """The training that an optimiser recommends; nothing for one that is not there, which is told elsewhere."""
        name = optimizer.get("name") if isinstance(optimizer, Mapping) else optimizer
        try:
            entry = self.catalog.find("optimizer", name).entry if isinstance(name, str) else None
        except LookupFailure:
            entry = None
        return {} if entry is None else entry.training

    def _label(self, label: Any, variant: Variant) -> str:
        if label is not None and not (isinstance(label, str) and label.isprintable() and label.strip()):
            self._problem(variant.origin(("label",)), f"expected one line of text, got {shorten(label)}")
            return ""
        return label or ""

    def _component(self, kind: str, variant: Variant) -> Component | None:
        try:
            return self.catalog.resolve(kind, variant.value, self.context)
        except ValidationError as error:
            self._invalid(error, variant)
            return None

    def _valid_training(self, values: dict[str, Any], source: Variant) -> TrainingSpec | None:
        try:
            return validate(TrainingSpec, values, self.context)
        except ValidationError as error:
            self._invalid(error, source)
            return None

    def _own_training(self, variant: Variant) -> Mapping[str, Any] | None:
        """What a field itself says of its training; None, and a problem, if that is no mapping."""
        own = variant.value.get("training", {}) if isinstance(variant.value, Mapping) else {}
        if not isinstance(own, Mapping):
            self._problem(variant.origin(("training",)), f"expected a mapping, got {shorten(own)}")
            return None
        return own


def _told_apart(rows: list[FieldRow]) -> list[FieldRow]:
    data = [{**row.training.model_dump(mode="json"), **row.field.to_data()} for row in rows]
    labels = tell_apart([row.label for row in rows], data)
    return [replace(row, label=label) for row, label in zip(rows, labels, strict=True)]


def _yaml_type(value: Any) -> str:
    words = {list: "a list", str: "text", type(None): "nothing", bool: "true or false"}
    return words.get(type(value), "a number")
