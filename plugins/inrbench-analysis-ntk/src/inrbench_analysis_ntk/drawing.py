"""What the figures share: colours, axes with a place for zero, and a figure as an array. Imports no torch."""

from __future__ import annotations

import textwrap
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullLocator

from inrbench_core.api.text import one_line

Array = np.ndarray[Any, Any]
# Seven colours that people with any colour blindness tell apart (Okabe and Ito 2008), but for yellow, which is too
# light for a line on white.
BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY, BLACK = COLOURS = (
    "#0072B2",
    "#D55E00",
    "#009E73",
    "#CC79A7",
    "#E69F00",
    "#56B4E9",
    "#000000",
)
DASHES = ("-", "--", ":", "-.")
# As many lines as can be told apart by colour and dashes.
MOST_LINES = len(COLOURS) * len(DASHES)
DPI = 100
STYLE: dict[Any, Any] = {
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.grid": True,
    "grid.alpha": 0.25,
    "legend.fontsize": 8,
    "legend.frameon": False,
    "lines.linewidth": 1.5,
}
# Shares below are rounding errors of float64.
LEAST_SHARE = 1e-12


def style(number: int) -> dict[str, Any]:
    """Colour and dashes of a line, different for the first MOST_LINES."""
    return {"color": COLOURS[number % len(COLOURS)], "linestyle": DASHES[number // len(COLOURS) % len(DASHES)]}


def new_figure(width: float, height: float, title: str, characters: int) -> Figure:
    """An empty figure, not known to pyplot.

    Args:
        width: in inches.
        height: in inches.
        title: above all of it.
        characters: of the title in one line.
    """
    figure = Figure(figsize=(width, height), dpi=DPI, layout="constrained")
    figure.suptitle("\n".join(textwrap.wrap(one_line(title), characters)), fontsize=12, parse_math=False)
    return figure


def pixels(figure: Figure) -> Array:
    """The figure as a picture, uint8 (height, width, 3)."""
    canvas: Any = FigureCanvasAgg(figure)
    canvas.draw()
    return np.array(canvas.buffer_rgba())[..., :3]


def styled() -> Any:
    """A context in which the user's own settings of matplotlib do not count."""
    defaults: dict[Any, Any] = dict(matplotlib.rcParamsDefault)
    # Asking for a backend would set one up.
    del defaults["backend"]
    return matplotlib.rc_context({**defaults, **STYLE})


def positive(values: Array, least: float = 0.0) -> Array:
    """The values where they are finite and above `least`, and NaN elsewhere: what a logarithmic axis can show."""
    with np.errstate(invalid="ignore"):
        return np.where(np.isfinite(values) & (values > least), values, np.nan)


def place_of_zero(values: Array) -> float:
    """Where 0 goes on a logarithmic axis that shows these values: before the first positive one."""
    above = values[np.isfinite(values) & (values > 0)]
    return float(above.min()) / 2.8 if len(above) else 1.0


def plot_from_zero(axes: Axes, x: Array, y: Array, zero: float, **options: Any) -> None:
    """A curve over a logarithmic axis; the value at 0 is there as well, as a marker apart from the line.

    Args:
        axes: where to.
        x: from 0, (n,).
        y: (n,).
        zero: the place of 0 on the axis.
        options: of the line.
    """
    options = {"marker": "", "markersize": 4, **options}
    (line,) = axes.plot(x[x > 0], y[x > 0], **options)
    marker = options["marker"] or "o"
    options.update(label="_", marker=marker, linestyle="", color=line.get_color())
    axes.plot(np.full((x == 0).sum(), zero), y[x == 0], **options)


def log_axis_from_zero(axes: Axes, values: Array, label: str) -> float:
    """Make x a logarithmic axis with plain numbers and, where it is among the values, a 0 before the others.

    Args:
        axes: which of x is to be logarithmic.
        values: what is shown along it, (n,), from 0.
        label: of the axis.

    Returns:
        the place of 0.
    """
    above, zero = values[np.isfinite(values) & (values > 0)], place_of_zero(values)
    axes.set_xscale("log")
    axes.set_xlabel(label)
    low, high = (float(above.min()), float(above.max())) if len(above) else (zero, zero)
    ticks = round_numbers(low, high) if len(above) else []
    if (values == 0).any():
        axes.axvline(np.sqrt(zero * low), color="0.6", linewidth=0.8, linestyle=(0, (1, 2)))
        low, ticks = zero, [zero, *ticks]
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, place: "0" if value == zero else short(value)))
    else:
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, place: short(value)))
    axes.set_xticks(ticks)
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlim(low / 1.25, high * 1.25)
    return zero


def round_numbers(low: float, high: float) -> list[float]:
    """Three to eight round numbers between two positive ones, as far as there are any: 1, 2, 5, 10 and so on."""
    decades = np.arange(np.floor(np.log10(low)), np.ceil(np.log10(high)) + 1)
    for steps in ((1.0,), (1.0, 3.0), (1.0, 2.0, 5.0)):
        found = [step * 10.0**decade for decade in decades for step in steps if low <= step * 10.0**decade <= high]
        if len(found) >= 4:
            break
    while len(found) > 8:
        found = found[::2]
    return found or [low]


def short(value: float) -> str:
    """A number as an axis shows it: 500, 20k, 3M."""
    for limit, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= limit:
            return f"{value / limit:.3g}{letter}"
    return f"{value:.3g}"
