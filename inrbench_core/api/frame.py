"""Frames: how a field's coordinates and values, both about [-1, 1], map to the user's units. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal


@dataclass(frozen=True)
class Quantity:
    """One coordinate or one value of a field, and what it is to the user.

    Args:
        name: such as "row", "time" or "red".
        unit: such as "px", "s" or "HU"; "" if it has none.
        low: the user's figure at -1.
        high: the user's figure at 1. Equal to `low` for an axis of one sample.
        transform: linear: from `low` to `high`; exp: exp(min(rate * v, limit)); sigmoid: 1 / (1 + exp(-rate * v)).
            Only values may be other than linear, and `low` and `high` are then not used.
        rate: see `transform`.
        limit: see `transform`.
    """

    name: str
    unit: str = ""
    low: float = -1.0
    high: float = 1.0
    transform: Literal["linear", "exp", "sigmoid"] = "linear"
    rate: float = 1.0
    limit: float = 80.0


@dataclass(frozen=True)
class FieldFrame:
    """The frame of one field.

    Args:
        coords: one for each coordinate.
        values: one for each value.
        resolution: samples along each axis of the signal, or None where it has no grid.
    """

    coords: tuple[Quantity, ...]
    values: tuple[Quantity, ...]
    resolution: tuple[int, ...] | None = None


@dataclass(frozen=True)
class Frame:
    """What is needed to use and to render the fields of a run without the user's data.

    Args:
        fields: one for each of `Problem.shapes`, by the same names.
        facts: what the task's `Renderer` needs besides: plain data, such as a sample rate or a camera.
    """

    fields: Mapping[str, FieldFrame]
    facts: Mapping[str, Any] = field(default_factory=dict)

    def to_data(self) -> dict[str, Any]:
        """A JSON-able mapping from which `from_data` makes the same frame."""
        return {"fields": {name: asdict(frame) for name, frame in self.fields.items()}, "facts": dict(self.facts)}

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Frame:
        """The frame that `to_data` described."""
        fields = {
            name: FieldFrame(
                tuple(Quantity(**item) for item in frame["coords"]),
                tuple(Quantity(**item) for item in frame["values"]),
                None if frame["resolution"] is None else tuple(frame["resolution"]),
            )
            for name, frame in data["fields"].items()
        }
        return cls(fields, data["facts"])


def linear_frame(
    coords: Mapping[str, tuple[str, float, float]],
    values: Mapping[str, tuple[str, float, float]],
    resolution: tuple[int, ...] | None = None,
) -> FieldFrame:
    """A frame whose quantities are all linear: name -> (unit, low, high)."""
    return FieldFrame(
        tuple(Quantity(name, *item) for name, item in coords.items()),
        tuple(Quantity(name, *item) for name, item in values.items()),
        resolution,
    )
