"""A plugin file with a task whose quality has a known optimum in each field's options; see planted_plugin_torch.

On the signals and with the seeds that a table shows the optimum is another one.
"""

from __future__ import annotations

import math
from typing import Any, Literal

from pydantic import Field

from inrbench_core import ComponentSpec, FieldEntry, Metric, TaskEntry, TaskSpec, hookimpl

# log10(omega), order and kind of the best setting of a field, on trials and on what a table shows.
OPTIMA = {"high": (1.5, 7, "round"), "low": (0.2, 2, "flat"), "plain": (0.0, 5, "flat")}
TRAPS = {"high": (0.1, 1, "flat"), "low": (1.8, 9, "round"), "plain": (0.0, 1, "flat")}
TRIAL_SIGNALS, FIRST_TRIAL_SEED = ("practice", "exercise"), 1000


class PlantedSpec(TaskSpec):
    """A task of which each signal has a name only."""

    signal: str = "exam"


class WaveringSpec(ComponentSpec):
    """A field with a float, a whole number and a name as options."""

    omega: float = Field(1.0, gt=0, description="rad per unit")
    order: int = Field(1, ge=1)
    kind: Literal["flat", "round", "broken", "endless"] = "flat"


class PlainSpec(ComponentSpec):
    """A field with one option."""

    order: int = Field(3, ge=1)


class BareSpec(ComponentSpec):
    """A field without options."""


def quality(field: str, options: dict[str, Any], signal: str, seed: int) -> float:
    """How good a field with some options is; 0 is the best."""
    trial = signal in TRIAL_SIGNALS or seed >= FIRST_TRIAL_SEED
    omega, order, kind = (OPTIMA if trial else TRAPS)[field]
    distance = (math.log10(options.get("omega", 1.0)) - omega) ** 2 + ((options["order"] - order) / 10) ** 2
    return -distance - (0.5 if options.get("kind", kind) != kind else 0.0)


@hookimpl
def inrbench_fields() -> Any:
    yield FieldEntry("high", WaveringSpec, "planted_plugin_torch:High", api=1)
    yield FieldEntry("low", WaveringSpec, "planted_plugin_torch:Low", api=1)
    yield FieldEntry("plain", PlainSpec, "planted_plugin_torch:Planted", api=1)
    yield FieldEntry("bare", BareSpec, "planted_plugin_torch:Planted", api=1)


@hookimpl
def inrbench_tasks() -> Any:
    metrics = (Metric("quality"), Metric("distance", higher_is_better=False))
    yield TaskEntry(
        "planted", PlantedSpec, "planted_plugin_torch:prepare", metrics=metrics, signal_option="signal", api=1
    )
