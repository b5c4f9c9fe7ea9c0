"""One picture of what the analysis saw of one fit. Imports no torch."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import SubFigure

from inrbench_analysis_ntk.drawing import (
    BLACK,
    BLUE,
    GREEN,
    LEAST_SHARE,
    VERMILLION,
    Array,
    log_axis_from_zero,
    new_figure,
    pixels,
    plot_from_zero,
    positive,
    styled,
)
from inrbench_analysis_ntk.grids import diagonal_panel, eigenvectors_panel
from inrbench_analysis_ntk.seen import Seen, first_with, frequency_of, last_with, relative_response, when

INCHES = (12.0, 8.0)
TITLE_CHARACTERS = 120
# Panels in each row of the figure, by how many there are.
ROWS = {1: (1,), 2: (2,), 3: (3,), 4: (2, 2), 5: (3, 2), 6: (3, 3)}
# Of a residual's energy: below, an axis has no room for what is of interest.
LEAST_LEFT = 1e-10
# Observations of which the markers would touch each other.
MANY = 30
Panel = Callable[[SubFigure], None]


def draw_field(observations: Sequence[Seen], title: str) -> Array:
    """A picture of what was seen of one field in one fit; panels of which nothing is known are left out.

    Panels: eigenvalues at the start and at the end; response by frequency; predicted and measured steps until a
    frequency is learnt, or where none was, what is left of each; linearised and measured learning curve; leading
    eigenvectors and K(x, x) on the grid (the middle slice of three dimensions).

    Args:
        observations: in the order of their steps.
        title: above the panels.

    Returns:
        uint8 (800, 1200, 3).
    """
    seen = list(observations)
    makers = (_spectrum, _response, _learnt, _learning, eigenvectors_panel, diagonal_panel)
    panels = [panel for make in makers if (panel := make(seen)) is not None]
    with styled():
        figure = new_figure(*INCHES, title, TITLE_CHARACTERS)
        if not panels:
            figure.text(0.5, 0.5, "nothing is known of this field", ha="center", va="center")
            return pixels(figure)
        rows = ROWS[len(panels)]
        columns = math.lcm(*rows)
        grid = figure.add_gridspec(len(rows), columns)
        places = [
            grid[row, number * (columns // count) : (number + 1) * (columns // count)]
            for row, count in enumerate(rows)
            for number in range(count)
        ]
        for panel, place in zip(panels, places, strict=True):
            panel(figure.add_subfigure(place))
        return pixels(figure)


def _legend(panel: SubFigure, columns: int = 2) -> None:
    """Below the axes, so that it covers no curve."""
    panel.legend(loc="outside lower center", ncols=columns)


def _spectrum(seen: list[Seen]) -> Panel | None:
    curves = _start_and_end(seen, "eigenvalues", adam="adam_eigenvalues")
    if not curves:
        return None

    def draw(panel: SubFigure) -> None:
        axes = panel.subplots()
        for label, one, name, options in curves:
            values = one.curve(name)
            assert values is not None
            shown = positive(values, LEAST_SHARE * float(np.nanmax(values)))
            # A spectrum of one eigenvalue is a point.
            marker = "o" if np.isfinite(shown).sum() == 1 else ""
            axes.plot(np.arange(1, len(shown) + 1), shown, label=label, marker=marker, **options)
        axes.set_yscale("log")
        log_axis_from_zero(axes, np.arange(1.0, 1 + max(len(one.arrays[name]) for _, one, name, _ in curves)), "number")
        axes.set(title="Eigenvalues", ylabel="share of the trace")
        _legend(panel, 3)

    return draw


def _response(seen: list[Seen]) -> Panel | None:
    curves = _start_and_end(seen, "response", adam="adam_response")
    if not curves or (rings := frequency_of(curves[0][1])) is None:
        return None
    frequency, unit = rings

    def draw(panel: SubFigure) -> None:
        axes = panel.subplots()
        zero = log_axis_from_zero(axes, frequency, unit)
        for label, one, name, options in curves:
            response = one.curve(name)
            assert response is not None
            shown = positive(relative_response(frequency, response), LEAST_SHARE)
            plot_from_zero(axes, frequency, shown, zero, label=label, **options)
        axes.set_yscale("log")
        axes.set(title="Response by frequency", ylabel="relative Rayleigh quotient")
        _legend(panel, 3)

    return draw


def _learnt(seen: list[Seen]) -> Panel | None:
    """Steps until each ring's amplitude has fallen to a tenth; where none has, what is left of each."""
    start, end = first_with(seen, "predicted_steps"), last_with(seen, "ring_error")
    if start is None or end is None or (rings := frequency_of(start)) is None:
        return None
    frequency, unit = rings
    predicted = start.curve("predicted_steps")
    assert predicted is not None
    if end.curve("measured_steps") is None:
        return _left(seen, frequency, unit, predicted)
    adam = last_with(seen, "adam_predicted_steps")

    def draw(panel: SubFigure) -> None:
        axes = panel.subplots()
        zero = log_axis_from_zero(axes, frequency, unit)
        measured = end.arrays["measured_steps"]
        plot_from_zero(axes, frequency, positive(predicted), zero, label="predicted", color=BLUE)
        if adam is not None:
            steps, look = adam.arrays["adam_predicted_steps"], {"color": GREEN, "linestyle": "--"}
            plot_from_zero(axes, frequency, positive(steps), zero, label="predicted, Adam's", **look)
        dots = {"linestyle": "", "markersize": 5}
        plot_from_zero(axes, frequency, positive(measured), zero, label="measured", color=BLACK, marker="o", **dots)
        never = np.isnan(measured) & _is_there(end)
        if never.any():
            late, label = np.where(never, 1.5 * end.step, np.nan), f"not within {end.step:,} steps"
            plot_from_zero(axes, frequency, late, zero, label=label, color=VERMILLION, marker="^", **dots)
        axes.set_yscale("log")
        # What would take a thousand times as long as the fit is off the scale.
        axes.set_ylim(0.5, 1e3 * end.step)
        axes.set(title="Steps to a tenth of the error", ylabel="steps")
        _legend(panel)

    return draw


