"""A plugin file with one tiny component of each sort, for tests of core that need no official plugin.

The task fits y = sin(3x) on a line; the field is one linear layer over [x, activation(x)].
"""

from __future__ import annotations

from typing import Any

from pydantic import Field

from inrbench_core import (
    ActivationEntry,
    ActivationRef,
    ComponentSpec,
    EncodingEntry,
    EncodingRef,
    FieldEntry,
    Metric,
    RecipeEntry,
    TaskEntry,
    TaskSpec,
    Width,
    hookimpl,
)


class PlainSpec(ComponentSpec):
    """A component without options."""


class WaveSpec(ComponentSpec):
    """A component with an option."""

    omega: float = Field(3.0, gt=0, description="rad per unit")
    orders: int = Field(2, ge=1)


class KinkSpec(ComponentSpec):
    """A component that can be differentiated once."""

    def derivatives(self) -> int | None:
        return 1


class ShallowSpec(ComponentSpec):
    """One hidden layer."""

    encoding: EncodingRef = Field("plain", description="the encoding")  # type: ignore[assignment]
    activation: ActivationRef = Field("wave", description="the activation")  # type: ignore[assignment]
    width: Width = 16


class LineSpec(TaskSpec):
    """sin(3x) on a line."""

    samples: int = Field(64, ge=1)
    curvature: bool = False
    source: str = Field("", description="a file of the user's")
    trouble: str = Field("", description="'raise', 'die', 'nan' or 'sleep' in evaluate")

    def required_derivatives(self) -> int:
        return 2 if self.curvature else 0


@hookimpl
def inrbench_encodings() -> Any:
    yield EncodingEntry("plain", PlainSpec, "small_plugin_torch:Plain", api=1)
    yield EncodingEntry("waves", WaveSpec, "small_plugin_torch:Waves", aliases=("ripples",), api=1)


@hookimpl
def inrbench_activations() -> Any:
    yield ActivationEntry("wave", WaveSpec, "small_plugin_torch:Wave", training={"lr": 2e-3}, api=1)
    yield ActivationEntry("kink", KinkSpec, "small_plugin_torch:Kink", api=1)


@hookimpl
def inrbench_fields() -> Any:
    yield FieldEntry("shallow", ShallowSpec, "small_plugin_torch:Shallow", api=1)


@hookimpl
def inrbench_recipes() -> Any:
    stands_for = {"name": "shallow", "activation": {"name": "wave", "omega": 9.0}, "width": 8}
    yield RecipeEntry("swell", "a recipe", stands_for, training={"lr": 5e-3}, api=1)


@hookimpl
def inrbench_tasks() -> Any:
    metrics = (Metric("psnr", "dB"), Metric("mae", higher_is_better=False))
    yield TaskEntry("line", LineSpec, "small_plugin_torch:prepare", metrics=metrics, baselines=("zero",), api=1)
