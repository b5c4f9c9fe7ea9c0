"""Radial bases: rbf, and grbf, which normalises its input first (FastKAN, Li 2024, arXiv:2405.06721)."""

from __future__ import annotations

import math
from pathlib import Path

import torch
from torch import Tensor, nn

from inrbench_basis_radial.plugin import GrbfSpec, RbfSpec
from inrbench_core import ExpansionBasis, NativeFunctions, Position, UnsupportedError
from inrbench_core.api.basis import grid_offsets

SOURCE = Path(__file__).with_name("radial.cpp")
# Over fewer features a LayerNorm keeps little of them: over two, only which is the larger.
LEAST_NORMALISED = 8


def _gaussian(r: Tensor) -> Tensor:
    return torch.exp(-r.square())


def _inverse_quadratic(r: Tensor) -> Tensor:
    return 1.0 / (1.0 + r.square())


def _inverse_multiquadric(r: Tensor) -> Tensor:
    return torch.rsqrt(1.0 + r.square())


def _wendland(r: Tensor) -> Tensor:
    """Wendland's C2 function of support 2."""
    # |r|, but with a slope at 0, which the second derivative there needs.
    s = torch.relu(r) - 0.5 * r
    return torch.relu(1.0 - s).pow(4) * (4.0 * s + 1.0)


PROFILES = {
    "gaussian": _gaussian,
    "inverse_quadratic": _inverse_quadratic,
    "inverse_multiquadric": _inverse_multiquadric,
    "wendland": _wendland,
}


class Rbf(ExpansionBasis):
    """phi_k(x) = profile((x - c_k) / h).

    The published centres lie on [-2, 2]. Ours do where the layer's input is unbounded or normalised;
    behind tanh, and in the first layer, they lie on [-1, 1].
    The width follows the spacing of the centres (X-KANeRF's does not, whatever the grid).
    """

    compile_saving_s = 4.7e-9

    def __init__(self, spec: RbfSpec) -> None:
        super().__init__(spec)
        self.size = spec.grid
        self.profile = spec.profile
        self.fixed_reach = spec.reach
        self.reach = 2.0

    def setup(self, in_features: int, position: Position) -> None:
        self.reach = self.fixed_reach or (1.0 if self.bounded(position) else 2.0)

    def expand(self, x: Tensor) -> Tensor:
        spacing = 2.0 * self.reach / (self.size - 1)
        return PROFILES[self.profile](grid_offsets(x, -self.reach, spacing, self.size)).transpose(1, 2)

    def native(self) -> NativeFunctions:
        return NativeFunctions(SOURCE, self.profile, (self.reach,))

    def published_coefficients(self, coefficients: Tensor) -> None:
        nn.init.normal_(coefficients, 0.0, 0.1)

    def layer(self, in_features: int, out_features: int, *, position: Position) -> nn.Module:
        layer = super().layer(in_features, out_features, position=position)
        if self.options.scale == "published" and isinstance(layer.bias, Tensor):
            # There it is the bias of the silu branch.
            bound = 1.0 / math.sqrt(in_features)
            nn.init.uniform_(layer.bias, -bound, bound)
        return layer


class Grbf(Rbf):
    """As rbf, after a LayerNorm of the input: in every layer but the first, and from 8 features on.

    `layernorm: all` normalises coordinates too, as published; of a single one it raises UnsupportedError.
    """

    def __init__(self, spec: GrbfSpec) -> None:
        super().__init__(spec)
        self.norm_all = spec.layernorm == "all"

    def setup(self, in_features: int, position: Position) -> None:
        super().setup(in_features, position)
        if self.norm_all and in_features == 1:
            raise UnsupportedError("grbf: layernorm: all makes 0 of a single coordinate; leave it at hidden")
        normalised = self.norm_all or (position != "first" and in_features >= LEAST_NORMALISED)
        self.norm = nn.LayerNorm(in_features) if normalised else nn.Identity()

    def domain(self, x: Tensor, position: Position) -> Tensor:
        return super().domain(self.norm(x), position)

    def published_coefficients(self, coefficients: Tensor) -> None:
        nn.init.trunc_normal_(coefficients, 0.0, 0.1)
