"""STAF: a trained Fourier series as activation (Morsali et al. 2025, arXiv:2502.00869)."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from inrbench_activation_periodic.plugin import StafSpec
from inrbench_core import Activation, Position


class Staf(Activation):
    """Sum over j = 1..tau of b_j sin(w_j z + p_j), fed by torch's default linear layers.

    At the start w is U(0, omega), p is U(±pi), and b is sign(l) sqrt(|l|) with l from a Laplace
    distribution of scale 2/tau, which makes the variance of the sum 1. The published code has
    1/(2 tau), which makes it 1/4 and does not fit the paper's own text.
    """

    def __init__(self, spec: StafSpec, *, position: Position = "hidden") -> None:
        super().__init__(spec, position=position)
        laplace = torch.distributions.Laplace(0.0, 2.0 / spec.tau).sample((spec.tau,))
        self.b = nn.Parameter(laplace.sign() * laplace.abs().sqrt())
        self.w = nn.Parameter(spec.omega * torch.rand(spec.tau))
        self.p = nn.Parameter(math.pi * (2.0 * torch.rand(spec.tau) - 1.0))

    def forward(self, x: Tensor) -> Tensor:
        # One term at a time: a (..., tau) tensor would be read and written tau times as wide.
        total = torch.zeros_like(x)
        for b, w, p in zip(self.b, self.w, self.p, strict=True):
            total = total + b * torch.sin(w * x + p)
        return total
