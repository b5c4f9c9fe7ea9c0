"""Total variation of a field over a picture's pixels, as a term of the loss."""

from __future__ import annotations

import torch
from torch import Tensor

# Added under the root, in squared picture values: differences below 1e-5, a four-hundredth of an eight-bit grey level,
# count as flat. It bounds the gradient where both differences are 0.
FLATNESS = 1e-10


def covering(elements: Tensor, count: int, pixels: int) -> tuple[Tensor, Tensor]:
    """Pixels for each element of a loss, so that all elements together look at every pixel.

    With k = ceil(pixels / count), element i takes the pixels floor((i k + j) pixels / (count k)), j < k: pixel
    floor(i pixels / count) where there are at least as many elements as pixels.

    Args:
        elements: int64 (n,), from 0 to count - 1.
        count: how many elements there are.
        pixels: how many pixels.

    Returns:
        The pixels, int64 (n, k), and what each counts, float32 (n, k): the mean over all elements of the sum over k of
        some quantity times its share is that quantity's mean over the pixels, none counted twice.
    """
    each = -(-pixels // count)
    places = count * each
    pixel = (elements[:, None] * each + torch.arange(each, device=elements.device)) * pixels // places
    times = _first_place(pixel + 1, places, pixels) - _first_place(pixel, places, pixels)
    return pixel, count / (pixels * times.float())


def _first_place(pixel: Tensor, places: int, pixels: int) -> Tensor:
    """The least m with floor(m pixels / places) = pixel, places being at least pixels."""
    return -(-pixel * places // pixels)


def forward_neighbours(pixel: Tensor, height: int, width: int) -> Tensor:
    """Pixels, int64 (...), counted row by row, with the one below and the one to the right: int64 (..., 3).

    Beyond the last row or column a pixel is its own neighbour, so that the difference is 0.
    """
    below = torch.where(pixel // width < height - 1, pixel + width, pixel)
    right = torch.where(pixel % width < width - 1, pixel + 1, pixel)
    return torch.stack([pixel, below, right], dim=-1)


def total_variation(values: Tensor) -> Tensor:
    """Isotropic total variation (Rudin, Osher and Fatemi 1992) of each pixel by forward differences.

    Args:
        values: (..., 3, C): of a pixel, the one below and the one to the right, in [0, 1] between black and white.

    Returns:
        (...): the mean over channels of sqrt(dx^2 + dy^2 + 1e-10).
    """
    here, below, right = values.unbind(-2)
    return ((below - here).square() + (right - here).square() + FLATNESS).sqrt().mean(dim=-1)
