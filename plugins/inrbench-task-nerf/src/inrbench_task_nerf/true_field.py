"""The generated scene as the fields that a fit looks for, which shows what the quadrature alone costs."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from inrbench_task_nerf import still_life
from inrbench_task_nerf.rendering import COLOUR_RATE, DENSITY_RATE

# Where the density is less than this, which takes at most 0.5 % of a ray's light, colour is not computed.
_LEAST_DENSITY = 1e-3
# Colours are kept this far from 0 and 1, whose logits are infinite.
_MARGIN = 1e-6


class _OfTheScene(nn.Module):
    """A field of the still life.

    Args:
        bound: half the side of the cube that holds the scene.
    """

    def __init__(self, bound: float) -> None:
        super().__init__()
        self.bound = bound


class TrueDensity(_OfTheScene):
    """(n, 3) in [-1, 1] -> (n, 1), of which `rendering.density` makes the still life's density."""

    def forward(self, coords: Tensor) -> Tensor:
        return still_life.log_density(self.bound * coords)[:, None] / DENSITY_RATE


class TrueColour(_OfTheScene):
    """(n, 3), or (n, 6) with unit directions -> (n, 3), of which `rendering.colour` makes the still life's colour.

    Without directions the highlight is missing.
    """

    def forward(self, coords: Tensor) -> Tensor:
        points = self.bound * coords[:, :3]
        seen = still_life.log_density(points) > math.log(_LEAST_DENSITY)
        directions = coords[seen, 3:] if coords.shape[1] == 6 else None
        values = coords.new_zeros(len(coords), 3)
        values[seen] = torch.logit(still_life.shade(points[seen], directions), _MARGIN) / COLOUR_RATE
        return values


def true_field(bound: float) -> nn.ModuleDict:
    """The still life's density and colour as the fields of a NerfProblem."""
    return nn.ModuleDict({"density": TrueDensity(bound), "colour": TrueColour(bound)})
