"""Anti-aliased downsampling by a whole factor: a linear operator, the same for every coarse pixel."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, TypeVar

import numpy as np
import torch
from torch import Tensor

Array = np.ndarray[Any, Any]
Places = TypeVar("Places", Array, Tensor)


@dataclass(frozen=True)
class Downsampling:
    """Coarse pixels as weighted sums of fine ones, rows and columns alike.

    Args:
        factor: fine pixels along a side of a coarse one.
        operator: mean: of the factor x factor fine pixels that a coarse one covers, as on a sensor. bicubic: Keys'
            kernel (1981, a = -0.5) stretched by the factor, with the picture mirrored at its borders, as of MATLAB's
            imresize; within the picture Pillow's is the same. Nothing is rounded or cut off.
    """

    factor: int
    operator: Literal["mean", "bicubic"]

    @cached_property
    def weights(self) -> Array:
        """Along one axis, float64 (T,), sum 1: T is factor, or of bicubic 4 factor, less one where that is odd."""
        if self.operator == "mean":
            return np.full(self.factor, 1.0 / self.factor)
        # Of the fine pixels under the kernel, in coarse pixels from its middle; those at its ends weigh nothing.
        reach = 2 * self.factor - (1 if self.factor % 2 else 0.5)
        weights = keys_kernel(np.arange(-reach, reach + 1) / self.factor)
        return weights / weights.sum()

    def places(self, coarse: Places, size: int) -> Places:
        """Rows or columns of the fine pixels that coarse ones are made of.

        Args:
            coarse: int64 (n,), rows or columns of coarse pixels.
            size: fine pixels along the axis, a multiple of the factor.

        Returns:
            int64 (n, T).
        """
        taps = len(self.weights)
        first = coarse * self.factor - (taps - self.factor) // 2
        step = torch.arange(taps, device=coarse.device) if isinstance(coarse, Tensor) else np.arange(taps)
        # Mirrored, the outermost pixel twice, as often as it takes.
        place = (first[:, None] + step) % (2 * size)
        return (2 * size - 1 - abs(2 * place - 2 * size + 1)) // 2

    def __call__(self, picture: Array) -> Array:
        """(H, W, C) to (H / factor, W / factor, C), float32. Both sides must be multiples of the factor."""
        for axis in (0, 1):
            size = picture.shape[axis]
            places = self.places(np.arange(size // self.factor), size)
            picture = sum(
                weight * picture.take(places[:, tap], axis).astype(np.float64)
                for tap, weight in enumerate(self.weights)
            )
        return picture.astype(np.float32)

    def footprint(self, coarse: Tensor, height: int, width: int) -> Tensor:
        """The fine pixels that coarse pixels are made of, both counted row by row.

        Args:
            coarse: int64 (n,).
            height: fine pixels along a column.
            width: fine pixels along a row.

        Returns:
            int64 (n, T^2), weighted by `footprint_weights`.
        """
        columns = width // self.factor
        rows = self.places(coarse // columns, height)
        return (rows[:, :, None] * width + self.places(coarse % columns, width)[:, None]).flatten(1)

    def footprint_weights(self) -> Array:
        """float64 (T^2,), sum 1."""
        return np.outer(self.weights, self.weights).ravel()


def keys_kernel(distance: Array) -> Array:
    """Keys' cubic convolution kernel, a = -0.5."""
    t = np.abs(distance)
    near = 1.5 * t**3 - 2.5 * t**2 + 1.0
    far = -0.5 * t**3 + 2.5 * t**2 - 4.0 * t + 2.0
    return np.where(t < 1, near, np.where(t < 2, far, 0.0))
