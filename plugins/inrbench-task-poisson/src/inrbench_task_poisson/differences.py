"""Differences of a picture, and how a picture is recovered from them without a network.

Pictures are (H, W, C). All differences are per pixel.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.fft import dctn, idctn

Array = np.ndarray[Any, Any]


def gradient(picture: Array) -> tuple[Array, Array]:
    """Differences of neighbours, down (H - 1, W, C) and across (H, W - 1, C).

    Each is a second-order estimate of the derivative half-way between the two pixels.
    """
    return np.diff(picture, axis=0), np.diff(picture, axis=1)


def laplacian(picture: Array) -> Array:
    """The five-point Laplacian at the inner pixels, (H - 2, W - 2, C)."""
    inner = picture[1:-1, 1:-1]
    vertical = picture[:-2, 1:-1] + picture[2:, 1:-1]
    horizontal = picture[1:-1, :-2] + picture[1:-1, 2:]
    return vertical + horizontal - 4.0 * inner


def divergence(down: Array, across: Array) -> Array:
    """The Laplacian, (H, W, C), with no flow through the border, of a picture with this gradient."""
    vertical = np.diff(np.pad(down, ((1, 1), (0, 0), (0, 0))), axis=0)
    horizontal = np.diff(np.pad(across, ((0, 0), (1, 1), (0, 0))), axis=1)
    return vertical + horizontal


def solve(source: Array) -> Array:
    """The picture of mean 0 whose five-point Laplacian with no flow through the border is `source`, (H, W, C).

    The cosine transform makes the equation diagonal. The mean of the source, which no such picture has, is ignored.
    """
    height, width = source.shape[:2]
    eigenvalues = sum(
        np.expand_dims(2.0 * np.cos(np.pi * np.arange(size) / size) - 2.0, axis=1 - axis)
        for axis, size in enumerate((height, width))
    )
    eigenvalues[0, 0] = 1.0
    spectrum = dctn(source, axes=(0, 1)) / eigenvalues[..., None]
    spectrum[0, 0] = 0.0
    return idctn(spectrum, axes=(0, 1))
