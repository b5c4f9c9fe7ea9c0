"""Figures of all fields of a table side by side: responses by frequency, and spectra. Imports no torch."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.lines import Line2D

from inrbench_analysis_ntk.drawing import (
    LEAST_SHARE,
    Array,
    log_axis_from_zero,
    new_figure,
    positive,
    style,
    styled,
)
from inrbench_analysis_ntk.seen import Seen, first_with, frequency_of, last_with, relative_response

# On one pair of axes; more are told apart neither by their looks nor in a legend.
MOST_TOGETHER = 20
LEGEND_CHARACTERS = 36
TITLE_CHARACTERS = 110
# In inches: of a panel, of the legend beside it, and of the heading.
PANEL_WIDTH, LEGEND_WIDTH, HEADING = 5.2, 2.8, 0.5
HEIGHT_ALONE, HEIGHT_OF_MANY = 5.5, 3.9
# Shares of a ring's energy below are off the scale.
LEAST_ERROR = 1e-8
# How far beyond all curves the mean may be and still have its place; if it is farther, a marker points there.
FAR = 10.0
GREY: dict[str, Any] = {"color": "0.85", "linewidth": 0.7, "zorder": 1}


@dataclass(frozen=True)
class FieldCurves:
    """A field of a table.

    Args:
        label: what the table calls it.
        group: fields of one group are drawn together where there are many.
        seen: what was seen of it, in the order of steps; not empty.
    """

    label: str
    group: str
    seen: list[Seen]


# x and y of a field's curve; None where it has none.
CurveOf = Callable[[FieldCurves], tuple[Array, Array] | None]


@dataclass(frozen=True)
class _Panel:
    """What is drawn of every field on one pair of axes."""

    title: str
    x_label: str
    y_label: str
    curve_of: CurveOf


def draw_responses(rows: Sequence[FieldCurves], target: Path, title: str = "") -> bool:
    """Write a PNG with the response by frequency of every field at its start and, if they were trained, what is left
    of each frequency at the end.

    The response is the Rayleigh quotient of the ring's modes over the field's largest one beyond the mean; what is
    left is the energy of the residual in a ring over that of the target in it.

    Args:
        rows: the fields. Up to 20 share a pair of axes; more are drawn group by group, the others in grey behind.
            A triangle at the mean, 0, says that its value is beyond the axis.
        target: the PNG to write.
        title: above the panels.

    Returns:
        False, and nothing is written, if no field has a response.
    """
    units = [found[1] for row in rows for one in row.seen if (found := frequency_of(one)) is not None]
    unit = units[0] if units else ""
    panels = [
        _Panel(
            "Predicted from the kernel at the start", unit, "Rayleigh quotient / largest beyond the mean", _response
        ),
        _Panel("Measured at the end", unit, "residual's energy / target's", _error_left),
    ]
    return _draw(rows, panels, target, title or "Response by frequency")


def draw_spectra(rows: Sequence[FieldCurves], target: Path, title: str = "") -> bool:
    """Write a PNG with the eigenvalues of every field's kernel, divided by their sum, at the start and at the end.

    Args:
        rows: see `draw_responses`.
        target: the PNG to write.
        title: above the panels.

    Returns:
        False, and nothing is written, if no field has eigenvalues.
    """
    panels = [
        _Panel("At the start", "number of the eigenvalue", "share of the trace", _first_spectrum),
        _Panel("At the end", "number of the eigenvalue", "share of the trace", _last_spectrum),
    ]
    return _draw(rows, panels, target, title or "Eigenvalues of the kernel")


def _response(row: FieldCurves) -> tuple[Array, Array] | None:
    one = first_with(row.seen, "response")
    if one is None or (rings := frequency_of(one)) is None:
        return None
    return rings[0], positive(relative_response(rings[0], one.arrays["response"]), LEAST_SHARE)


def _error_left(row: FieldCurves) -> tuple[Array, Array] | None:
    one = last_with(row.seen, "ring_error")
    if one is None or (rings := frequency_of(one)) is None or one.curve("ring_target") is None:
        return None
    target = one.arrays["ring_target"]
    # Where the signal has nothing but rounding errors there is nothing to learn.
    target = positive(target, LEAST_SHARE * float(np.nansum(target)))
    return rings[0], positive(one.arrays["ring_error"] / target, LEAST_ERROR)


def _first_spectrum(row: FieldCurves) -> tuple[Array, Array] | None:
    return _spectrum(first_with(row.seen, "eigenvalues"))


def _last_spectrum(row: FieldCurves) -> tuple[Array, Array] | None:
    return _spectrum(last_with(row.seen, "eigenvalues"))


def _spectrum(one: Seen | None) -> tuple[Array, Array] | None:
    if one is None:
        return None
    values = one.arrays["eigenvalues"]
    return np.arange(1.0, len(values) + 1), positive(values, LEAST_SHARE * float(np.nanmax(values)))


def _draw(rows: Sequence[FieldCurves], panels: Sequence[_Panel], target: Path, title: str) -> bool:
    shown = [panel for panel in panels if any(panel.curve_of(row) is not None for row in rows)]
    rows = [row for row in rows if any(panel.curve_of(row) is not None for panel in shown)]
    if not shown:
        return False
    groups = _groups(rows)
    height = HEIGHT_ALONE if len(groups) == 1 else HEIGHT_OF_MANY
    with styled():
        width = PANEL_WIDTH * len(shown) + LEGEND_WIDTH
        figure = new_figure(width, height * len(groups) + HEADING, title, TITLE_CHARACTERS)
        parts = figure.subfigures(len(groups), 1, squeeze=False)[:, 0]
        for part, (heading, members) in zip(parts, groups, strict=True):
            _draw_group(part, shown, heading, members, rows)
        _save(figure, target)
    return True


def _save(figure: Figure, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(target)


def _groups(rows: Sequence[FieldCurves]) -> list[tuple[str, list[FieldCurves]]]:
    """Headings and the fields under each: all of them if they are few, else group by group."""
    if len(rows) <= MOST_TOGETHER:
        return [("", list(rows))]
    members: dict[str, list[FieldCurves]] = {}
    for row in rows:
        members.setdefault(row.group, []).append(row)
    groups = []
    for name, found in members.items():
        parts = math.ceil(len(found) / MOST_TOGETHER)
        size = math.ceil(len(found) / parts)
        for number in range(parts):
            heading = f"{name} ({number + 1} of {parts})" if parts > 1 else name
            groups.append((heading, found[number * size : (number + 1) * size]))
    return groups


def _draw_group(
    part: SubFigure, panels: Sequence[_Panel], heading: str, members: Sequence[FieldCurves], rows: Sequence[FieldCurves]
) -> None:
    if heading:
        part.suptitle(heading, fontsize=11, parse_math=False)
    for axes, panel in zip(part.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
        _draw_panel(axes, panel, members, rows)
    looks = [(row.label, style(number)) for number, row in enumerate(members)]
    handles = [Line2D([], [], **look) for _, look in looks]
    labels = [textwrap.fill(label, LEGEND_CHARACTERS) for label, _ in looks]
    legend = part.legend(handles, labels, loc="outside right center", handlelength=3)
    for text in legend.get_texts():
        text.set_parse_math(False)


def _draw_panel(axes: Axes, panel: _Panel, members: Sequence[FieldCurves], rows: Sequence[FieldCurves]) -> None:
    curves = {id(row): curve for row in rows if (curve := panel.curve_of(row)) is not None}
    x, y = (np.concatenate(parts) for parts in zip(*curves.values(), strict=True))
    # All groups have the same axes, so that they can be compared.
    zero = log_axis_from_zero(axes, x, panel.x_label)
    low, high = _limits(x, y)
    axes.set_yscale("log")
    axes.set(title=panel.title, ylabel=panel.y_label, ylim=(low, high))
    known = {id(row) for row in members}
    for key, (x, y) in curves.items():
        if key not in known:
            axes.plot(x[x > 0], y[x > 0], **GREY)
    for number, row in enumerate(members):
        if id(row) not in curves:
            continue
        (x, y), look = curves[id(row)], style(number)
        axes.plot(x[x > 0], y[x > 0], **look)
        for value in y[x == 0]:
            marker = "^" if value > high else "v" if value < low else "o"
            place = np.clip(value, low, high)
            axes.plot([zero], [place], color=look["color"], marker=marker, markersize=4, linestyle="", clip_on=False)


def _limits(x: Array, y: Array) -> tuple[float, float]:
    """Of the y axis: room for all curves, but for the mean, at 0, only if it is not far beyond them."""
    known = y[np.isfinite(y)]
    if not len(known):
        return 0.1, 10.0
    curves = y[np.isfinite(y) & (x > 0)]
    curves = curves if len(curves) else known
    low, high = max(known.min(), curves.min() / FAR), min(known.max(), curves.max() * FAR)
    return float(low) / 1.5, float(high) * 1.5
