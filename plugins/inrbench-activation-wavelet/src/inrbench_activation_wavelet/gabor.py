"""The real Gabor wavelet, elementwise (after Saragadam et al. 2023, arXiv:2301.05187)."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from inrbench_activation_wavelet.plugin import GaborSpec
from inrbench_core import Activation, Position
from inrbench_core.api.initialisation import kaiming_linear


def gabor(wave: Tensor, envelope: Tensor, omega: float | Tensor, s: float | Tensor) -> Tensor:
    """cos(omega wave) exp(-(s envelope)^2), elementwise."""
    return torch.cos(omega * wave) * torch.exp(-torch.square(s * envelope))


class Gabor(Activation):
    """cos(omega z) exp(-(s z)^2), by default with omega, s and the weights that WIRE is used with.

    INR-Bench (arXiv:2510.10188), whose list of activations has it disabled, sets omega = s = 1 and
    Kaiming normal weights: a broad bell, which fitted a 32 x 32 image some 30 dB worse.

    Trained omega and s are kept as logarithms, so that a step of the optimiser changes them by a
    factor: omega = 20 would hardly move by steps that suit weights.
    """

    def __init__(self, spec: GaborSpec, *, position: Position = "hidden") -> None:
        super().__init__(spec, position=position)
        self.init = spec.init
        self.fixed = (spec.omega, spec.s)
        self.log_omega = nn.Parameter(torch.full((1,), math.log(spec.omega))) if spec.learnable else None
        self.log_s = nn.Parameter(torch.full((1,), math.log(spec.s))) if spec.learnable else None

    def forward(self, x: Tensor) -> Tensor:
        if self.log_omega is None or self.log_s is None:
            return gabor(x, x, *self.fixed)
        return gabor(x, x, self.log_omega.exp(), self.log_s.exp())

    def linear(self, in_features: int, out_features: int) -> nn.Module:
        if self.init == "default":
            return nn.Linear(in_features, out_features)
        return kaiming_linear(in_features, out_features)
