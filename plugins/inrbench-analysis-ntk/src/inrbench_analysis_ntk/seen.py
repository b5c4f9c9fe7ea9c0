"""What the analysis saw of one field at one moment, and how it is read back from a run's arrays. Imports no torch."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
# NAME/NUMBER OF THE MOMENT; of a problem with several fields FIELD.NAME/NUMBER.
_KEY = re.compile(r"(?:(?P<part>.+)\.)?(?P<name>[^./]+)/(?P<number>\d+)")
_METRIC = re.compile(r"metrics/(?:(?P<part>.+)\.)?(?P<name>[^./]+)")


@dataclass(frozen=True)
class Seen:
    """What the analysis saw of one field at one moment.

    Args:
        step: optimiser steps done.
        metrics: figures by name; those that are not there are not defined.
        arrays: curves and other arrays by name; none is empty.
    """

    step: int
    metrics: Mapping[str, float]
    arrays: Mapping[str, Array]

    def metric(self, name: str) -> float:
        """A figure; NaN where it is not defined."""
        return float(self.metrics.get(name, math.nan))

    def curve(self, name: str) -> Array | None:
        """A curve, float64 (n,); None where it is not there or has no finite value."""
        found = self.arrays.get(name)
        if found is None or not np.isfinite(found).any():
            return None
        return np.asarray(found, dtype=np.float64)


def seen_by_part(kept: Mapping[str, Array]) -> dict[str, list[Seen]]:
    """What was seen of each field of a problem, moment by moment.

    Args:
        kept: what a run's file keeps of the analysis: `steps`, (moments,), "metrics/NAME", (moments,), and
            "NAME/NUMBER OF THE MOMENT".

    Returns:
        by the name of the field, in the order of the alphabet; a problem's only field is called "".
    """
    steps = [int(step) for step in kept.get("steps", ())]
    metrics: dict[str, list[dict[str, float]]] = {}
    arrays: dict[str, list[dict[str, Array]]] = {}
    for key, array in kept.items():
        if found := _METRIC.fullmatch(key):
            of_part = metrics.setdefault(found["part"] or "", [{} for _ in steps])
            for moment, value in zip(of_part, array, strict=True):
                moment[found["name"]] = float(value)
        elif (found := _KEY.fullmatch(key)) and found["name"] != "preview" and np.size(array):
            moments = arrays.setdefault(found["part"] or "", [{} for _ in steps])
            moments[int(found["number"])][found["name"]] = array
    nothing: list[dict[str, Any]] = [{} for _ in steps]
    # Figures of the problem as a whole, beside those of its fields, are none of a field's.
    parts = sorted(part for part in arrays if part) or [""]
    return {
        part: [
            Seen(step, figures, curves)
            for step, figures, curves in zip(steps, metrics.get(part, nothing), arrays.get(part, nothing), strict=True)
        ]
        for part in parts
    }


def at_start(seen: list[Seen], name: str) -> float:
    """A figure of the field as it was before the first step; NaN where it is not known."""
    return next((one.metric(name) for one in seen if one.step == 0), math.nan)


def at_end(seen: list[Seen], name: str) -> float:
    """The last figure that is defined, after the first step; NaN where there is none."""
    figures = (one.metric(name) for one in reversed(seen) if one.step > 0)
    return next((figure for figure in figures if not math.isnan(figure)), math.nan)


def first_with(seen: list[Seen], name: str) -> Seen | None:
    """The first moment that has a curve."""
    return next((one for one in seen if one.curve(name) is not None), None)


def last_with(seen: list[Seen], name: str) -> Seen | None:
    """The last moment after the first step that has a curve."""
    return next((one for one in reversed(seen) if one.step > 0 and one.curve(name) is not None), None)


def frequency_of(one: Seen) -> tuple[Array, str] | None:
    """The frequencies of the rings, (R,), and what they are, with the unit; None where there are no rings."""
    for name, label in (("frequency_hz", "frequency, Hz"), ("frequency", "frequency, cycles")):
        found = one.curve(name)
        if found is not None:
            return found, label
    return None


def relative_response(frequency: Array, response: Array) -> Array:
    """The response over its largest value beyond the mean, (R,), so that shapes can be compared.

    The mean has a ring of its own, at 0, and most networks respond to it a thousand times as much as to the rest.

    Args:
        frequency: of the rings, (R,).
        response: of each, (R,).
    """
    others = response[(frequency > 0) & np.isfinite(response)]
    largest = float(others.max()) if len(others) else float(np.nanmax(response))
    return response / largest if largest > 0 else response


def when(one: Seen) -> str:
    """The moment in words."""
    return f"step {one.step:,}" if one.step else "start"
