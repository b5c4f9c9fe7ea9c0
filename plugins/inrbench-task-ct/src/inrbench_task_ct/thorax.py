"""A drawn slice through a chest: organs, ribs, vessels and texture, the same at every size."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from skimage.transform import downscale_local_mean, resize

Array = np.ndarray[Any, Any]

SUPERSAMPLING = 3
SEED = 7
TEXTURE_SIZE = 256
TEXTURE_SHARE = 0.03
TEXTURE_SLOPE = 1.2
GENERATIONS = 7
TREES_PER_LUNG = 2
RIBS_PER_SIDE = 9

# Attenuation as a share of hard bone's: (value, row, column, half height, half width, tilt in rad);
# later ones cover earlier ones. Rows go down, both from -1 to 1.
LUNG = 0.12
ORGANS = (
    (0.42, 0.00, 0.00, 0.72, 0.92, 0.0),  # fat under the skin
    (0.50, 0.00, 0.00, 0.66, 0.86, 0.0),  # muscle
    (0.44, -0.02, 0.00, 0.57, 0.76, 0.0),  # fat inside the chest wall
    (LUNG, -0.02, -0.41, 0.50, 0.32, 0.12),
    (LUNG, -0.02, 0.41, 0.50, 0.32, -0.12),
    (0.53, -0.14, 0.09, 0.26, 0.23, -0.5),  # heart
    (0.57, -0.10, 0.14, 0.11, 0.08, -0.5),  # its left chamber
    (0.56, 0.24, 0.11, 0.07, 0.07, 0.0),  # aorta
    (0.20, 0.17, -0.01, 0.04, 0.045, 0.0),  # windpipe
    (0.80, 0.44, 0.00, 0.13, 0.14, 0.0),  # vertebra, its rim and its inside
    (0.66, 0.44, 0.00, 0.11, 0.12, 0.0),
    (0.80, 0.63, 0.00, 0.07, 0.03, 0.0),  # its spine
    (0.78, -0.61, 0.00, 0.03, 0.10, 0.0),  # breastbone
)
LUNGS = (3, 4)
VESSEL, RIB_SHELL, RIB_MARROW = 0.50, 0.95, 0.62


def thorax(size: int) -> Array:
    """The slice, float32 (size, size), in [0, 1]: air is 0, and the hardest bone about 1."""
    rng = np.random.default_rng(SEED)
    canvas = Canvas(size * SUPERSAMPLING)
    for organ in ORGANS:
        canvas.ellipse(*organ)
    for lung in LUNGS:
        for _ in range(TREES_PER_LUNG):
            _draw_tree(canvas, ORGANS[lung], rng)
    for side in (-1, 1):
        for rib in range(RIBS_PER_SIDE):
            _draw_rib(canvas, side, math.pi * (rib + 0.5) / RIBS_PER_SIDE)
    picture = downscale_local_mean(canvas.pixels, (SUPERSAMPLING, SUPERSAMPLING))
    picture = picture * (1.0 + TEXTURE_SHARE * resize(_texture(rng), (size, size), order=3))
    return picture.clip(0.0, 1.0).astype(np.float32)


class Canvas:
    """Shapes over [-1, 1]^2, drawn within their bounding boxes."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.pixels = np.zeros((size, size), np.float32)
        self.axis = (np.arange(size) + 0.5) * (2.0 / size) - 1.0

    def _box(self, row: float, column: float, reach: float) -> tuple[slice, slice, Array, Array]:
        bounds = [
            slice(*np.searchsorted(self.axis, (middle - reach, middle + reach)).tolist()) for middle in (row, column)
        ]
        rows, columns = bounds
        return rows, columns, self.axis[rows, None] - row, self.axis[None, columns] - column

    def ellipse(self, value: float, row: float, column: float, height: float, width: float, tilt: float) -> None:
        """Fill an ellipse of these half-axes, tilted by an angle, rad."""
        rows, columns, y, x = self._box(row, column, max(height, width))
        across, down = x * math.cos(tilt) + y * math.sin(tilt), y * math.cos(tilt) - x * math.sin(tilt)
        self.pixels[rows, columns][(across / width) ** 2 + (down / height) ** 2 < 1.0] = value

    def tube(self, value: float, start: Array, end: Array, radius: float, within: float) -> None:
        """Fill the points nearer than radius to a segment, where the value is `within` so far."""
        middle, reach = (start + end) / 2.0, float(np.linalg.norm(end - start)) / 2.0 + radius
        rows, columns, y, x = self._box(float(middle[0]), float(middle[1]), reach)
        along = (end - start) / max(float(np.linalg.norm(end - start)), 1e-9)
        t = (y * along[0] + x * along[1]).clip(-(reach - radius), reach - radius)
        near = (y - t * along[0]) ** 2 + (x - t * along[1]) ** 2 < radius**2
        view = self.pixels[rows, columns]
        view[near & (view == np.float32(within))] = value


def _draw_tree(canvas: Canvas, lung: tuple[float, ...], rng: np.random.Generator) -> None:
    """A vessel from the side of the heart that splits in two again and again."""
    _, row, column, height, width, _ = lung
    inward = -math.copysign(1.0, column)
    root = np.array([row + rng.uniform(-0.3, 0.4) * height, column + inward * 0.85 * width])
    heading = math.atan2(rng.uniform(-0.5, 0.5), -inward)
    branches = [(root, heading, 0.16, 0.016)]
    for _ in range(GENERATIONS):
        grown = []
        for start, direction, length, radius in branches:
            end = start + length * np.array([math.sin(direction), math.cos(direction)])
            canvas.tube(VESSEL, start, end, radius, within=LUNG)
            for turn in (-1.0, 1.0):
                spread = turn * rng.uniform(0.25, 0.75)
                grown.append((end, direction + spread, length * rng.uniform(0.68, 0.85), radius * 0.76))
        branches = grown


def _draw_rib(canvas: Canvas, side: int, angle: float) -> None:
    """A cut through a rib in the chest wall: a shell of hard bone around marrow."""
    row, column = -0.615 * math.cos(angle), side * 0.81 * math.sin(angle)
    tilt = math.atan2(0.615 * math.sin(angle), side * 0.81 * math.cos(angle))
    canvas.ellipse(RIB_SHELL, row, column, 0.022, 0.065, tilt)
    canvas.ellipse(RIB_MARROW, row, column, 0.011, 0.052, tilt)


def _texture(rng: np.random.Generator) -> Array:
    """Noise of unit variance whose spectrum falls as 1/f^1.2."""
    frequency = np.hypot(np.fft.fftfreq(TEXTURE_SIZE)[:, None], np.fft.rfftfreq(TEXTURE_SIZE)[None])
    frequency[0, 0] = 1.0
    spectrum = np.fft.rfft2(rng.standard_normal((TEXTURE_SIZE, TEXTURE_SIZE))) / frequency**TEXTURE_SLOPE
    spectrum[0, 0] = 0.0
    noise = np.fft.irfft2(spectrum, s=(TEXTURE_SIZE, TEXTURE_SIZE))
    return noise / noise.std()
