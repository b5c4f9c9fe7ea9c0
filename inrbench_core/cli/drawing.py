"""Functions drawn with braille characters, for the terminal."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from inrbench_core.cli.curves import Array, Curves

COLUMNS = 62
MARGIN = 11
ROWS_OF_ONE, ROWS_OF_MANY = 12, 3
MOST_DRAWN = 6
# A braille character is 2 dots wide and 4 high; these are the bits of its dots, by row and column.
DOTS = np.array([[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]])
BLANK = 0x2800


def draw(curves: Curves) -> Iterator[str]:
    """Lines of at most 80 characters: one function large, or the first few of a family one below the other."""
    count = len(curves.y)
    if count == 1:
        yield from _panel(curves.x, curves.y[0], ROWS_OF_ONE)
    for label, y in list(zip(curves.labels, curves.y, strict=True))[: MOST_DRAWN if count > 1 else 0]:
        yield f"{'':{MARGIN}}  {label}"
        yield from _panel(curves.x, y, ROWS_OF_MANY)
    left, right = _number(curves.x[0]), _number(curves.x[-1])
    middle = f"{curves.argument} = {_number(curves.x[0] + curves.x[-1])}"
    yield f"{'':{MARGIN}}  {left}{middle:^{COLUMNS - len(left) - len(right)}}{right}"
    left_out = f"; {count - MOST_DRAWN} more are not drawn" if count > MOST_DRAWN else ""
    yield f"{'':{MARGIN}}  {curves.note}{left_out}"


def _panel(x: Array, y: Array, rows: int) -> Iterator[str]:
    """One function in a frame, with its highest and lowest value beside it."""
    finite = y[np.isfinite(y)]
    low, high = (float(finite.min()), float(finite.max())) if len(finite) else (0.0, 0.0)
    values = {0: high, rows - 1: low} if high > low else {rows // 2: low}
    for row, line in enumerate(_cells(y, low, high, rows)):
        value = _number(values[row]) if row in values else ""
        yield f"{value:>{MARGIN}} │" + "".join(chr(BLANK + int(cell)) for cell in line)


def _cells(y: Array, low: float, high: float, rows: int) -> Array:
    """Braille bits, shape (rows, COLUMNS): in each column of dots all that the function passes through."""
    cells = np.zeros((rows, COLUMNS), dtype=int)
    height = 4 * rows - 1
    # A constant goes through the middle.
    levels = (high - y) / (high - low) * height if high > low else np.full_like(y, 0.5 * height)
    edges = np.linspace(0, len(y) - 1, 2 * COLUMNS + 1)
    for column in range(2 * COLUMNS):
        # From edge to edge, both included, so that steep parts have no gaps.
        seen = levels[math.floor(edges[column]) : math.ceil(edges[column + 1]) + 1]
        seen = seen[np.isfinite(seen)]
        if len(seen):
            for dot in range(round(seen.min()), round(seen.max()) + 1):
                cells[dot // 4, column // 2] |= DOTS[dot % 4, column % 2]
    return cells


def _number(value: float) -> str:
    # Adding 0.0 turns -0 into 0.
    return f"{round(value, 9) + 0.0:.4g}"
