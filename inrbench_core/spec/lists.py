"""Values of a spec that are lists, or stand for one. Imports no torch."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema

from inrbench_core.plugins.catalog import shorten

MOST_SEEDS = 1000
# Where a count of seeds of trial runs begins: the seeds of tables are rarely there.
FIRST_TRIAL_SEED = 1000

Seed = Annotated[int, Field(ge=0, lt=2**63)]
# Where each run's data are those of its own seed.
OWN_DATA: Literal["seed"] = "seed"
DataSeed = Seed | Literal["seed"]


def _seed_list(value: Any, first: int) -> Any:
    if isinstance(value, int | float) and not isinstance(value, bool):
        if not math.isfinite(value) or value != int(value) or not 1 <= value <= MOST_SEEDS:
            raise ValueError(f"a count of seeds must be a whole number from 1 to {MOST_SEEDS:,}, got {shorten(value)}")
        return list(range(first, first + int(value)))
    return value


def _without_duplicates(seeds: list[int]) -> list[int]:
    return list(dict.fromkeys(seeds))


def _one_or_more(value: Any) -> Any:
    return value if isinstance(value, list | tuple) else [value]


_SEEDS_SCHEMA = WithJsonSchema(
    {
        "anyOf": [
            {"type": "integer", "minimum": 1, "maximum": MOST_SEEDS},
            {"type": "array", "items": {"type": "integer", "minimum": 0}, "minItems": 1},
        ]
    }
)
OneOrMore = BeforeValidator(_one_or_more)
Texts = Annotated[
    list[str],
    OneOrMore,
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}),
]
Seeds = Annotated[
    list[Seed],
    BeforeValidator(lambda value: _seed_list(value, 0)),
    AfterValidator(_without_duplicates),
    Field(min_length=1),
    _SEEDS_SCHEMA,
]
TrialSeeds = Annotated[
    list[Seed],
    BeforeValidator(lambda value: _seed_list(value, FIRST_TRIAL_SEED)),
    AfterValidator(_without_duplicates),
    _SEEDS_SCHEMA,
]
