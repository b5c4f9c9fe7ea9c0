"""Derivatives of a field by its coordinates, by automatic differentiation, point by point."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def gradients(model: nn.Module, coords: Tensor) -> tuple[Tensor, Tensor]:
    """First derivatives of a field, which can be differentiated further.

    Args:
        model: maps (n, D) to (n, C).
        coords: (n, D).

    Returns:
        the coordinates, as a leaf of the graph, and the derivatives, (n, C, D).
    """
    coords = coords.detach().requires_grad_()
    with torch.enable_grad():
        values = model(coords)
        parts = [_derivative(channel, coords) for channel in values.unbind(dim=1)]
    return coords, torch.stack(parts, dim=1)


def laplacians(model: nn.Module, coords: Tensor, scale: Tensor) -> Tensor:
    """Sum over d of scale[d]^2 times the second derivative by coordinate d: (n, D) to (n, C)."""
    coords, first = gradients(model, coords)
    with torch.enable_grad():
        channels = [
            sum(_derivative(part[:, d], coords)[:, d] * scale[d] ** 2 for d in range(coords.shape[1]))
            for part in first.unbind(dim=1)
        ]
    return torch.stack(channels, dim=1)


def _derivative(values: Tensor, coords: Tensor) -> Tensor:
    # A point's value depends on its own coordinates only, so the gradient of the sum holds them all.
    (derivative,) = torch.autograd.grad(values.sum(), coords, create_graph=True)
    return derivative
