"""A plugin file for tests of specs: tasks that name their signals in several ways, and one entry of each other kind.

Only the components that small_plugin has can be fitted.
"""

from __future__ import annotations

from typing import Any

from pydantic import Field, ValidationInfo, field_validator

from inrbench_core import (
    ActivationRef,
    AnalysisEntry,
    BasisEntry,
    BasisRef,
    ComponentSpec,
    EncodingEntry,
    EncodingRef,
    FieldEntry,
    Metric,
    OptimizerEntry,
    RecipeEntry,
    TaskEntry,
    TaskSpec,
    Width,
    hookimpl,
)
from inrbench_core.api.sources import find_source

NAMES = ("square", "circle")


class CurveSpec(TaskSpec):
    """A curve: one of two that are known, or a file."""

    source: str = "square"
    samples: int = Field(8, ge=1, le=64)

    @field_validator("source")
    @classmethod
    def _source(cls, value: str, info: ValidationInfo) -> str:
        return find_source(value, info, "curve", NAMES)


class ScanSpec(TaskSpec):
    """A task whose signal is named by another option; it has no default."""

    scan: str
    folder: str = ""


class ConstantSpec(TaskSpec):
    """A task with one signal only."""

    level: float = 0.5


class MeasureSpec(ComponentSpec):
    """A field that is there as a measure for the others."""

    encoding: EncodingRef = Field("plain", description="the encoding")  # type: ignore[assignment]
    activation: ActivationRef = Field("wave", description="the activation")  # type: ignore[assignment]
    width: Width = 4


class StackedSpec(ComponentSpec):
    """A field over a basis, which holds an activation."""

    basis: BasisRef = Field("bumps", description="the basis")  # type: ignore[assignment]
    note: str = ""
    sizes: tuple[int, ...] = (4, 4)


class BumpsSpec(ComponentSpec):
    """A basis with a component inside."""

    activation: ActivationRef = Field("kink", description="the activation")  # type: ignore[assignment]
    grid: int = Field(3, ge=1)


class TableSpec(ComponentSpec):
    """An encoding that recommends a rate."""

    entries: int = Field(16, gt=0)


class PairSpec(ComponentSpec):
    """An encoding with another one inside."""

    inner: EncodingRef = Field("plain", description="the other one")  # type: ignore[assignment]
    scale: float = 1.0


class PairedSpec(ComponentSpec):
    """A field whose default encoding has a component inside."""

    encoding: EncodingRef = Field("pair", description="the encoding")  # type: ignore[assignment]
    activation: ActivationRef = Field("wave", description="the activation")  # type: ignore[assignment]


class RoughnessSpec(ComponentSpec):
    """An analysis with an option."""

    points: int = Field(16, ge=2)


class LeapsSpec(ComponentSpec):
    """An optimiser that recommends a rate."""

    history: int = Field(4, ge=1)


@hookimpl
def inrbench_tasks() -> Any:
    metrics = (Metric("psnr", "dB"),)
    yield TaskEntry(
        "curve",
        CurveSpec,
        "spec_plugin:none",
        metrics=metrics,
        baselines=("mean", "zero"),
        training={"batch": 4},
        api=1,
    )
    yield TaskEntry("scan", ScanSpec, "spec_plugin:none", metrics=metrics, signal_option="scan", api=1)
    yield TaskEntry("constant", ConstantSpec, "spec_plugin:none", metrics=metrics, api=1)


@hookimpl
def inrbench_fields() -> Any:
    yield FieldEntry("measure", MeasureSpec, "small_plugin_torch:Shallow", baseline=True, api=1)
    yield FieldEntry("paired", PairedSpec, "spec_plugin:none", api=1)
    yield FieldEntry("stacked", StackedSpec, "spec_plugin:none", aliases=("pile",), api=1)


@hookimpl
def inrbench_bases() -> Any:
    yield BasisEntry("bumps", BumpsSpec, "spec_plugin:none", training={"lr": 8e-3}, api=1)


@hookimpl
def inrbench_encodings() -> Any:
    yield EncodingEntry("pair", PairSpec, "spec_plugin:none", api=1)
    yield EncodingEntry("table", TableSpec, "spec_plugin:none", training={"lr": 9e-3, "schedule": "constant"}, api=1)


@hookimpl
def inrbench_recipes() -> Any:
    stands_for = {"name": "stacked", "basis": {"name": "bumps", "grid": 5}}
    yield RecipeEntry("tower", "a recipe", stands_for, training={"lr": 6e-3, "steps": 30}, api=1)


@hookimpl
def inrbench_analyses() -> Any:
    metrics = (Metric("mean", higher_is_better=False),)
    yield AnalysisEntry("roughness", RoughnessSpec, "spec_plugin:none", metrics=metrics, api=1)
    yield AnalysisEntry("flatness", RoughnessSpec, "spec_plugin:none", metrics=metrics, api=1)
    tilt = (Metric("tilt", higher_is_better=None),)
    yield AnalysisEntry("slope", RoughnessSpec, "spec_plugin:none", metrics=tilt, api=1)


@hookimpl
def inrbench_optimizers() -> Any:
    yield OptimizerEntry("leaps", LeapsSpec, "spec_plugin:none", training={"lr": 1.0}, api=1)
