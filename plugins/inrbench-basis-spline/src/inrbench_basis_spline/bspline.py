"""B-splines on uniform knots (KAN, Liu et al. 2024, arXiv:2404.19756)."""

from __future__ import annotations

import math

import torch
from inrbench_core import ExpansionBasis
from torch import Tensor, nn

from inrbench_basis_spline.plugin import BsplineSpec

NOISE = 0.1


class Bspline(ExpansionBasis):
    """The grid + order B-splines whose support touches [-1, 1].

    Knots lie at -1 + (j - order) h, h = 2 / grid, and reach past both ends, so the functions sum to 1
    on all of [-1, 1]. `scale: unit` starts the coefficients at N(0, 0.1 / sqrt(in K)), so that a layer
    begins as its silu branch with a little of every spline; without that branch they start at unit
    output variance. `scale: published` fits splines to uniform noise of ±0.05 / grid, as efficient-kan.
    """

    knots: Tensor

    def __init__(self, spec: BsplineSpec) -> None:
        super().__init__(spec)
        self.order = spec.order
        self.size = spec.grid + spec.order
        self.spacing = 2.0 / spec.grid
        knots = -1.0 + (torch.arange(spec.grid + 2 * spec.order + 1) - spec.order) * self.spacing
        self.register_buffer("knots", knots, persistent=False)

    def expand(self, x: Tensor) -> Tensor:
        return (self._cubic(x) if self.order == 3 else self._recursion(x)).transpose(1, 2)

    def _cubic(self, x: Tensor) -> Tensor:
        """Uniform cubic splines in closed form: (N, in) -> (N, K, in)."""
        centres = self.knots[2 : 2 + self.size].to(x.dtype)
        u = (x.unsqueeze(1) - centres.unsqueeze(1)).abs() / self.spacing
        outer, inner = torch.relu(2.0 - u), torch.relu(1.0 - u)
        return (outer * outer * outer - 4.0 * (inner * inner * inner)) / 6.0

    def _recursion(self, x: Tensor) -> Tensor:
        """Cox-de Boor for any order; on uniform knots every denominator is p h: (N, in) -> (N, K, in)."""
        knots = self.knots.to(x.dtype).unsqueeze(1)
        x = x.unsqueeze(1)
        splines = ((x >= knots[:-1]) & (x < knots[1:])).to(x.dtype)
        for p in range(1, self.order + 1):
            rising = (x - knots[: -p - 1]) * splines[:, :-1]
            falling = (knots[p + 1 :] - x) * splines[:, 1:]
            splines = (rising + falling) / (p * self.spacing)
        return splines

    def unit_coefficients(self, coefficients: Tensor, std: float) -> None:
        if self.options.base:
            std = NOISE / math.sqrt(coefficients.shape[1] * coefficients.shape[2])
        nn.init.normal_(coefficients, 0.0, std)

    def published_coefficients(self, coefficients: Tensor) -> None:
        grid = self.size - self.order
        out_features, in_features, _ = coefficients.shape
        points = torch.linspace(-1.0, 1.0, grid + 1)
        noise = (torch.rand(grid + 1, in_features * out_features) - 0.5) * NOISE / grid
        splines = self.expand(points.unsqueeze(1)).squeeze(1)
        solution = torch.linalg.lstsq(splines, noise, driver="gelsd").solution
        coefficients.copy_(solution.T.reshape(out_features, in_features, self.size))
