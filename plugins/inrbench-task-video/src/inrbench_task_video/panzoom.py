"""A generated clip with camera motion, moving objects, occlusion and changing light.

The camera pans, zooms and turns over a photograph (scikit-image's `coffee`, CC0); two counter-rotating
discs cut from another (`chelsea`, CC0) cross it on Lissajous paths. Nothing is random.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.ndimage import gaussian_filter, map_coordinates, spline_filter
from skimage.data import chelsea, coffee

Array = np.ndarray[Any, Any]

PERIOD = 96  # frames after which the clip repeats
# Radius, amplitude of the path (x, y), frequency of the path (x, y), phase, turns of the disc in a period.
# Lengths are in frame sides, from the frame's centre.
_DISCS = ((0.16, (0.28, 0.22), (1, 2), 0.3, 1), (0.10, (0.30, 0.30), (3, 2), 1.4, -2))


def panzoom(start: int, frames: int, size: int) -> Array:
    """Make frames `start` to `start + frames` of the clip.

    Args:
        start: first frame; 0 is where the zoom is widest.
        frames: how many, T.
        size: side of a frame in pixels, S.

    Returns:
        shape (T, S, S, 3), uint8.
    """
    background = _Photo(coffee(), size)
    texture = _Photo(chelsea(), size)
    axis = (np.arange(size) + 0.5) / size - 0.5
    y, x = np.meshgrid(axis, axis, indexing="ij")
    clip = np.empty((frames, size, size, 3), np.uint8)
    for index in range(frames):
        a = 2.0 * np.pi * (start + index) / PERIOD
        zoom, angle = 0.62 + 0.16 * np.cos(a), 0.12 * np.sin(a)
        u, v = _turned(x, y, angle)
        frame = background.at(zoom * u + 0.5 * 0.13 * np.sin(a), zoom * v + 0.5 * 0.10 * np.sin(2.0 * a))
        for radius, (wide, high), (fast_x, fast_y), phase, turns in _DISCS:
            dx, dy = x - wide * np.sin(fast_x * a + phase), y - high * np.sin(fast_y * a + 2.0 * phase)
            cover = np.clip((radius - np.hypot(dx, dy)) * size + 0.5, 0.0, 1.0)  # an edge of one pixel
            inside = cover > 0.0
            u, v = _turned(dx[inside], dy[inside], turns * a)
            frame[inside] += cover[inside, None] * (texture.at(0.7 * u, 0.7 * v) - frame[inside])
        frame *= 1.0 + 0.06 * np.sin(3.0 * a)
        clip[index] = np.clip(np.rint(frame * 255.0), 0, 255)
    return clip


def _turned(x: Array, y: Array, angle: float) -> tuple[Array, Array]:
    cos, sin = np.cos(angle), np.sin(angle)
    return cos * x - sin * y, sin * x + cos * y


class _Photo:
    """A photograph, without what a frame of `size` pixels cannot show, to be looked up between its pixels.

    Args:
        image: shape (H, W, 3), uint8.
        size: side of a frame in pixels, of which the narrowest view shows about 0.6 of H.
    """

    def __init__(self, image: Array, size: int) -> None:
        self.height, self.width = image.shape[:2]
        blur = 0.45 * 0.62 * self.height / size
        self.channels = [
            spline_filter(gaussian_filter(image[..., channel] / 255.0, blur), order=3) for channel in range(3)
        ]

    def at(self, u: Array, v: Array) -> Array:
        """Colours (..., 3) at u to the right of and v below the centre, in heights of the photograph."""
        place = [self.height * (v + 0.5) - 0.5, self.width / 2 + self.height * u - 0.5]
        return np.stack(
            [map_coordinates(channel, place, order=3, mode="mirror", prefilter=False) for channel in self.channels], -1
        )
