"""An experiment: what one YAML file asks for, validated as a whole and resolved into runs."""

from __future__ import annotations

import copy
import itertools
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from inrbench_core.api.entries import TaskEntry
from inrbench_core.api.sources import content_sha256
from inrbench_core.api.spec import Component, ComponentOf, TaskSpec
from inrbench_core.plugins.catalog import Catalog, shorten, validate
from inrbench_core.spec.runspec import RunSpec
from inrbench_core.spec.training import TrainingSpec
from inrbench_core.spec.variants import MOST_VARIANTS, Variant, expand, tell_apart
from inrbench_core.spec.yaml_io import Document, SpecError, SpecProblem, YamlPath, load_yaml, parse_value, show_path

MOST_SEEDS = 1000


def _seed_list(value: Any) -> Any:
    if isinstance(value, int | float) and not isinstance(value, bool):
        if not math.isfinite(value) or value != int(value) or not 1 <= value <= MOST_SEEDS:
            raise ValueError(f"a count of seeds must be a whole number from 1 to {MOST_SEEDS:,}, got {value}")
        return list(range(int(value)))
    return value


def _folder_name(name: str) -> str:
    if not re.fullmatch(r"\w[\w.-]{0,99}", name):
        raise ValueError(
            f"expected up to 100 letters, digits, '_', '.' and '-', the first one a letter, digit or '_'; got {name!r}"
        )
    return name


class ExperimentHead(BaseModel):
    """The top level of a spec file."""

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True, validate_default=True)

    name: Annotated[str, AfterValidator(_folder_name)] = Field(
        description="names the folder of results; default: the file's name"
    )
    task: Any = Field(None, description="a task's name, or a mapping with name: and its options")
    tasks: list[Any] = Field([], description="several tasks; all fields run on each")
    fields: Any = Field(description="the fields to compare; lists inside multiply out")
    training: dict[str, Any] = Field({}, description="how to train, for all fields")
    seeds: Annotated[list[Annotated[int, Field(ge=0)]], BeforeValidator(_seed_list), Field(min_length=1)] = Field(
        [0], description="seeds, or how many"
    )
    sweep: dict[str, list[Any]] = Field({}, description="dotted key under training, task or field: list of values")
    executor: Annotated[Component, ComponentOf("executor")] = Field("local", description="what carries out the runs")  # type: ignore[assignment]
    device: str = Field("auto", pattern=r"^(auto|cpu|cuda(:\d{1,3})?)$", description="auto, cpu, cuda or cuda:N")


@dataclass(frozen=True)
class Experiment:
    """A spec file's meaning.

    Args:
        name: names the folder of results.
        runs: every run, baselines first, tasks in order, then fields, then seeds.
        executor: what carries them out.
        document: the file it came from.
    """

    name: str
    runs: list[RunSpec]
    executor: Component
    document: Document

    def with_executor(self, executor: Component) -> Experiment:
        """The same experiment, carried out otherwise."""
        return replace(self, executor=executor)


def load_experiment(file: Path, catalog: Catalog, settings: Sequence[str] = ()) -> Experiment:
    """Read and resolve a spec file.

    Args:
        file: the YAML file.
        catalog: where names are looked up.
        settings: changes as "dotted.key=value", the value in YAML.

    Raises:
        SpecError: with every problem found, each with its line.
        DataError: if a file of the user's that a task reads cannot be read.
    """
    document = load_yaml(file)
    return _Builder(document, catalog, settings).build()


