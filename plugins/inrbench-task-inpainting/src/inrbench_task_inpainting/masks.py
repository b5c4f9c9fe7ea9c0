"""Masks: which pixels are missing."""

from __future__ import annotations

from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from inrbench_core import DataError
from inrbench_task_inpainting.plugin import SHARES, InpaintingSpec

Array = np.ndarray[Any, Any]

TEXT = "the quick brown fox jumps over the lazy dog "
LINES = 8


def missing_pixels(spec: InpaintingSpec, height: int, width: int, generator: np.random.Generator) -> Array:
    """(height, width), bool, True where a pixel is missing: some are, and some are not.

    Raises:
        DataError: if the picture is too small for the mask.
    """
    if spec.mask == "text":
        missing = _text(height, width)
    elif spec.mask == "box":
        missing = _box(height, width, spec.share or SHARES["box"], generator)
    else:
        missing = np.zeros(height * width, bool)
        count = round((spec.share or SHARES["random"]) * missing.size)
        missing[generator.permutation(missing.size)[:count]] = True
        missing = missing.reshape(height, width)
    if not missing.any() or missing.all():
        raise DataError(
            f"mask {spec.mask} leaves {(~missing).sum()} of {missing.size} pixels: the picture is too small"
        )
    return missing


def _box(height: int, width: int, share: float, generator: np.random.Generator) -> Array:
    """One box with the picture's aspect and that share of its area, somewhere within it."""
    rows, columns = round(height * share**0.5), round(width * share**0.5)
    top = generator.integers(0, height - rows + 1)
    left = generator.integers(0, width - columns + 1)
    missing = np.zeros((height, width), bool)
    missing[top : top + rows, left : left + columns] = True
    return missing


def _text(height: int, width: int) -> Array:
    """`LINES` lines of letters all over the picture, the same for every seed."""
    canvas = Image.new("L", (width, height))
    draw = ImageDraw.Draw(canvas)
    step = height / LINES
    font = ImageFont.load_default(size=max(1.0, 0.8 * step))
    line = TEXT * (1 + int(width / max(1.0, font.getlength(TEXT))) + 1)
    for number in range(LINES):
        start = number * 7 % len(TEXT)
        draw.text((0, number * step), line[start:], fill=255, font=font)
    return np.asarray(canvas) > 127
