"""A contact sheet: a few frames of a clip, their numbers below."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

Array = np.ndarray[Any, Any]

COLUMNS = 4
MAX_FRAMES = 8
FONT_SIZE = 20
_TILE = 124
_GAP = 4
_HELD_OUT_INK = (190, 30, 30)


def shown_frames(count: int, held_out: Collection[int]) -> list[int]:
    """Which of `count` frames to show: spread over the clip, held-out and other ones in turn where they are near."""
    parts = np.array_split(np.arange(count), min(MAX_FRAMES, count))
    return [
        int(next((t for t in part if (t in held_out) == (place % 2 == 0)), part[len(part) // 2]))
        for place, part in enumerate(parts)
    ]


def contact_sheet(frames: Array, numbers: Collection[int], held_out: Collection[int]) -> Array:
    """Draw frames in rows of four; the numbers of held-out frames are red and marked.

    Args:
        frames: shape (n, H, W, 1 or 3), uint8.
        numbers: their places in the clip.
        held_out: the numbers of the frames that were never trained on.

    Returns:
        uint8, (height, width, 3).
    """
    font = ImageFont.load_default(FONT_SIZE)
    height = max(1, round(_TILE * frames.shape[1] / frames.shape[2]))
    cell = height + FONT_SIZE + 10
    rows = -(-len(frames) // COLUMNS)
    columns = min(COLUMNS, len(frames))
    sheet = Image.new("RGB", (columns * (_TILE + _GAP), rows * cell), "white")
    draw = ImageDraw.Draw(sheet)
    for place, (frame, number) in enumerate(zip(frames, numbers, strict=True)):
        left, top = place % COLUMNS * (_TILE + _GAP), place // COLUMNS * cell
        picture = Image.fromarray(np.broadcast_to(frame, (*frame.shape[:2], 3)).copy())
        method = Image.Resampling.NEAREST if picture.width < _TILE else Image.Resampling.BOX
        sheet.paste(picture.resize((_TILE, height), method), (left, top))
        out = number in held_out
        text = f"{number} held out" if out else f"{number}"
        draw.text((left, top + height + 2), text, _HELD_OUT_INK if out else "black", font)
    return np.asarray(sheet)
