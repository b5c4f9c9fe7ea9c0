"""The cardinal sine (Saratchandran et al. 2024, arXiv:2402.05427)."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from inrbench_activation_periodic.plugin import SincSpec
from inrbench_core import Activation, Position
from inrbench_core.api.initialisation import kaiming_linear

# sin(t) / t = sum of (-1)^k t^(2k) / (2k + 1)!; below NEAR the first left out is under 1e-16.
NEAR = 0.5
SERIES = [(-1) ** k / math.factorial(2 * k + 1) for k in range(7)]


class Sinc(Activation):
    """sin(pi a z) / (pi a z), 1 at 0, fed by layers with weights N(0, sqrt(2/in)).

    Near 0 a series takes over: the quotient itself is exact there, but its derivative loses every
    digit, in float32 from |z| = 1e-4 on, and its second derivative earlier.
    """

    def __init__(self, spec: SincSpec, *, position: Position = "hidden") -> None:
        super().__init__(spec, position=position)
        self.a = spec.a

    def forward(self, x: Tensor) -> Tensor:
        t = (math.pi * self.a) * x
        near = t.abs() < NEAR
        squared = torch.where(near, t, 0.0).square()
        series = torch.full_like(t, SERIES[-1])
        for coefficient in reversed(SERIES[:-1]):
            series = series * squared + coefficient
        # The branch not taken must be finite too, or its gradient, 0 times infinity, is NaN.
        far = torch.where(near, 1.0, t)
        return torch.where(near, series, torch.sin(far) / far)

    def linear(self, in_features: int, out_features: int) -> nn.Module:
        return kaiming_linear(in_features, out_features)
