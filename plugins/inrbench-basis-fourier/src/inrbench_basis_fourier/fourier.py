"""Sines and cosines at whole frequencies (FourierKAN)."""

from __future__ import annotations

import math
from pathlib import Path

import torch
from torch import Tensor, nn

from inrbench_basis_fourier.plugin import FourierSpec
from inrbench_core import ExpansionBasis, NativeFunctions

SOURCE = Path(__file__).with_name("fourier.cpp")


class Fourier(ExpansionBasis):
    """phi = [cos(w x), sin(w x)], w = 1..grid rad per unit.

    Over [-1, 1] the highest frequency makes grid / pi cycles, so a first layer reaches the Nyquist limit
    of n samples at grid = pi n / 2. Since cos^2 + sin^2 = 1, outputs of the published start, N(0, 1 / sqrt(in grid)),
    have a mean square of 1 at any input; `scale: unit` is by 7 % larger in the first layer, where the slowest cosines
    hardly vary.
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

    def start_weights(self) -> Tensor:
        if not self.smooth:
            return super().start_weights()
        return torch.arange(1.0, self.grid + 1.0).repeat(2).square().reciprocal()

    def published_coefficients(self, coefficients: Tensor) -> None:
        functions = 1 if self.smooth else self.grid
        nn.init.normal_(coefficients, 0.0, 1.0 / math.sqrt(coefficients.shape[1] * functions))
        coefficients *= self.start_weights()
