"""Functions drawn into a picture file, with matplotlib."""

from __future__ import annotations

import textwrap
from pathlib import Path

import numpy as np

from inrbench_core.api.errors import InrbenchError
from inrbench_core.cli.curves import Curves, turns

# Of a family the first functions are plotted, up to so many, and up to one that turns too often to be followed.
LEAST_PLOTTED, MOST_PLOTTED = 3, 16
MOST_TURNS = 13
# Up to here colours that differ most are told apart best; beyond it, colours in an order.
MOST_DISTINCT = 10
TITLE_WIDTH = 78
INCHES = (8.0, 5.0)
DPI = 150


def plot(curves: Curves, title: str, formula: str, file: Path) -> None:
    """Write a picture of a function or of a family of functions; the file's suffix gives its type.

    Raises:
        InrbenchError: if matplotlib is not installed, or the file cannot be written.
    """
    try:
        from matplotlib import colormaps
        from matplotlib.figure import Figure
    except ImportError:
        raise InrbenchError("--plot needs matplotlib: pip install 'inrbench[plot]'") from None
    figure = Figure(figsize=INCHES, layout="constrained")
    axes = figure.add_subplot()
    slow = next((k for k, y in enumerate(curves.y) if turns(y) > MOST_TURNS), len(curves.y))
    shown = min(len(curves.y), MOST_PLOTTED, max(slow, LEAST_PLOTTED))
    colours = (
        colormaps["tab10"](np.arange(shown))
        if shown <= MOST_DISTINCT
        else colormaps["turbo"](np.linspace(0.05, 0.95, shown))
    )
    for y, label, colour in zip(curves.y[:shown], curves.labels, colours, strict=False):
        axes.plot(curves.x, np.where(np.isfinite(y), y, np.nan), label=label, color=colour, linewidth=1.6)
    note = curves.note if shown == len(curves.y) else f"{curves.note}, the first {shown} of {len(curves.y)}"
    lines = [*textwrap.wrap(title, TITLE_WIDTH), *textwrap.wrap(formula, TITLE_WIDTH), note]
    axes.set_title("\n".join(lines), fontsize=10, parse_math=False)
    axes.set_xlabel(curves.argument)
    axes.set_ylabel(f"f({curves.argument})")
    axes.set_xlim(curves.x[0], curves.x[-1])
    axes.axhline(0.0, color="black", linewidth=0.6)
    axes.grid(alpha=0.3)
    if shown > 1:
        figure.legend(loc="outside right upper", fontsize=9)
    try:
        figure.savefig(file, dpi=DPI)
    except (OSError, ValueError) as error:
        raise InrbenchError(f"cannot write {file}: {getattr(error, 'strerror', None) or error}") from None
