"""Figures as text: rounded, with their units. Imports no torch."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from inrbench_core.api.entries import Metric


def format_number(value: float, unit: str = "") -> str:
    """A figure with four significant digits, its exponent kept whatever its size; decibels with two decimals."""
    if math.isnan(value):
        return "-"
    if math.isinf(value):
        return "inf" if value > 0 else "-inf"
    if unit == "dB":
        # A logarithm already: next to zero the digits after these mean nothing. Adding zero drops the sign of -0.
        return f"{round(value, 2) + 0.0:.2f}"
    if value != 0 and not 1e-3 <= abs(value) < 1e5:
        return f"{value:.3e}"
    return f"{value:#.4g}".rstrip(".")


def first_figure(metrics: Sequence[Metric], figures: Mapping[str, float]) -> str:
    """The primary metric with its unit, or the next one that is defined: a baseline may have none for some."""
    for metric in metrics:
        value = float(figures.get(metric.name, math.nan))
        if not math.isnan(value):
            return f"{metric.name} {with_unit(value, metric)}"
    return ""


def with_unit(value: float, metric: Metric) -> str:
    """A figure with its unit."""
    return f"{format_number(value, metric.unit)} {metric.unit}".strip()


def header(metric: Metric) -> str:
    """A column's title: name, unit and, where there is a better side, an arrow to it."""
    unit = f" [{metric.unit}]" if metric.unit else ""
    arrow = {True: " ↑", False: " ↓", None: ""}[metric.higher_is_better]
    return f"{metric.name}{unit}{arrow}"
