"""`select:` and `tuning:`: rows whose options are chosen by trial runs that no table shows. Imports no torch."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, PlainValidator, WithJsonSchema, model_validator

from inrbench_core.plugins.catalog import shorten
from inrbench_core.spec.experiment import FieldRow
from inrbench_core.spec.lists import FIRST_TRIAL_SEED, DataSeed, Seed, Texts, TrialSeeds
from inrbench_core.spec.yaml_io import YamlPath

MOST_TRIALS = 1000
# Points drawn for each trial: some give a setting that already exists, as where an option has few values.
DRAWN = 20
FLAGS = ("log", "int")


@dataclass(frozen=True)
class Range:
    """The values that an option is tuned over: from `low` to `high`, or one of some.

    Args:
        low: least value.
        high: largest value.
        log: spread evenly over the logarithm.
        whole: whole numbers only.
        choices: the values; none where there are ends.
    """

    low: float = 0.0
    high: float = 1.0
    log: bool = False
    whole: bool = False
    choices: tuple[Any, ...] = ()

    def at(self, share: float) -> Any:
        """The value at a share of the range, from 0 to below 1; floats have four digits, so that all machines agree."""
        if self.choices:
            return self.choices[int(share * len(self.choices))]
        # Each whole number has an equal part of the range, the ends as well.
        low, high = self.low, self.high + self.whole
        value = low * (high / low) ** share if self.log else low + share * (high - low)
        return min(math.floor(value), int(self.high)) if self.whole else min(max(float(f"{value:.4g}"), low), high)


def _range(value: Any) -> Range:
    if isinstance(value, Mapping):
        choices = value.get("choices")
        if set(value) != {"choices"} or not isinstance(choices, list) or len(choices) < 2:
            raise ValueError(f"expected {{choices: [...]}} with two values or more, got {shorten(value)}")
        return Range(choices=tuple(choices))
    if not isinstance(value, list | tuple) or len(value) < 2 or not all(map(_is_number, value[:2])):
        raise ValueError(f"expected [low, high], [low, high, log] or {{choices: [...]}}, got {shorten(value)}")
    low, high, *flags = value
    # Not by a set: what is in a list of YAML may be a list.
    if any(flag not in FLAGS or flags.count(flag) > 1 for flag in flags):
        raise ValueError(f"after low and high come log, int or both, got {shorten(flags)}")
    if not low < high:
        raise ValueError(f"low has to be less than high, got {shorten(value)}")
    if "log" in flags and low <= 0:
        raise ValueError(f"a range with log begins above 0, got {shorten(value)}")
    if "int" in flags and (low != int(low) or high != int(high)):
        raise ValueError(f"a range with int has whole numbers as ends, got {shorten(value)}")
    return Range(float(low), float(high), "log" in flags, "int" in flags)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


Ranges = dict[
    str,
    Annotated[
        Range,
        PlainValidator(_range),
        WithJsonSchema(
            {
                "anyOf": [
                    {"type": "array", "minItems": 2, "maxItems": 4},
                    {
                        "type": "object",
                        "properties": {"choices": {"type": "array", "minItems": 2}},
                        "required": ["choices"],
                        "additionalProperties": False,
                    },
                ]
            }
        ),
    ],
]
# The keys of `tuning:` that hold ranges: of fields, and of fields that are meant as baselines.
OVER, BASELINES = "over", "baselines"


class _Choosing(BaseModel):
    """What both say: on what trials are compared, and by which metric."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    by: str = Field("", description="the metric that chooses; default: the one that ranks")
    signals: Texts = Field(
        [], description="signals of trial runs; without seeds they are left out of the tables; default: the task's"
    )
    seeds: TrialSeeds = Field(
        [], description=f"seeds of trial runs, or how many, from {FIRST_TRIAL_SEED} on; the tables have others"
    )

    def trial_seeds(self, seeds: Sequence[int], data_seed: DataSeed) -> tuple[int, ...]:
        """The seeds of trial runs, which are those of their data as well.

        Args:
            seeds: of the tables; trials have them where only signals are given.
            data_seed: of the tables.
        """
        if self.seeds or self.signals:
            return tuple(self.seeds or seeds)
        taken = {*seeds, data_seed}
        return (next(seed for seed in itertools.count(FIRST_TRIAL_SEED) if seed not in taken),)


class SelectSpec(_Choosing):
    """Rows of a sweep that differ only in some options become one: the best of them."""

    over: Annotated[Texts, Field(min_length=1)] = Field(description="keys of the sweep that are chosen")


class TuningSpec(_Choosing):
    """Every field is tried with the same number of settings; the best is a row beside the published one."""

    model_config = ConfigDict(
        json_schema_extra={
            "anyOf": [{"required": [part], "properties": {part: {"minProperties": 1}}} for part in (OVER, BASELINES)]
        }
    )

    over: Ranges = Field(
        {}, description="training.KEY or a path in the field: [low, high, log, int] or {choices: [..]}"
    )
    baselines: Ranges = Field({}, description="the same, for fields that are meant as baselines; default: not tuned")
    trials: int = Field(ge=2, le=MOST_TRIALS, description="settings of each field, the published one among them")
    seed: Seed = Field(0, description="of the drawn settings")

    @model_validator(mode="after")
    def _something(self) -> TuningSpec:
        if not self.over and not self.baselines:
            raise ValueError("give ranges in over:, in baselines: or in both")
        return self

    def ranges(self, part: str) -> Ranges:
        """The ranges of a part, `OVER` or `BASELINES`."""
        return self.baselines if part == BASELINES else self.over

    def paths(self, part: str = OVER) -> dict[str, YamlPath]:
        """Where each key of a part is in a row: under training or under field."""
        parts = {key: tuple(key.split(".")) for key in self.ranges(part)}
        return {key: path if path[0] in ("training", "field") else ("field", *path) for key, path in parts.items()}

    def all_paths(self) -> dict[str, dict[str, YamlPath]]:
        """The paths of each part."""
        return {part: self.paths(part) for part in (OVER, BASELINES)}

    def settings(self, keys: Sequence[str], part: str = OVER) -> Iterator[dict[str, Any]]:
        """Settings of some of the keys of a part, of which some may be equal: scrambled Halton points (Owen 2017,
        arXiv:1706.02808), spread evenly over any of the keys, so that fields share the values of what they share.
        """
        # Here, because importing scipy.stats takes a second.
        from scipy.stats import qmc

        ranges = self.ranges(part)
        points = qmc.Halton(d=len(ranges), scramble=True, seed=self.seed).random(DRAWN * self.trials)
        for point in points:
            shares = dict(zip(ranges, point, strict=True))
            yield {key: ranges[key].at(float(shares[key])) for key in keys}


def row_data(row: FieldRow) -> dict[str, Any]:
    """Field and training of a row as plain data, every default written out."""
    return {"training": row.training.model_dump(mode="json"), "field": row.field.to_data()}


def option_at(data: Any, path: YamlPath) -> Any:
    """The value at a path in plain data. Raises KeyError if there is none."""
    for part in path:
        if not isinstance(data, Mapping):
            raise KeyError(part)
        data = data[part]
    return data


def options_of(row: FieldRow, paths: Mapping[str, YamlPath]) -> dict[str, Any]:
    """The values of those of some options that a row has."""
    data, found = row_data(row), {}
    for key, path in paths.items():
        try:
            found[key] = option_at(data, path)
        except KeyError:
            continue
    return found
