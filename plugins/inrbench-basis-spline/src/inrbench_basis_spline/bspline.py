"""B-splines on uniform knots (KAN, Liu et al. 2024, arXiv:2404.19756)."""

from __future__ import annotations

import math
from pathlib import Path

import torch
from torch import Tensor, nn

from inrbench_basis_spline.plugin import BsplineSpec
from inrbench_core import ExpansionBasis, NativeFunctions, Position
from inrbench_core.api.basis import grid_offsets

NOISE = 0.1
SOURCE = Path(__file__).with_name("splines.cpp")


def uniform_splines(x: Tensor, grid: int, order: int) -> Tensor:
    """The grid + order B-splines whose support touches [-1, 1]: (N, in) -> (N, K, in).

    Knots lie at -1 + (j - order) h, h = 2 / grid, and reach past both ends, so the functions sum to 1
    on all of [-1, 1]. At knots, where samples of a signal often lie, all derivatives are right too: one
    that jumps is taken from one side, the same for all splines.
    """
    spacing = 2.0 / grid
    # v is the distance of x from a spline's first knot, in spacings.
    v = grid_offsets(x, -1.0 - order * spacing, spacing, grid + (order if order == 3 else 2 * order))
    if order == 3:
        # In the usual form, outer is relu(2 - |u|), u = v - 2. Autograd gives |u| the slope 0 at 0, which
        # would make the second derivative there 0 in place of -2.
        outer = torch.relu(torch.sub(v, torch.relu(v - 2.0), alpha=2.0))
        inner = torch.relu(outer - 1.0)
        return torch.sub(outer.pow(3), inner.pow(3), alpha=4.0) / 6.0
    # Cox-de Boor; on uniform knots every denominator is p.
    splines = ((v >= 0.0) & (v < 1.0)).to(x.dtype)
    for p in range(1, order + 1):
        count = splines.shape[1] - 1
        splines = (v[:, :count] * splines[:, :-1] + (p + 1.0 - v[:, :count]) * splines[:, 1:]) / p
    return splines


class Bspline(ExpansionBasis):
    """B-splines of any order; cubic ones in closed form.

    `scale: unit` gives the splines and the silu branch half of a unit output variance each.
    `scale: published` fits splines to uniform noise of ±0.05 / grid, as efficient-kan does; such a stack is
    little more than its silu branches at the start, shrinks from layer to layer and fits far less, 32.7 dB against
    46.1, but predicts more of what is held out, 31.0 against 28.6 (`benchmarks/results/kan_starts.md`).
    """

    compile_saving_s = 13e-9

    def __init__(self, spec: BsplineSpec) -> None:
        super().__init__(spec)
        self.grid, self.order = spec.grid, spec.order
        self.size = spec.grid + spec.order
        self.standalone_scale = spec.standalone_scale

    def expand(self, x: Tensor) -> Tensor:
        return uniform_splines(x, self.grid, self.order).transpose(1, 2)

    def native(self) -> NativeFunctions:
        return NativeFunctions(SOURCE, "bspline", (self.grid, self.order))

    def published_coefficients(self, coefficients: Tensor) -> None:
        out_features, in_features, _ = coefficients.shape
        points = torch.linspace(-1.0, 1.0, self.grid + 1)
        noise = (torch.rand(self.grid + 1, in_features * out_features) - 0.5) * NOISE / self.grid
        splines = self.expand(points.unsqueeze(1)).squeeze(1)
        # Fewer points than splines: of all exact fits, the smallest.
        solution = torch.linalg.lstsq(splines, noise, driver="gelsd").solution
        coefficients.copy_(solution.T.reshape(out_features, in_features, self.size))

    def layer(self, in_features: int, out_features: int, *, position: Position) -> nn.Module:
        layer = super().layer(in_features, out_features, position=position)
        if self.standalone_scale:
            bound = 1.0 / math.sqrt(in_features) if self.options.scale == "published" else None
            scale = _Scale(in_features, out_features, bound)
            nn.utils.parametrize.register_parametrization(layer, "coefficients", scale)
        return layer


class _Scale(nn.Module):
    """Multiplies the coefficients of each edge, (O, I, K); it spans no new functions.

    Starts at 1, or with a bound at U(-bound, bound): then it is a gate, nearly shut.
    """

    def __init__(self, in_features: int, out_features: int, bound: float | None) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(out_features, in_features, 1))
        if bound is not None:
            nn.init.uniform_(self.scale, -bound, bound)

    def forward(self, coefficients: Tensor) -> Tensor:
        return coefficients * self.scale
