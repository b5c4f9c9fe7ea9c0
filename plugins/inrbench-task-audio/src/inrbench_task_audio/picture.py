"""A recording to look at: its waveform above its spectrogram, over the same time axis."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from inrbench_task_audio.metrics import levels

Array = np.ndarray[Any, Any]

SIZE = (512, 448)
FONT_SIZE = 20
_LEFT, _RIGHT, _BOTTOM = 58, 14, 52
_WAVE_TOP, _WAVE_HEIGHT, _SPECTRUM_TOP = 8, 110, 132
_FRAME = 1024
_RANGE_DB = (-90.0, -10.0)
_INK = (25, 25, 25)
# Black over violet and orange to pale yellow, of rising lightness.
_COLOURS = np.array([(5, 5, 15), (60, 20, 105), (145, 40, 115), (225, 85, 65), (252, 165, 60), (252, 250, 190)], float)


def draw_recording(samples: Array, rate: float) -> Array:
    """Draw one channel.

    Args:
        samples: shape (N,), in [-1, 1]; beyond is cut off.
        rate: samples per second, Hz.

    Returns:
        uint8, (height, width, 3): amplitude (1 to -1) and spectrogram (kHz) over time (s).
    """
    image = Image.new("RGB", SIZE, "white")
    draw = ImageDraw.Draw(image)
    font = ImageFont.load_default(FONT_SIZE)
    width, height = SIZE[0] - _LEFT - _RIGHT, SIZE[1] - _SPECTRUM_TOP - _BOTTOM
    _waveform(draw, samples, width)
    image.paste(Image.fromarray(_spectrogram(samples, width)).resize((width, height)), (_LEFT, _SPECTRUM_TOP))

    for level in (1, 0, -1):
        _tick(draw, font, _WAVE_TOP + (1 - level) * _WAVE_HEIGHT / 2, f"{level}")
    khz = rate / 2000.0
    for value, text in _ticks(khz, 4):
        _tick(draw, font, _SPECTRUM_TOP + height * (1.0 - value / khz), text)
    draw.text((2, SIZE[1] - 2), "kHz", _INK, font, anchor="ls")
    duration = samples.size / rate
    bottom = _SPECTRUM_TOP + height
    for value, text in _ticks(duration, 5):
        x = _LEFT + width * value / duration
        draw.line((x, bottom, x, bottom + 5), _INK)
        draw.text((x, bottom + 7), text, _INK, font, anchor="ma" if x < SIZE[0] - 20 else "ra")
    draw.text((_LEFT + width / 2, SIZE[1] - 2), "time [s]", _INK, font, anchor="ms")
    return np.asarray(image)


def _waveform(draw: ImageDraw.ImageDraw, samples: Array, width: int) -> None:
    """For each column a line from the lowest to the highest sample under it."""
    edges = np.linspace(0, samples.size, width + 1).astype(int)
    middle, half = _WAVE_TOP + _WAVE_HEIGHT / 2, _WAVE_HEIGHT / 2
    for column in range(width):
        part = samples[edges[column] : max(edges[column + 1], edges[column] + 1)]
        low, high = np.clip(np.nan_to_num([part.min(), part.max()]), -1.0, 1.0)
        draw.line((_LEFT + column, middle - high * half, _LEFT + column, middle - low * half), (40, 80, 160))


def _spectrogram(samples: Array, width: int) -> Array:
    """One spectrum a column, high frequencies on top, uint8 (bins, width, 3)."""
    centres = np.linspace(0, samples.size - 1, width).astype(int)
    # In parts, because the frames of a long recording span all of it.
    spectrum = np.concatenate([levels(np.nan_to_num(samples), part, _FRAME) for part in np.array_split(centres, 16)])
    low, high = _RANGE_DB
    shade = np.clip((spectrum.T[::-1] - low) / (high - low), 0.0, 1.0) * (len(_COLOURS) - 1)
    stops = np.arange(len(_COLOURS))
    return np.stack([np.interp(shade, stops, channel) for channel in _COLOURS.T], axis=-1).astype(np.uint8)


def _tick(draw: ImageDraw.ImageDraw, font: Any, y: float, text: str) -> None:
    draw.line((_LEFT - 5, y, _LEFT, y), _INK)
    draw.text((_LEFT - 8, y), text, _INK, font, anchor="rm")


def _ticks(end: float, count: int) -> list[tuple[float, str]]:
    """At most about `count` round values from 0 to `end`, as numbers and text."""
    raw = end / count
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(step * power for step in (1, 2, 5, 10) if step * power >= raw)
    return [(index * step, f"{index * step:.6g}") for index in range(int(end / step + 1e-9) + 1)]
