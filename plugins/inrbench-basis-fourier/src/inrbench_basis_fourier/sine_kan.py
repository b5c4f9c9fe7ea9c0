"""Sines with trained frequencies and phases (SineKAN, Reinhardt et al. 2024, arXiv:2407.04149)."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from inrbench_basis_fourier.plugin import SineKanSpec
from inrbench_core import ExpansionBasis, Position


class SineKan(ExpansionBasis):
    """phi_ik = sin(w_k x_i + p_ik): frequencies w shared by all inputs, phases of each input's own."""

    def __init__(self, spec: SineKanSpec) -> None:
        super().__init__(spec)
        self.size = spec.grid
        self.frequencies = nn.Parameter(torch.arange(1.0, spec.grid + 1.0))
        self.setup(1, "hidden")

    def setup(self, in_features: int, position: Position) -> None:
        self.phases = nn.Parameter((2.0 * torch.rand(self.size, in_features) - 1.0) * math.pi)

    def expand(self, x: Tensor) -> Tensor:
        return torch.sin(self.frequencies.unsqueeze(1) * x.unsqueeze(1) + self.phases).transpose(1, 2)
