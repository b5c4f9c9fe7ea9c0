"""Durations as people say them."""

from __future__ import annotations

import math
import re

import typer

UNITS_S = {"d": 86_400, "h": 3_600, "m": 60, "s": 1}


def seconds_of(text: str) -> float:
    """The seconds of a time span such as 90s, 30m, 8h or 1h30m. Raises typer.BadParameter if it is none."""
    parts = re.findall(r"(\d+)([dhms])", text)
    seconds = sum(int(number) * UNITS_S[unit] for number, unit in parts)
    if "".join(number + unit for number, unit in parts) != text or not seconds:
        raise typer.BadParameter(f"expected a time span such as 90s, 30m, 8h or 1h30m, got {text!r}")
    return float(seconds)


def duration(seconds: float) -> str:
    """A time span with two units at most: 8 s, 3 min 20 s, 5 h 10 min, 2 d 4 h; "unknown" if it is not finite."""
    if not math.isfinite(seconds):
        return "unknown"
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    for size, unit, smaller, name in ((86_400, "d", 3_600, "h"), (3_600, "h", 60, "min"), (60, "min", 1, "s")):
        if whole >= size:
            rest = whole % size // smaller
            return f"{whole // size} {unit} {rest} {name}" if rest else f"{whole // size} {unit}"
    return f"{whole} s"
