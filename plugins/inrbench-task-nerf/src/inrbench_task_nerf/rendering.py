"""Volume rendering by quadrature (Max 1995; Mildenhall et al. 2020, arXiv:2003.08934, equation 3)."""

from __future__ import annotations

import torch
from torch import Tensor

# What a field's values mean: -1 is empty (0.007 per unit of length), 1 is opaque (148).
DENSITY_RATE, MOST_LOG_DENSITY = 5.0, 9.0
COLOUR_RATE = 4.0


def density(values: Tensor) -> Tensor:
    """Density of a field's values, per unit of world length."""
    return (DENSITY_RATE * values).clamp(max=MOST_LOG_DENSITY).exp()


def colour(values: Tensor) -> Tensor:
    """Colour in [0, 1] of a field's values."""
    return torch.sigmoid(COLOUR_RATE * values)


def sample_depths(near: Tensor, far: Tensor, offset: Tensor, samples: int) -> tuple[Tensor, Tensor]:
    """Samples of rays: one in each of `samples` equal parts, evenly spaced.

    Even spacing gives the optical depth of a smooth density far more exactly than samples that are placed in each part
    independently, as in stratified sampling; different offsets of different rays keep a fit from adapting to one comb.

    Args:
        near: (n,); `far` likewise.
        offset: (n,), in [0, 1): where in each part its sample lies.
        samples: S.

    Returns:
        depths (n, S), and the length of a part (n, 1).
    """
    part = torch.arange(samples, device=near.device)
    share = (part + offset[:, None]) / samples
    length = (far - near)[:, None]
    return near[:, None] + length * share, length / samples


def weights(densities: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
    """The share of a ray's light that comes from each of its parts, and from behind them all.

    Args:
        densities: (n, S), each constant over its part.
        lengths: (n, S) or (n, 1).

    Returns:
        (n, S) and (n,), together 1.
    """
    thickness = densities * lengths
    reached = torch.exp(-torch.cat([torch.zeros_like(thickness[:, :1]), thickness.cumsum(dim=1)], dim=1))
    return reached[:, :-1] - reached[:, 1:], reached[:, -1]


def expected_depth(share: Tensor, depths: Tensor) -> Tensor:
    """Mean depth of the light of rays.

    Args:
        share: (n, S), the share of a ray's light from each of its parts.
        depths: (n, S).

    Returns:
        (n,), NaN for a ray that more than half of the light passes through.
    """
    opacity = share.sum(dim=1)
    return torch.where(opacity > 0.5, (share * depths).sum(dim=1) / opacity, torch.nan)
