"""Linear interpolation between nodes, the fcn_interpolation basis of X-KANeRF (2024)."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from inrbench_basis_spline.bspline import SOURCE
from inrbench_basis_spline.plugin import FcnInterpolationSpec
from inrbench_core import ExpansionBasis, NativeFunctions, Position


class Hats(ExpansionBasis):
    """phi_k(x) = max(0, 1 - |x - X_k| / r).

    The published nodes lie on [-2, 2]. Ours do where the layer's input is unbounded; behind tanh, and in
    the first layer, they lie on [-1, 1]. Piecewise linear, so there is no second derivative to train with.
    """

    def __init__(self, spec: FcnInterpolationSpec) -> None:
        super().__init__(spec)
        self.size = spec.nodes
        self.fixed_reach = spec.reach
        self.reach = 2.0

    def setup(self, in_features: int, position: Position) -> None:
        self.reach = self.fixed_reach or (1.0 if self.bounded(position) else 2.0)

    def expand(self, x: Tensor) -> Tensor:
        # Placed by the cell of x, not by 1 - |x - X_k|: that has no slope at all at the nodes to autograd,
        # and the nodes of a first layer may well be the samples of the signal.
        v = (x + self.reach) * ((self.size - 1) / (2.0 * self.reach))
        cell = v.detach().floor()
        cell = torch.where(v == self.size - 1, self.size - 2.0, cell)  # The last node closes the last cell.
        nodes = torch.arange(-1.0, self.size, dtype=x.dtype, device=x.device).unsqueeze(1)
        # 1 at the node left of x, 0 elsewhere. Compared by ==, compiled code would be five times slower.
        left = torch.relu(1.0 - (cell.unsqueeze(1) - nodes).abs())
        return torch.lerp(left[:, 1:], left[:, :-1], (v - cell).unsqueeze(1)).transpose(1, 2)

    def native(self) -> NativeFunctions:
        return NativeFunctions(SOURCE, "hats", (self.reach,))

    def published_coefficients(self, coefficients: Tensor) -> None:
        out_features, in_features, size = coefficients.shape
        bound = math.sqrt(6.0 / ((in_features + out_features) * size))
        nn.init.uniform_(coefficients, -bound, bound)
