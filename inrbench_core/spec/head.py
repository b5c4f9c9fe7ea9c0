"""The top level of a spec file."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    WithJsonSchema,
)

from inrbench_core.api.spec import Component, ComponentOf
from inrbench_core.plugins.catalog import shorten
from inrbench_core.spec.choosing import SelectSpec, TuningSpec
from inrbench_core.spec.lists import OWN_DATA, DataSeed, OneOrMore, Seeds
from inrbench_core.spec.training import switch

# Of a name, since a file system allows 255 bytes.
MOST_BYTES = 200


def _folder_name(name: str) -> str:
    if not re.fullmatch(r"\w[\w.-]{0,99}", name):
        raise ValueError(
            f"expected up to 100 letters, digits, '_', '.' and '-', the first one a letter, digit or '_'; "
            f"got {shorten(name)}"
        )
    if len(name.encode()) > MOST_BYTES:
        raise ValueError(f"takes {len(name.encode())} bytes; at most {MOST_BYTES}")
    return name


def _data_seed(value: Any) -> Any:
    if value == OWN_DATA or (isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63):
        return value
    raise ValueError(f"expected a whole number from 0, or {OWN_DATA}, got {shorten(value)}")


def name_of(file: Path) -> str:
    """The name of an experiment whose file does not say one."""
    stem = re.sub(r"[^\w.-]+", "_", file.stem).lstrip(".-")
    return stem.encode(errors="ignore")[:100].decode(errors="ignore") or "experiment"


class ExperimentHead(BaseModel):
    """The top level of a spec file."""

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True, validate_default=True)

    name: Annotated[str, AfterValidator(_folder_name)] = Field(
        description="names the folder of results; default: the file's name"
    )
    task: Any = Field(None, description="a task's name, or a mapping with name:, label:, signals: and its options")
    tasks: list[Any] = Field([], description="several tasks; all fields run on each")
    fields: Any = Field(description="the fields to compare; lists inside expand to one field for each value")
    training: dict[str, Any] = Field({}, description="how to train, for all fields that do not say otherwise")
    seeds: Seeds = Field([0], description="seeds, or how many")
    data_seed: Annotated[
        DataSeed,
        PlainValidator(_data_seed),
        WithJsonSchema({"anyOf": [{"type": "integer", "minimum": 0}, {"const": OWN_DATA}]}),
    ] = Field(0, description="of noise, masks and what else is random in the data, for all seeds; seed: each its own")
    sweep: dict[str, list[Any]] = Field({}, description="dotted key under training, task or field: list of values")
    select: SelectSpec | None = Field(None, description="chooses among the rows of a sweep by trial runs")
    tuning: TuningSpec | None = Field(None, description="chooses options of every field by trial runs")
    analyses: Annotated[list[Annotated[Component, ComponentOf("analysis")]], OneOrMore] = Field(
        [], description="what is measured of each fit beside the task's metrics: names, or mappings with name:"
    )
    executor: Annotated[Component, ComponentOf("executor")] = Field("local", description="what carries out the runs")  # type: ignore[assignment]
    stack: Annotated[
        Literal["auto", "off"],
        BeforeValidator(switch),
        # Editors read a bare off as a boolean, too.
        WithJsonSchema({"enum": ["auto", "off", False]}),
    ] = Field(
        "auto", description="whether like fits of small batches train together: auto (where that is faster) or off"
    )
    timeout_s: float | None = Field(None, gt=0, allow_inf_nan=False, description="time limit of one run, in s")
    device: str = Field("auto", pattern=r"^(auto|cpu|cuda(:\d{1,3})?)$", description="auto, cpu, cuda or cuda:N")

    @property
    def choosing_key(self) -> str:
        """What chooses options: select, or tuning."""
        return "select" if self.select is not None else "tuning"

    @property
    def choosing(self) -> SelectSpec | TuningSpec | None:
        """What chooses options, if anything."""
        return self.select or self.tuning
