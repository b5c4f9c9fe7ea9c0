"""Linear interpolation between nodes, the fcn_interpolation basis of X-KANeRF (2024)."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from inrbench_basis_spline.plugin import FcnInterpolationSpec
from inrbench_core import ExpansionBasis, Position
from inrbench_core.api.basis import grid_offsets


class Hats(ExpansionBasis):
    """phi_k(x) = max(0, 1 - |x - X_k| / r).

    The published nodes lie on [-2, 2]; coordinates lie in [-1, 1], so the first layer's nodes do too.
    Piecewise linear, so there is no second derivative to train with.
    """

    def __init__(self, spec: FcnInterpolationSpec) -> None:
        super().__init__(spec)
        self.size = spec.nodes
        self.reach = 2.0

    def setup(self, in_features: int, position: Position) -> None:
        self.reach = 1.0 if position == "first" else 2.0

    def expand(self, x: Tensor) -> Tensor:
        spacing = 2.0 * self.reach / (self.size - 1)
        return torch.relu(1.0 - grid_offsets(x, -self.reach, spacing, self.size).abs()).transpose(1, 2)

    def published_coefficients(self, coefficients: Tensor) -> None:
        out_features, in_features, size = coefficients.shape
        bound = math.sqrt(6.0 / ((in_features + out_features) * size))
        nn.init.uniform_(coefficients, -bound, bound)
