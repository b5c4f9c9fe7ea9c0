"""Bumps made of ReLUs (ReLU-KAN, Qiu et al. 2024, arXiv:2406.02075)."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from inrbench_basis_spline.plugin import ReluKanSpec
from inrbench_core import ExpansionBasis, Position


class ReluKan(ExpansionBasis):
    """phi_k(x) = 16 (relu(e - x) relu(x - s))^2 / (e - s)^4, of height 1 in the middle of [s, e].

    Each input has intervals of its own. They start as overlapping intervals of equal length (the paper's
    lie on [0, 1], ours on [-1, 1]); start and log length are trained, so that e > s always.
    """

    def __init__(self, spec: ReluKanSpec) -> None:
        super().__init__(spec)
        self.grid, self.overlap = spec.grid, spec.overlap
        self.size = spec.grid + spec.overlap
        self._intervals(1)

    def setup(self, in_features: int, position: Position) -> None:
        self._intervals(in_features)

    def _intervals(self, in_features: int) -> None:
        step = 2.0 / self.grid
        starts = -1.0 + (torch.arange(self.size) - self.overlap) * step
        self.start = nn.Parameter(starts.unsqueeze(1).repeat(1, in_features))
        self.log_length = nn.Parameter(torch.full((self.size, in_features), math.log((self.overlap + 1) * step)))

    def expand(self, x: Tensor) -> Tensor:
        v = (x.unsqueeze(1) - self.start) * torch.exp(-self.log_length)
        return (4.0 * torch.relu(1.0 - v) * torch.relu(v)).square().transpose(1, 2)
