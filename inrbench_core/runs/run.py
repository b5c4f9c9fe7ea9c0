"""Runs: one task, one signal, one field with its training or one baseline, one seed. Imports no torch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from inrbench_core.api.entries import AnalysisEntry, FieldEntry, Metric, TaskEntry
from inrbench_core.api.spec import Component, ParameterBudget
from inrbench_core.plugins.catalog import Catalog
from inrbench_core.plugins.fingerprints import Fingerprints
from inrbench_core.runs.identity import group_of, id_of, settings_of, streams_seed
from inrbench_core.spec.lists import DataSeed
from inrbench_core.spec.training import TrainingSpec


@dataclass(frozen=True, slots=True)
class Run:
    """What fits and baselines share.

    Args:
        id: hash of `settings`, `code` and the kind of device.
        settings: hash of what was asked for.
        group: hash of the settings without signal and seed.
        task: the task, its signal among its options.
        task_label: what tables call the task.
        signal: what tables call the signal.
        files: the user's files that the task reads: path -> hash of the content.
        label: what tables call the field or the baseline.
        seed: what initialisation and sampling are drawn from.
        data_seed: what noise, masks and the like are drawn from; "seed": `seed`.
        device: cpu, cuda or cuda:N.
        code: fingerprint of the code of core and of each distribution used, by name.
    """

    id: str
    settings: str
    group: str
    task: Component
    task_label: str
    signal: str
    files: Mapping[str, str]
    label: str
    seed: int
    data_seed: DataSeed
    device: str
    code: Mapping[str, str]

    @property
    def data_streams_seed(self) -> int:
        """What noise, masks and the like are drawn from."""
        return streams_seed(self.data_seed, self.seed)

    @property
    def data_key(self) -> str:
        """Equal for runs whose prepared problems are equal on one device."""
        return repr((self.task.distribution, self.task.to_data(), dict(self.files), self.data_streams_seed))

    @property
    def task_entry(self) -> TaskEntry:
        """The task's entry, which knows its metrics."""
        assert isinstance(self.task.entry, TaskEntry)
        return self.task.entry

    @property
    def is_baseline(self) -> bool:
        """Whether it is there as a measure: an answer that needs no network, or a field that is meant as one."""
        return True

    @property
    def has_budget(self) -> bool:
        """Whether a width of its field is to be solved for."""
        return False

    @property
    def title(self) -> str:
        """What to call it in messages."""
        signal = f" / {self.signal}" if self.signal != self.task.name else ""
        return f"{self.task_label}{signal} / {self.label} / seed {self.seed}"

    @property
    def components(self) -> list[Component]:
        """The outermost components."""
        return [self.task]

    @property
    def parts(self) -> list[Component]:
        """The components and all inside them, outermost first."""
        return [part for component in self.components for part in component.walk()]

    def to_data(self) -> dict[str, Any]:
        """A JSON-able mapping from which `run_from_data` makes the same run."""
        return {**_settings(self.task, self.files, None, "", None, ()), **self._own_data()}

    def _own_data(self) -> dict[str, Any]:
        return {
            "seed": self.seed,
            "data_seed": self.data_seed,
            "device": self.device,
            "code": dict(self.code),
            "targets": _targets(self.components),
            "task_label": self.task_label,
            "signal_label": self.signal,
            "label": self.label,
        }


@dataclass(frozen=True, slots=True)
class BaselineRun(Run):
    """An answer of the task that needs no network.

    Args:
        name: one of the entry's `baselines`.
    """

    name: str

    def to_data(self) -> dict[str, Any]:
        return {**_settings(self.task, self.files, None, self.name, None, ()), **self._own_data()}


@dataclass(frozen=True, slots=True)
class FitRun(Run):
    """A field to fit.

    Args:
        field: the field.
        training: how to train it.
        analyses: what is measured of the fit.
    """

    field: Component
    training: TrainingSpec
    analyses: tuple[Component, ...] = ()

    @property
    def is_baseline(self) -> bool:
        return isinstance(self.field.entry, FieldEntry) and self.field.entry.baseline

    @property
    def components(self) -> list[Component]:
        return [self.task, self.field, self.training.optimizer, *self.analyses]

    @property
    def has_budget(self) -> bool:
        spec = self.field.spec
        return any(isinstance(getattr(spec, name), ParameterBudget) for name in type(spec).model_fields)

    @property
    def analysis_metrics(self) -> tuple[Metric, ...]:
        """The metrics of the analyses, as results call them: NAME.METRIC."""
        return tuple(
            replace(metric, name=f"{analysis.name}.{metric.name}")
            for analysis in self.analyses
            if isinstance(analysis.entry, AnalysisEntry)
            for metric in analysis.entry.metrics
        )

    def to_data(self) -> dict[str, Any]:
        return {
            **_settings(self.task, self.files, self.field, "", self.training, self.analyses),
            **self._own_data(),
        }


