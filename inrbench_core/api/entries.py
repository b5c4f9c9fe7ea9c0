"""Entries: the records a plugin's hooks return. Imports no torch, so that listing is quick."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
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
        api: the API version the plugin was written for. Write the number itself: a plugin that copied
            core's `API_VERSION` could never differ from it.
    """

    name: str
    spec: type[ComponentSpec]
    target: str
    reference: str = ""
    formula: str = ""
    aliases: tuple[str, ...] = ()
    training: Mapping[str, Any] = field(default_factory=dict, hash=False)
    api: int = field(kw_only=True)

    kind: ClassVar[str] = ""
    spec_base: ClassVar[type[ComponentSpec]] = ComponentSpec

    @property
    def summary(self) -> str:
        """First line of the spec class's docstring."""
        return (inspect.getdoc(self.spec) or "").split("\n", 1)[0]

    def load(self) -> Any:
        """Import the target. Raises ImportError or AttributeError if it is not there."""
        return load_object(self.target)


def load_object(target: str) -> Any:
    """Import "package.module:attribute". Raises ImportError or AttributeError if it is not there."""
    module_name, _, attribute = target.partition(":")
    return getattr(importlib.import_module(module_name), attribute)


class EncodingEntry(Entry):
    """A map of coordinates to features; target: a subclass of `Encoding`."""

    kind = "encoding"


class ActivationEntry(Entry):
    """An elementwise non-linearity; target: a subclass of `Activation`, called as target(spec, position=...)."""

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
    """A figure that a task or an analysis reports.

    Args:
        name: what results call it; of an analysis NAME.METRIC.
        unit: such as "dB"; "" if it has none.
        higher_is_better: True or False; None for one that describes and does not judge.
        column: whether tables show it; files and `to_frame` have every metric.
    """

    name: str
    unit: str = ""
    higher_is_better: bool | None = True
    column: bool = True

    def to_data(self) -> dict[str, Any]:
        """A JSON-able mapping from which `Metric(**data)` makes the same metric."""
        return asdict(self)


@dataclass(frozen=True)
class TaskEntry(Entry):
    """A problem to fit a field to; target: called as target(spec, device=..., seeds=...) -> Problem.

    Args:
        signal: what is represented: audio, image, video, shape, scan, scene.
        direction: forward (the signal itself is given) or inverse (only a measurement of it).
        metrics: the figures it reports, the primary one first.
        baselines: names that `Problem.baseline` answers to: answers that need no network.
        extras: of baselines that need an extra, the module that is imported and what to install. Tables have the row
            in any case: without the module it is skipped, with the reason.
        rank_by: the metric that ranks fields where it is defined, such as a held-out quality; "": the primary one.
        renderer: "package.module:attribute" of a `Renderer`, called as target(frame, device); "" if there is none.
        signal_option: the option of the spec that names the signal; `signals:` in a spec gives it several values.
    """

    signal: str = ""
    direction: Literal["forward", "inverse"] = "forward"
    metrics: tuple[Metric, ...] = ()
    baselines: tuple[str, ...] = ()
    extras: Mapping[str, tuple[str, str]] = field(default_factory=dict, hash=False)
    rank_by: str = ""
    renderer: str = ""
    signal_option: str = "source"

    kind: ClassVar[str] = "task"
    spec_base: ClassVar[type[ComponentSpec]] = TaskSpec

    @property
    def primary(self) -> Metric:
        """The first metric, which every run has; it ranks fields unless `rank_by` names another one."""
        return self.metrics[0]

    def lacking(self, baseline: str) -> str:
        """Why a baseline cannot be had here: the extra that it needs is not installed; else ""."""
        module, extra = self.extras.get(baseline, ("", ""))
        try:
            lacks = bool(module) and importlib.util.find_spec(module) is None
        except (ImportError, ValueError):  # Its package is not there, or is no package.
            lacks = True
        return f"it needs an extra: pip install '{extra}'" if lacks else ""

    def metric(self, name: str) -> Metric:
        """The metric of that name. Raises KeyError if the task has none."""
        return {metric.name: metric for metric in self.metrics}[name]


class ExecutorEntry(Entry):
    """A way to carry out jobs; target: a subclass of `Executor`, called as target(spec, context)."""

    kind = "executor"


class ReporterEntry(Entry):
    """A format for results; target: a function (spec, results) -> str, `results` being a `Results`."""

    kind = "reporter"


@dataclass(frozen=True)
class OptimizerEntry(Entry):
    """An optimiser; target: a function (spec, groups) -> torch.optim.Optimizer.

    `groups` is a list of parameter groups, each with `params` and its own `lr`. Every step is taken as
    `optimizer.step(closure)`: the closure computes the loss of the step's batch and its gradients, and may be
    called several times.

    Args:
        one_gradient: whether each step calls the closure exactly once, uses no other gradient and draws no random
            numbers; fits with such optimisers may train together.
    """

    one_gradient: bool = False

    kind: ClassVar[str] = "optimizer"


@dataclass(frozen=True)
class AnalysisEntry(Entry):
    """Something measured of a fit beside the task's metrics; target: a subclass of `Analysis`.

    Args:
        metrics: the figures that its observations report; each becomes a column `NAME.METRIC` of results.
    """

    metrics: tuple[Metric, ...] = ()

    kind: ClassVar[str] = "analysis"


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
    api: int = field(kw_only=True)

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
        OptimizerEntry,
        AnalysisEntry,
        ExecutorEntry,
        ReporterEntry,
    )
}
