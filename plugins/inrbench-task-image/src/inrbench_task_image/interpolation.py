"""Filling in missing pixels by linear interpolation, in time proportional to the number of pixels."""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


def fill_linear(picture: Array, known: Array) -> Array:
    """Missing pixels interpolated along their row and along their column, and the two averaged.

    Beyond the last known pixel of a line its value goes on; a line without any leaves the word to the
    other one, and where both are empty the mean of the known pixels stands.

    Args:
        picture: (H, W, C); values of missing pixels are not looked at.
        known: (H, W), bool, at least one True.

    Returns:
        (H, W, C), float32; known pixels as they are.
    """
    along_rows = _along_rows(picture, known)
    along_columns = _along_rows(picture.swapaxes(0, 1), known.T).swapaxes(0, 1)
    mean = picture[known].mean(axis=0)
    rows_empty, columns_empty = (~known.any(axis=axis, keepdims=True) for axis in (1, 0))
    share = np.where(rows_empty, 0.0, np.where(columns_empty, 1.0, 0.5))[..., None]
    filled = share * along_rows + (1.0 - share) * along_columns
    filled = np.where((rows_empty & columns_empty)[..., None], mean, filled)
    return np.where(known[..., None], picture, filled).astype(np.float32)


def _along_rows(picture: Array, known: Array) -> Array:
    filled = np.zeros(picture.shape, np.float32)
    columns = np.arange(picture.shape[1])
    for row in range(picture.shape[0]):
        at = np.flatnonzero(known[row])
        if at.size:
            for channel in range(picture.shape[2]):
                filled[row, :, channel] = np.interp(columns, at, picture[row, at, channel])
    return filled
