"""FINER: a sine of variable frequency (Liu et al. 2023, arXiv:2312.02434)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from inrbench_activation_periodic.plugin import FinerSpec
from inrbench_activation_periodic.sine import SirenActivation
from inrbench_core import Position


class Finer(SirenActivation):
    """sin(omega (|z| + 1) z).

    The published code holds |z| + 1 constant in the backward pass, which gives wrong derivatives by
    the coordinates. Ours is the true gradient unless `detach_scale` asks for theirs.
    """

    def __init__(self, spec: FinerSpec, *, position: Position = "hidden") -> None:
        super().__init__(spec, position=position)
        self.first_bias = spec.first_bias
        self.detach_scale = spec.detach_scale

    def forward(self, x: Tensor) -> Tensor:
        scale = x.abs() + 1.0
        if self.detach_scale:
            scale = scale.detach()
        return torch.sin(self.omega * scale * x)

    def linear(self, in_features: int, out_features: int) -> nn.Linear:
        layer = super().linear(in_features, out_features)
        if self.position == "first" and self.first_bias is not None:
            nn.init.uniform_(layer.bias, -self.first_bias, self.first_bias)
        return layer
