"""How a field is trained: the budget that all fields of an experiment share."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainValidator, WithJsonSchema

from inrbench_core.api.spec import OptimizerRef

# How many fits take their steps together: fewer gain nothing (benchmarks/stacked_fits.py), and all are in memory.
LEAST_MEMBERS, MOST_MEMBERS = 4, 16


def switch(value: Any) -> Any:
    """YAML reads a bare on and off as booleans."""
    return {True: "on", False: "off"}.get(value, value) if isinstance(value, bool) else value


def _batch(value: Any) -> Any:
    if value == "full":
        return value
    number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    if number and value == int(value) >= 1:
        return int(value)
    raise ValueError(f"expected full or a whole number from 1, got {value!r}")


class TrainingSpec(BaseModel):
    """Training options; every field of one experiment gets the same unless it overrides them.

    It is validated with `context={"catalog": ...}`, which the optimiser's name is looked up in.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    steps: int = Field(1000, ge=0, le=10**9, description="optimiser steps")
    batch: Annotated[
        int | Literal["full"],
        PlainValidator(_batch),
        WithJsonSchema({"anyOf": [{"const": "full"}, {"type": "integer", "minimum": 1}]}),
    ] = Field("full", description="elements a step: full, or a count drawn without replacement within each pass")
    optimizer: OptimizerRef = Field(
        "adam", validate_default=True, description="what takes the steps: a name, or {name: ..., OPTION: ...}"
    )
    lr: float = Field(1e-3, gt=0, description="learning rate of the first step")
    schedule: Literal["constant", "cosine", "exponential"] = Field(
        "cosine", description="how the learning rate goes from lr to lr * final_lr"
    )
    final_lr: float = Field(0.01, gt=0, le=1, description="learning rate of the last step, as a share of lr")
    evaluate_every: int = Field(100, ge=0, description="steps between evaluations on the curve; 0: only at the end")
    compile: Annotated[
        Literal["auto", "on", "off"],
        BeforeValidator(switch),
        # Editors read a bare on and off as booleans, too.
        WithJsonSchema({"enum": ["auto", "on", "off", True, False]}),
    ] = Field("auto", description="torch.compile: on, off, or auto (where the planned work repays it)")
    precision: Literal["float32", "tf32", "bf16"] = Field(
        "float32", description="of matrix products in training: float32, tf32 (CUDA only) or bf16 (torch.autocast)"
    )