def _is_there(one: Seen) -> Array:
    """Which rings hold more of the target than rounding errors, (R,)."""
    energy = one.arrays.get("ring_target")
    return np.array(True) if energy is None else energy > LEAST_SHARE * np.nansum(energy)


def _left(seen: list[Seen], frequency: Array, unit: str, predicted: Array) -> Panel | None:
    start, end = first_with(seen, "ring_error"), last_with(seen, "ring_error")
    before, after = (one.curve("ring_error") if one is not None else None for one in (start, end))
    if start is None or end is None or start.step == end.step or before is None or after is None:
        return None

    def draw(panel: SubFigure) -> None:
        axes = panel.subplots()
        zero = log_axis_from_zero(axes, frequency, unit)
        with np.errstate(divide="ignore", invalid="ignore"):
            left = np.sqrt(positive(after / before, LEAST_LEFT))
            # After `predicted` steps a tenth is left.
            expected = 10.0 ** (-(end.step - start.step) / positive(predicted))
        plot_from_zero(axes, frequency, positive(expected, LEAST_LEFT**0.5), zero, label="predicted", color=BLUE)
        options = {"color": BLACK, "marker": "o", "linestyle": "", "markersize": 5}
        plot_from_zero(axes, frequency, left, zero, label="measured", **options)
        axes.set_yscale("log")
        axes.set(title=f"Error left at {when(end)}", ylabel="share of that at the start")
        _legend(panel)

    return draw


def _learning(seen: list[Seen]) -> Panel | None:
    """Energy of the residual over that of the target, predicted from the kernel at the start, and measured."""
    steps = np.array([one.step for one in seen], dtype=np.float64)
    curves: list[tuple[Array, Array | None, str, dict[str, Any]]] = []
    for name, label, colour in (("fit", "fit", BLUE), ("held_out", "held out", VERMILLION)):
        one = first_with(seen, f"linearised_{name}")
        if one is not None and (axis := one.curve("linearised_steps")) is not None and len(axis) > 1:
            curves.append((axis, one.curve(f"linearised_{name}"), f"linearised, {label}", {"color": colour}))
        measured = np.array([one.metric(f"{name}_error") for one in seen])
        if np.isfinite(measured[steps > 0]).any():
            options = {"color": colour, "linestyle": "--", "marker": "o", "markersize": 4 if len(seen) < MANY else 2}
            curves.append((steps, measured, f"measured, {label}", options))
    adam = first_with(seen, "adam_linearised_fit")
    if adam is not None and (axis := adam.curve("adam_linearised_steps")) is not None and len(axis) > 1:
        options = {"color": GREEN, "linestyle": "-."}
        curves.append((axis, adam.curve("adam_linearised_fit"), f"Adam's kernel from step {adam.step:,}", options))
    if not curves:
        return None

    def draw(panel: SubFigure) -> None:
        axes = panel.subplots()
        zero = log_axis_from_zero(axes, np.concatenate([axis for axis, *_ in curves]), "steps")
        for axis, values, label, options in curves:
            shown = positive(np.asarray(values), LEAST_LEFT)
            plot_from_zero(axes, axis, shown, zero, label=label, **options)
        axes.set_yscale("log")
        axes.set(title="Learning curve", ylabel="residual's energy / target's")
        _legend(panel)

    return draw


def _start_and_end(seen: list[Seen], name: str, adam: str) -> list[tuple[str, Seen, str, dict[str, Any]]]:
    """Label, moment, name and look of a curve at the start, at the end, and of the one with Adam's rates."""
    start, end, rated = first_with(seen, name), last_with(seen, name), last_with(seen, adam)
    curves = []
    if start is not None:
        # Wider, so that it is seen beneath one that is the same.
        curves.append((when(start), start, name, {"color": BLUE, "linewidth": 2.8, "alpha": 0.7}))
    if end is not None and end is not start:
        curves.append((when(end), end, name, {"color": VERMILLION}))
    if rated is not None:
        curves.append((f"{when(rated)}, Adam's", rated, adam, {"color": GREEN, "linestyle": "--"}))
    return curves
