"""One picture of an experiment: every field's answer beside the truth. Imports no torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from inrbench_core.api.errors import InrbenchError
from inrbench_core.results.leaderboard import Leaderboard
from inrbench_core.results.numbers import first_figure

PANEL_WIDTH = 256
FONT_SIZE = 15
GAP = 10
MAX_COLUMNS = 4


@dataclass(frozen=True)
class Panel:
    """A picture, uint8 (height, width, 3), and the lines of text under it."""

    picture: np.ndarray[Any, Any]
    lines: tuple[str, ...]


def draw_leaderboard(board: Leaderboard, target: Path) -> bool:
    """Write a PNG of all rows' previews, best first, after the truth.

    Rows that share a run, as a tuned field does for which the published options are the best, share a panel.

    Args:
        board: the task's leaderboard.
        target: the PNG to write.

    Returns:
        False, and nothing is written, if no run has a preview.
    """
    panels: dict[str, Panel] = {}
    truth: np.ndarray[Any, Any] | None = None
    shown_signal = next((run.signal for row in board.rows for run in row.runs if run.status == "ok"), "")
    for row in board.rows:
        for run in row.runs:
            # All panels show the same signal, the one of the truth.
            if run.record is None or run.signal != shown_signal:
                continue
            try:
                arrays = run.record.arrays
            except InrbenchError:
                continue
            if arrays.preview is None:
                continue
            truth = arrays.truth if truth is None else truth
            name = f"{row.label} (baseline)" if row.baseline else row.label
            if run.id in panels:
                name = f"{panels[run.id].lines[0]}, {name}"
            # The table has means; a picture is one run of them.
            seed = f", seed {run.seed}" if len({other.seed for other in row.runs}) > 1 else ""
            panels[run.id] = Panel(arrays.preview, (name, first_figure(board.metrics, run.metrics) + seed))
            break
    if not panels:
        return False
    shown = list(panels.values())
    if truth is not None:
        shown.insert(0, Panel(truth, (f"truth: {shown_signal}" if board.counts[0] > 1 else "truth", "")))
    contact_sheet(shown).save(target)
    return True


def contact_sheet(panels: Sequence[Panel]) -> Image.Image:
    """Panels in a grid, each scaled to the same width, with its text below, never clipped."""
    font = ImageFont.load_default(FONT_SIZE)
    pictures = [_scaled(panel.picture) for panel in panels]
    columns = min(MAX_COLUMNS, len(panels))
    texts = [[piece for line in panel.lines for piece in _wrapped(line, font)] for panel in panels]
    line_height = FONT_SIZE + 4
    rows = [range(start, min(start + columns, len(panels))) for start in range(0, len(panels), columns)]
    heights = [
        max(pictures[i].height for i in row) + line_height * max(len(texts[i]) for i in row) + GAP for row in rows
    ]
    sheet = Image.new("RGB", (columns * (PANEL_WIDTH + GAP) + GAP, sum(heights) + GAP), "white")
    draw = ImageDraw.Draw(sheet)
    top = GAP
    for row, height in zip(rows, heights, strict=True):
        for column, index in enumerate(row):
            left = GAP + column * (PANEL_WIDTH + GAP)
            sheet.paste(pictures[index], (left, top))
            for number, text in enumerate(texts[index]):
                draw.text((left, top + pictures[index].height + 2 + number * line_height), text, "black", font)
        top += height
    return sheet


def _scaled(picture: np.ndarray[Any, Any]) -> Image.Image:
    image = Image.fromarray(picture)
    height = max(1, round(image.height * PANEL_WIDTH / image.width))
    # Small pictures keep their pixels visible, large ones are averaged.
    method = Image.Resampling.NEAREST if image.width <= PANEL_WIDTH else Image.Resampling.BOX
    return image.resize((PANEL_WIDTH, height), method)


def _wrapped(line: str, font: Any) -> list[str]:
    """The line cut where it would leave the panel."""
    pieces, rest = [], line
    while rest and font.getlength(rest) > PANEL_WIDTH:
        count = next(count for count in range(len(rest) - 1, 0, -1) if font.getlength(rest[:count]) <= PANEL_WIDTH)
        space = rest.rfind(" ", 0, count)
        count = space if space > 0 else count
        pieces.append(rest[:count])
        rest = rest[count:].lstrip()
    return [*pieces, rest]
