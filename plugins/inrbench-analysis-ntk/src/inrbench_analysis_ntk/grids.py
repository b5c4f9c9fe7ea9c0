"""Panels of what is known at each point of a grid: eigenvectors of the kernel, and K(x, x). Imports no torch."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import SubFigure

from inrbench_analysis_ntk.drawing import BLUE, COLOURS, VERMILLION, Array
from inrbench_analysis_ntk.seen import Seen, first_with, frequency_of, last_with, when

Panel = Callable[[SubFigure], None]
# In the panel: all of one moment, or half of each of two.
EIGENVECTORS = 8


def eigenvectors_panel(seen: list[Seen]) -> Panel | None:
    """The leading eigenvectors at the first and the last moment at which they are known; None if there is none."""
    moments = _moments(seen, "eigenvectors")
    if not moments:
        return None
    each = EIGENVECTORS // len(moments)
    vectors = [_slice(np.moveaxis(one.arrays["eigenvectors"], -1, 0)[:each]) for one in moments]

    def draw(panel: SubFigure) -> None:
        panel.suptitle("Leading eigenvectors", fontsize=10)
        if vectors[0].ndim == 2:
            for axes, one, found in zip(
                panel.subplots(len(moments), squeeze=False)[:, 0], moments, vectors, strict=True
            ):
                _draw_lines(axes, found)
                axes.set_ylabel(f"{when(one)}, 1 to {len(found)}")
            return
        columns = EIGENVECTORS // 2
        grid = panel.subplots(2, columns, squeeze=False)
        for axes in grid.flat:
            axes.set_axis_off()
        places = iter(grid.flat)
        for one, found in zip(moments, vectors, strict=True):
            for number, picture in zip(range(each), found, strict=False):
                axes = next(places)
                _show(axes, picture)
                axes.set_title(f"no. {number + 1}, {when(one)}", fontsize=8)

    return draw


def diagonal_panel(seen: list[Seen]) -> Panel | None:
    """K(x, x) at the first and the last moment at which it is known; None if there is none."""
    moments = _moments(seen, "diagonal")
    if not moments:
        return None
    diagonals = [_slice(one.arrays["diagonal"][None])[0] for one in moments]

    def draw(panel: SubFigure) -> None:
        panel.suptitle("K(x, x) / mean", fontsize=10)
        if diagonals[0].ndim == 1:
            axes = panel.subplots()
            for one, diagonal, colour in zip(moments, diagonals, (BLUE, VERMILLION), strict=False):
                axes.plot(
                    _places(diagonal), diagonal / np.nanmean(diagonal), color=colour, linewidth=1.0, label=when(one)
                )
            axes.set_xticks([-1, 0, 1])
            axes.set_xlabel("x")
            panel.legend(loc="outside lower center", ncols=2)
            return
        wide = diagonals[0].shape[1] > diagonals[0].shape[0]
        shape = (len(moments), 1) if wide else (1, len(moments))
        for axes, one, diagonal in zip(panel.subplots(*shape, squeeze=False).flat, moments, diagonals, strict=True):
            image = axes.imshow(diagonal / np.nanmean(diagonal), cmap="viridis")
            axes.set_axis_off()
            axes.set_title(when(one), fontsize=8)
            panel.colorbar(image, ax=axes, shrink=0.8, location="right" if wide or len(moments) == 1 else "bottom")

    return draw


def _moments(seen: list[Seen], name: str) -> list[Seen]:
    """The first and the last moment with an array; none where the points are no grid."""
    found = [one for one in (first_with(seen, name), last_with(seen, name)) if one is not None]
    # Points that are no grid have no rings of frequencies either, and are in no order.
    found = [one for one in found if frequency_of(one) is not None]
    return found[:1] if len(found) == 2 and found[0] is found[1] else found


def _slice(pictures: Array) -> Array:
    """Of three dimensions the middle slice along the first of them: (k, n) and (k, height, width) stay."""
    return pictures[:, pictures.shape[1] // 2] if pictures.ndim == 4 else pictures


def _places(values: Array) -> Array:
    return (np.arange(len(values)) + 0.5) * 2 / len(values) - 1


def _show(axes: Axes, picture: Array) -> None:
    most = float(np.nanmax(np.abs(picture))) or 1.0
    axes.imshow(picture, cmap="RdBu_r", vmin=-most, vmax=most)


def _draw_lines(axes: Axes, vectors: Array) -> None:
    """One above the other, the first on top."""
    for number, vector in enumerate(vectors):
        scale = 2.2 * (float(np.nanmax(np.abs(vector))) or 1.0)
        axes.plot(_places(vector), vector / scale - number, color=COLOURS[number % len(COLOURS)], linewidth=1.0)
    axes.set_yticks([])
    axes.set_xticks([-1, 0, 1])
