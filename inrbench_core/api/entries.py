"""Entries: the records a plugin's hooks return. Imports no torch, so that listing is quick."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from inrbench_core.api.spec import ComponentSpec, TaskSpec

API_VERSION = 1


@dataclass(frozen=True)
class Entry:
    """One thing a plugin adds: a name, how it is configured, and where its code is.

    Args:
        name: what a spec calls it; unique within its kind, or written `distribution:name`.
        spec: the pydantic class of its options; the docstring's first line is the summary.
        target: "package.module:attribute", imported at first use, called with the spec first.
        reference: the paper it comes from, with year and arXiv id.
        formula: what it computes, in one line of plain text.
        aliases: other names that specs may use.
        training: training defaults it recommends, such as {"lr": 1e-4}.
        api: the API_VERSION it was written for.
    """

    name: str
    spec: type[ComponentSpec]
    target: str
    reference: str = ""
    formula: str = ""
    aliases: tuple[str, ...] = ()
    training: Mapping[str, Any] = field(default_factory=dict, hash=False)
    api: int = API_VERSION

    kind: ClassVar[str] = ""
    spec_base: ClassVar[type[ComponentSpec]] = ComponentSpec

    @property
    def summary(self) -> str:
        """First line of the spec class's docstring."""
        return (inspect.getdoc(self.spec) or "").split("\n", 1)[0]

    def load(self) -> Any:
        """Import the target. Raises ImportError or AttributeError if it is not there."""
        module_name, _, attribute = self.target.partition(":")
        return getattr(importlib.import_module(module_name), attribute)


class EncodingEntry(Entry):
    """A map of coordinates to features; target: a subclass of `Encoding`."""

    kind = "encoding"


class ActivationEntry(Entry):
    """An elementwise non-linearity with its own initialisation; target: a subclass of `Activation`."""

    kind = "activation"


class BasisEntry(Entry):
    """The univariate functions of a KAN layer; target: a subclass of `Basis`."""

    kind = "basis"


@dataclass(frozen=True)
class FieldEntry(Entry):
    """A whole network; target: an nn.Module class or a function, called as target(spec, shape).

    Args:
        baseline: a measure for the other fields: trained as they are, and shown in tables without a rank.
    """

    baseline: bool = False

    kind: ClassVar[str] = "field"


@dataclass(frozen=True)
class Metric:
    """A figure that a task reports."""

    name: str
    unit: str = ""
    higher_is_better: bool = True


@dataclass(frozen=True)
class TaskEntry(Entry):
    """A problem to fit a field to; target: called as target(spec, device=..., seeds=...) -> Problem.

    Args:
        signal: what is represented: audio, image, video, shape, scan, scene.
        direction: forward (the signal itself is given) or inverse (only a measurement of it).
        metrics: the figures it reports, the primary one first.
        baselines: names that `Problem.baseline` answers to: answers that need no network.
    """

    signal: str = ""
    direction: Literal["forward", "inverse"] = "forward"
    metrics: tuple[Metric, ...] = ()
    baselines: tuple[str, ...] = ()

    kind: ClassVar[str] = "task"
    spec_base: ClassVar[type[ComponentSpec]] = TaskSpec

    @property
    def primary(self) -> Metric:
        """The metric that ranks fields on this task."""
        return self.metrics[0]

    def metric(self, name: str) -> Metric:
        """The metric of that name. Raises KeyError if the task has none."""
        return {metric.name: metric for metric in self.metrics}[name]


class ExecutorEntry(Entry):
    """A way to carry out runs; target: a subclass of `Executor`."""

    kind = "executor"


class ReporterEntry(Entry):
    """A format for results; target: a function (spec, leaderboards) -> str."""

    kind = "reporter"


@dataclass(frozen=True)
class RecipeEntry:
    """A name for a field with its components and training defaults, such as `siren`.

    Args:
        name: what a spec calls it, where a field goes.
        summary: one line.
        stands_for: the field it stands for, as it would be written in YAML, with `name:`.
        training: training defaults that go with it.
    """

    name: str
    summary: str
    stands_for: Mapping[str, Any] = field(hash=False)
    training: Mapping[str, Any] = field(default_factory=dict, hash=False)
    reference: str = ""
    aliases: tuple[str, ...] = ()
    api: int = API_VERSION

    kind: ClassVar[str] = "recipe"


ENTRY_TYPES: dict[str, type[Entry] | type[RecipeEntry]] = {
    entry_type.kind: entry_type
    for entry_type in (
        EncodingEntry,
        ActivationEntry,
        BasisEntry,
        FieldEntry,
        RecipeEntry,
        TaskEntry,
        ExecutorEntry,
        ReporterEntry,
    )
}