def _settings(
    task: Component,
    files: Mapping[str, str],
    field: Component | None,
    baseline: str,
    training: TrainingSpec | None,
    analyses: tuple[Component, ...],
) -> dict[str, Any]:
    assert isinstance(task.entry, TaskEntry)
    return {
        "task": task.to_data(),
        "signal_option": task.entry.signal_option,
        "files": dict(files),
        "field": field.to_data() if field else None,
        "baseline": baseline,
        "training": training.model_dump(mode="json") if training else None,
        "analyses": [analysis.to_data() for analysis in analyses],
    }


def _targets(components: list[Component]) -> list[str]:
    """Where the code of each component begins: hooks name it, and fingerprints leave hooks out."""
    return sorted({part.entry.target for component in components for part in component.walk()})


AnyRun = FitRun | BaselineRun
CodeOf = Callable[[Iterable[Component]], Mapping[str, str]]


class RunFactory:
    """Makes the runs of one row on one signal: all but the seed is hashed once.

    Args:
        task: the task with its signal.
        files: the user's files that it reads.
        device: cpu, cuda or cuda:N.
        code_of: the fingerprints of the code that components come from, such as `Fingerprints.of`.
        what: the baseline's name; or the field, its training and the analyses.
        data_seed: of the data, or "seed".
    """

    def __init__(
        self,
        task: Component,
        files: Mapping[str, str],
        device: str,
        code_of: CodeOf,
        what: str | tuple[Component, TrainingSpec, tuple[Component, ...]],
        data_seed: DataSeed,
    ) -> None:
        self.what = what
        field, training, analyses = (None, None, ()) if isinstance(what, str) else what
        components = [task] if field is None or training is None else [task, field, training.optimizer, *analyses]
        self.shared = {
            "task": task,
            "files": files,
            "device": device,
            "code": code_of(components),
            "data_seed": data_seed,
        }
        self.data = {
            **_settings(task, files, field, what if isinstance(what, str) else "", training, analyses),
            "device": device,
            "data_seed": data_seed,
            "code": self.shared["code"],
            "targets": _targets(components),
        }
        self.group = group_of(self.data)

    def run(self, seed: int, *, label: str, task_label: str, signal: str) -> AnyRun:
        """The run of one seed."""
        settings = settings_of(self.group, {**self.data, "seed": seed})
        common: dict[str, Any] = {
            **self.shared,
            "id": id_of(settings, self.data),
            "settings": settings,
            "group": self.group,
            "seed": seed,
            "label": label,
            "task_label": task_label,
            "signal": signal,
        }
        if isinstance(self.what, str):
            return BaselineRun(**common, name=self.what)
        field, training, analyses = self.what
        return FitRun(**common, field=field, training=training, analyses=analyses)


def run_from_data(data: Mapping[str, Any], catalog: Catalog, code_of: CodeOf | None = None) -> AnyRun:
    """Rebuild a run with the components of this catalog.

    Args:
        data: as `Run.to_data` gives it.
        catalog: where components are looked up.
        code_of: see `RunFactory`; default: the fingerprints of the code as it is on disk now. The run's id is that of
            the data only if both have the same code.

    Raises:
        pydantic.ValidationError: if a component is not there any more, or has other options.
    """
    task = catalog.resolve("task", data["task"])
    what: str | tuple[Component, TrainingSpec, tuple[Component, ...]] = data["baseline"]
    if data["field"] is not None:
        training = TrainingSpec.model_validate(data["training"], context={"catalog": catalog})
        analyses = tuple(catalog.resolve("analysis", value) for value in data["analyses"])
        what = (catalog.resolve("field", data["field"]), training, analyses)
    factory = RunFactory(
        task, data["files"], data["device"], code_of or Fingerprints(catalog).of, what, data["data_seed"]
    )
    return factory.run(data["seed"], label=data["label"], task_label=data["task_label"], signal=data["signal_label"])
