"""Sine, the activation of SIREN (Sitzmann et al. 2020, arXiv:2006.09661)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from inrbench_activation_periodic.plugin import SineSpec
from inrbench_core import Activation, Position
from inrbench_core.api.initialisation import siren_linear


class Sine(Activation):
    """sin(omega z), with SIREN's initialisation; the first layer may have an omega of its own."""

    def __init__(self, spec: SineSpec) -> None:
        super().__init__(spec)
        self.omega = spec.omega
        self.first_omega = spec.omega if spec.first_omega is None else spec.first_omega

    def forward(self, x: Tensor) -> Tensor:
        return torch.sin(self.omega * x)

    def linear(self, in_features: int, out_features: int, *, position: Position) -> nn.Module:
        if position == "first":
            self.omega = self.first_omega
        return siren_linear(in_features, out_features, self.omega, first=position == "first")