class _Builder:
    """Collects problems while resolving, so that all are told at once."""

    def __init__(self, document: Document, catalog: Catalog, settings: Sequence[str]) -> None:
        self.document = document
        self.catalog = catalog
        self.context: dict[str, Any] = {"catalog": catalog, "folder": str(document.file.resolve().parent)}
        self.problems: list[SpecProblem] = []
        self.settings = settings

    def build(self) -> Experiment:
        head = self._head()
        self._check_training(head.training)
        combinations = self._combinations(head.sweep)
        tasks = self._tasks(head)
        fields = self._expand("field", head.fields, ("fields",))
        if not tasks:
            self._probe("field", fields)
        resolved = [
            row
            for changes in combinations
            for task in tasks
            if (row := self._resolve(head, task, fields, changes)) is not None
        ]
        self._stop_on_problems()
        return Experiment(head.name, self._runs(head, resolved), head.executor, self.document)

    def _stop_on_problems(self) -> None:
        if self.problems:
            raise SpecError(self.document.file, self.problems)

    def _problem(self, path: YamlPath, message: str, *, broken: bool = False) -> None:
        self.problems.append(SpecProblem(self.document.line(path), show_path(path), message, broken))

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
                self._check_training(data["training"])
            if isinstance(data.get("sweep"), Mapping):
                self._combinations(data["sweep"])
            self._stop_on_problems()
            raise

    def _probe(self, kind: str, variants: list[Variant]) -> None:
        """Look for mistakes in what cannot be resolved into runs."""
        for variant in variants:
            self._component(kind, _without(variant, "label", "training"))
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

    def _tasks(self, head: ExperimentHead) -> list[Variant]:
        if (head.task is None) == (not head.tasks):
            self._problem((), "give either task: or tasks:")
            return []
        key, value = ("task", head.task) if head.task is not None else ("tasks", head.tasks)
        return self._expand("task", value, (key,))

    def _combinations(self, sweep: Mapping[str, Any]) -> list[dict[YamlPath, tuple[Any, YamlPath]]]:
        """Every combination of the sweep: path to change -> (value, where it is written)."""
        axes = []
        for key, values in sweep.items():
            path = tuple(str(key).split("."))
            if path[0] not in {"training", "task", "field"} or len(path) < 2:
                self._problem(("sweep", key), "a sweep goes over training.KEY, task.KEY or field.KEY")
            elif not values:
                self._problem(("sweep", key), "the list is empty")
            elif isinstance(values, list):
                axes.append([(path, value, ("sweep", key, index)) for index, value in enumerate(values)])
        count = math.prod(len(axis) for axis in axes)
        if count > MOST_VARIANTS:
            self._problem(("sweep",), f"it multiplies out to {count:,} combinations; {MOST_VARIANTS:,} at most")
            return []
        return [{path: (value, origin) for path, value, origin in chosen} for chosen in itertools.product(*axes)]

    def _resolve(
        self,
        head: ExperimentHead,
        task: Variant,
        fields: list[Variant],
        changes: Mapping[YamlPath, tuple[Any, YamlPath]],
    ) -> tuple[Component, list[tuple[Component, TrainingSpec, str]]] | None:
        task_component = self._component("task", _changed(task, changes, "task"))
        rows = []
        for variant in fields:
            changed = _changed(variant, changes, "field")
            component = self._component("field", _without(changed, "label", "training"))
            training = self._training(head, task_component, component, changed, changes)
            if component is not None and training is not None:
                rows.append((component, training, self._label(changed, component)))
        return (task_component, rows) if task_component is not None else None

    def _label(self, variant: Variant, component: Component) -> str:
        label = variant.value.get("label") if isinstance(variant.value, Mapping) else None
        if label is not None and not (isinstance(label, str) and label.isprintable()):
            self._problem(variant.origin(("label",)), f"expected one line of text, got {shorten(label)}")
        return label or variant.label or component.describe()

    def _component(self, kind: str, variant: Variant) -> Component | None:
        try:
            return self.catalog.resolve(kind, variant.value, self.context)
        except ValidationError as error:
            self._invalid(error, variant)
            return None

    def _check_training(self, training: Mapping[str, Any]) -> None:
        """What all fields share is checked on its own, because it is never looked at where no field is valid."""
        self._valid_training(dict(training), Variant(training, {(): ("training",)}))

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

    def _training(
        self,
        head: ExperimentHead,
        task: Component | None,
        component: Component | None,
        variant: Variant,
        changes: Mapping[YamlPath, tuple[Any, YamlPath]],
    ) -> TrainingSpec | None:
        """Merge, least particular first: task, components, recipe, experiment, the field's own, sweep."""
        values: dict[str, Any] = dict(task.entry.training) if task else {}
        for part in component.walk() if component else ():
            values.update(part.entry.training)
        values.update(variant.training)
        origins: dict[YamlPath, YamlPath] = {(): variant.origin(())}
        values.update(head.training)
        origins.update({(key,): ("training", key) for key in head.training})
        own = self._own_training(variant)
        if own is None:
            return None
        values.update(own)
        origins.update({(key,): variant.origin(("training", key)) for key in own})
        for path, (value, origin) in changes.items():
            if path[0] == "training":
                values[str(path[1])] = value
                origins[(path[1],)] = origin
        return self._valid_training(values, Variant(values, origins))

    def _runs(
        self,
        head: ExperimentHead,
        resolved: list[tuple[Component, list[tuple[Component, TrainingSpec, str]]]],
    ) -> list[RunSpec]:
        tasks: list[Component] = []
        rows_of: list[list[tuple[Component, TrainingSpec, str]]] = []
        for task, rows in resolved:
            if task not in tasks:
                tasks.append(task)
                rows_of.append([])
            known = rows_of[tasks.index(task)]
            known += [row for row in rows if row not in known]
        task_labels = tell_apart([task.name for task in tasks], [task.to_data() for task in tasks])
        runs = []
        for task, task_label, rows in zip(tasks, task_labels, rows_of, strict=True):
            data = [{**training.model_dump(mode="json"), **field.to_data()} for field, training, _ in rows]
            labels = tell_apart([label for _, _, label in rows], data)
            assert isinstance(task.entry, TaskEntry)
            assert isinstance(task.spec, TaskSpec)
            user_data = tuple(content_sha256(path) for path in task.spec.user_files())
            for name, seed in itertools.product(task.entry.baselines, head.seeds):
                run = RunSpec(task, None, name, None, seed, head.device, name, task_label, user_data=user_data)
                runs.append(run)
            for (field, training, _), label in zip(rows, labels, strict=True):
                skip = task.spec.accepts(field) or ""
                for seed in head.seeds:
                    run = RunSpec(task, field, "", training, seed, head.device, label, task_label, skip, user_data)
                    runs.append(run)
        return list({run.id: run for run in runs}.values())


def _changed(variant: Variant, changes: Mapping[YamlPath, tuple[Any, YamlPath]], root: str) -> Variant:
    for path, (value, origin) in changes.items():
        if path[0] == root:
            variant = variant.with_value(path[1:], value, origin)
    return variant


def _without(variant: Variant, *keys: str) -> Variant:
    if not isinstance(variant.value, Mapping):
        return variant
    kept = {key: value for key, value in variant.value.items() if key not in keys}
    return Variant(kept, variant.origins, variant.label, variant.training)


def _yaml_type(value: Any) -> str:
    words = {list: "a list", str: "text", type(None): "nothing", bool: "true or false"}
    return words.get(type(value), "a number")
