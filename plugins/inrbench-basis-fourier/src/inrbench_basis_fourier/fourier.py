"""Sines and cosines at whole frequencies (FourierKAN)."""

from __future__ import annotations

import math
from pathlib import Path

import torch
from torch import Tensor

from inrbench_basis_fourier.plugin import FourierSpec
from inrbench_core import ExpansionBasis, NativeFunctions

SOURCE = Path(__file__).with_name("fourier.cpp")


class Fourier(ExpansionBasis):
    """phi = [cos(w x), sin(w x)], w = 1..grid rad per unit.

    Over [-1, 1] the highest frequency makes grid / pi cycles, so a first layer reaches the Nyquist limit
    of n samples at grid = pi n / 2. Since cos^2 + sin^2 = 1, the unit scale gives unit output variance
    for any input. The published start, N(0, 1 / sqrt(in grid)), is the same.
    """

    def __init__(self, spec: FourierSpec) -> None:
        super().__init__(spec)
        self.grid = spec.grid
        self.size = 2 * spec.grid
        self.smooth = spec.smooth

    def expand(self, x: Tensor) -> Tensor:
        # Rounding the phase costs 3e-5 at frequency 1,024 in float32.
        frequencies = torch.arange(1.0, self.grid + 1.0, dtype=x.dtype, device=x.device)
        phases = frequencies.unsqueeze(1) * x.unsqueeze(1)
        return torch.cat([torch.cos(phases), torch.sin(phases)], dim=1).transpose(1, 2)

    def native(self) -> NativeFunctions:
        return NativeFunctions(SOURCE, "fourier")

    def unit_coefficients(self, coefficients: Tensor, std: float) -> None:
        super().unit_coefficients(coefficients, std)
        if self.smooth:
            frequencies = torch.arange(1, self.grid + 1, dtype=coefficients.dtype).repeat(2)
            coefficients *= math.sqrt(self.grid) / frequencies.square()

    def published_coefficients(self, coefficients: Tensor) -> None:
        self.unit_coefficients(coefficients, 1.0 / math.sqrt(coefficients.shape[1] * self.grid))
