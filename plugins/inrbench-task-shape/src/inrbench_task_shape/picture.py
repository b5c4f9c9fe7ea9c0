"""A picture of a solid: its surface as seen from above and aside, coloured by its normals."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from scipy.ndimage import map_coordinates

Array = np.ndarray[Any, Any]

PIXELS = 192
# Half of what is shown across, and of the rays' length: the cube's corners are sqrt(3) from its middle.
_WIDTH, _REACH = 1.25, 1.74
_STEPS = 128
# What stands for the values outside of the volume.
_OUTSIDE = 1e-6


def draw(values: Array) -> Array:
    """Draw where values, (R, R, R) over [-1, 1]^3, are negative, by parallel rays through the volume.

    Red, green and blue stand for the normal's x, y and z, as usual for normal maps; no surface is white. The
    outer face of the volume counts as surface where the solid touches it.

    Returns:
        uint8, (PIXELS, PIXELS, 3).
    """
    right, up, towards = _view()
    across = np.linspace(-_WIDTH, _WIDTH, PIXELS)
    start = across[None, :, None] * right + across[::-1, None, None] * up + _REACH * towards
    start = start.reshape(-1, 3)
    step = 2.0 * _REACH / _STEPS
    depth = np.full(len(start), np.nan)
    before = np.full(len(start), _OUTSIDE)
    first, last = _steps_within(start, step * towards)
    order = first.argsort(kind="stable")
    entered = np.searchsorted(first[order], np.arange(_STEPS + 2), side="left")
    active = order[:0]
    for number in range(_STEPS + 1):
        active = np.concatenate([active[last[active] >= number], order[entered[number] : entered[number + 1]]])
        now = _sample(values, start[active] - number * step * towards)
        hit = now < 0.0
        found = active[hit]
        # Linear between the two steps about the surface.
        share = before[found] / (before[found] - now[hit])
        depth[found] = (number - 1.0 + share) * step
        active = active[~hit]
        before[active] = now[~hit]
    picture = np.full((len(start), 3), 255.0)
    seen = np.isfinite(depth)
    places = start[seen] - depth[seen, None] * towards
    picture[seen] = _shade(_normals(values, places), towards)
    return np.rint(picture).astype(np.uint8).reshape(PIXELS, PIXELS, 3)


def _steps_within(start: Array, step: Array) -> tuple[Array, Array]:
    """The first and last step, int64 (n,) each, at which rays from start (n, 3) may be in the cube; first > last: none.

    A ray goes by -step, (3,), at a time.
    """
    ends = np.stack([(start - 1.0) / step, (start + 1.0) / step])
    # One more at both ends, so that no rounding loses a step.
    first, last = np.floor(ends.min(axis=0).max(axis=1)), np.ceil(ends.max(axis=0).min(axis=1))
    first = np.where(first > last, _STEPS + 1, first)
    return first.clip(0, _STEPS + 1).astype(int), last.clip(-1, _STEPS).astype(int)


def _view() -> tuple[Array, Array, Array]:
    """Unit vectors to the right, up, and towards the eye, which is at azimuth -60 and elevation 30 degrees."""
    azimuth, elevation = math.radians(-60.0), math.radians(30.0)
    towards = np.array(
        [math.cos(azimuth) * math.cos(elevation), math.sin(azimuth) * math.cos(elevation), math.sin(elevation)]
    )
    right = np.array([-math.sin(azimuth), math.cos(azimuth), 0.0])
    return right, np.cross(towards, right), towards


def _sample(values: Array, places: Array) -> Array:
    """Values by trilinear interpolation at places (n, 3): (n,); `_OUTSIDE` outside of the volume."""
    number = (places.T + 1.0) / 2.0 * (values.shape[0] - 1)
    return map_coordinates(values, number, order=1, mode="constant", cval=_OUTSIDE)


def _normals(values: Array, places: Array) -> Array:
    # Over two voxels, which smooths the steps of a volume of zeros and ones.
    reach = 4.0 / (values.shape[0] - 1)
    sides = [_sample(values, places + step) - _sample(values, places - step) for step in reach * np.eye(3)]
    gradient = np.stack(sides, axis=1)
    return gradient / np.linalg.norm(gradient, axis=1, keepdims=True).clip(1e-12)


def _shade(normals: Array, towards: Array) -> Array:
    facing = np.abs(normals @ towards)[:, None]
    return (normals * 0.5 + 0.5) * 255.0 * (0.55 + 0.45 * facing)
