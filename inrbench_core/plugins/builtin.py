"""Core's own entries: the local executor, the plain reporters and torch's usual optimisers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field

from inrbench_core.api.entries import API_VERSION, ExecutorEntry, OptimizerEntry, ReporterEntry
from inrbench_core.api.hookspecs import hookimpl
from inrbench_core.api.spec import ComponentSpec

Decay = Annotated[float, Field(ge=0, lt=1)]


class LocalSpec(ComponentSpec):
    """Warm worker processes on this machine."""

    jobs: int | None = Field(
        None, gt=0, description="jobs at a time; if not given, one per core up to 8 on the CPU, and one per GPU on cuda"
    )


class AdamSpec(ComponentSpec):
    """Adam, as in torch."""

    betas: tuple[Decay, Decay] = Field((0.9, 0.999), description="decay rates of the two moments")
    eps: float = Field(1e-8, gt=0, description="added to the root of the second moment")


class AdamWSpec(AdamSpec):
    """Adam with decoupled weight decay, as in torch."""

    weight_decay: float = Field(0.01, ge=0, description="decay, as a share of the learning rate")


class SgdSpec(ComponentSpec):
    """Stochastic gradient descent with momentum, as in torch."""

    momentum: float = Field(0.9, ge=0, lt=1, description="share of the last step that is kept")


class TableSpec(ComponentSpec):
    """A ranked table for the terminal."""

    sort: str = Field("", description="the metric that ranks; default: the one that each task says")


class CsvSpec(TableSpec):
    """Comma-separated values, one row per task and field."""


class JsonSpec(TableSpec):
    """One JSON object with every figure unrounded."""


class MarkdownSpec(TableSpec):
    """A table in Markdown."""


class LatexSpec(TableSpec):
    """A table in LaTeX (booktabs)."""


class RunsSpec(ComponentSpec):
    """Comma-separated values, one row per run."""


class TimeToTargetSpec(TableSpec):
    """Steps and seconds until a target quality is reached, and how many runs reach it."""

    target: float | str = Field(
        "", description="a value, or the row whose mean on each signal it is; default: the median field's"
    )


class ParetoSpec(TableSpec):
    """Which fields no other one beats in both quality and cost."""

    against: Literal["parameters", "flops", "seconds"] = Field(
        "parameters", description="the cost: trainable parameters, estimated FLOPs, or seconds of training"
    )


OPTIMIZERS: dict[str, tuple[type[ComponentSpec], str]] = {
    "adam": (AdamSpec, "Kingma and Ba 2015, arXiv:1412.6980"),
    "adamw": (AdamWSpec, "Loshchilov and Hutter 2019, arXiv:1711.05101"),
    "sgd": (SgdSpec, "Sutskever et al. 2013"),
}
REPORTERS: dict[str, tuple[type[ComponentSpec], str]] = {
    "table": (TableSpec, "formats:table_report"),
    "csv": (CsvSpec, "formats:csv_report"),
    "json": (JsonSpec, "formats:json_report"),
    "markdown": (MarkdownSpec, "formats:markdown_report"),
    "latex": (LatexSpec, "formats:latex_report"),
    "runs": (RunsSpec, "formats:runs_report"),
    "time-to-target": (TimeToTargetSpec, "tradeoff_tables:time_to_target_report"),
    "pareto": (ParetoSpec, "tradeoff_tables:pareto_report"),
}


@hookimpl
def inrbench_executors() -> Iterator[ExecutorEntry]:
    yield ExecutorEntry("local", LocalSpec, "inrbench_core.runs.local:LocalExecutor", api=API_VERSION)


@hookimpl
def inrbench_optimizers() -> Iterator[OptimizerEntry]:
    for name, (spec, reference) in OPTIMIZERS.items():
        target = f"inrbench_core.fit.optimizers:{name}"
        yield OptimizerEntry(name, spec, target, reference=reference, one_gradient=True, api=API_VERSION)


@hookimpl
def inrbench_reporters() -> Iterator[ReporterEntry]:
    for name, (spec, target) in REPORTERS.items():
        yield ReporterEntry(name, spec, f"inrbench_core.results.{target}", api=API_VERSION)
