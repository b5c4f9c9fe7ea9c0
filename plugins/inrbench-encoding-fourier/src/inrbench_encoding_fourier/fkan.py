"""Learnable Fourier features of each axis, after FKAN (Mehrabian et al. 2024, arXiv:2409.09323).

INR-Bench (arXiv:2510.10188) scales each wave by a trained number; FKAN's own first layer sums the
waves into its outputs, as one Fourier KAN layer. How INR-Bench starts its scales is not published.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from inrbench_core import Encoding
from inrbench_encoding_fourier.plugin import FkanSpec


class Fkan(Encoding):
    """Features a_jw cos(w x_j) and b_jw sin(w x_j) for axes j and w = 1..Omega, or their weighted sums.

    mode features: every wave is a feature, in the order axes, cosine and sine, frequencies; a and b start
    N(0, 1/sqrt(Omega)), small enough at Omega 1024 that SIREN's first layer, made for features of size 1, starts
    almost at zero: its scaled pre-activations are 0.006.

    mode layer: y_o = bias_o + sum_j sum_w A_ojw cos(w x_j) + B_ojw sin(w x_j); A and B start N(0, 1/sqrt(D Omega)),
    the bias 0. FKAN itself has 270 frequencies, and a LayerNorm after them.
    """

    def __init__(self, spec: FkanSpec, in_features: int, resolution: tuple[int, ...] | None = None) -> None:
        super().__init__(spec, in_features, resolution)
        self.frequencies = spec.frequencies
        waves = 2 * in_features * spec.frequencies
        shape: tuple[int, ...]
        if spec.out_features is None:
            self.out_features = waves
            shape, std = (waves,), 1.0 / math.sqrt(spec.frequencies)
            self.bias = None
        else:
            self.out_features = spec.out_features
            shape, std = (spec.out_features, waves), 1.0 / math.sqrt(in_features * spec.frequencies)
            self.bias = nn.Parameter(torch.zeros(spec.out_features))
        amplitudes = torch.randn(shape) * std
        if spec.smooth:
            amplitudes /= torch.arange(1, spec.frequencies + 1).repeat(2 * in_features)
        self.amplitudes = nn.Parameter(amplitudes)

    def forward(self, coords: Tensor) -> Tensor:
        waves = harmonics(coords, self.frequencies).flatten(1)
        if self.bias is None:
            return waves * self.amplitudes
        return nn.functional.linear(waves, self.amplitudes, self.bias)

    def linear_features(self, coords: Tensor) -> dict[str, Tensor]:
        """In mode layer the waves, (N, 2 D Omega), and the bias's 1."""
        if self.bias is None:
            return {}
        return {"amplitudes": harmonics(coords, self.frequencies).flatten(1), "bias": torch.ones_like(coords[:, 0])}


def harmonics(x: Tensor, count: int) -> Tensor:
    """cos(w x) and sin(w x) for w = 1..count.

    Each w is a coarse multiple of m plus a fine rest, m near sqrt(count): about 4 sqrt(count) sines and
    cosines for each number, and the 2 count wanted by the addition theorem, as exact as taken directly.

    Args:
        x: shape (N, D), rad per unit frequency.
        count: how many whole frequencies.

    Returns:
        shape (N, D, 2, count): cosines, then sines.
    """
    fine_count = math.isqrt(count - 1) + 1
    coarse_count = -(-count // fine_count)
    fine = x.unsqueeze(-1) * torch.arange(1, fine_count + 1, dtype=x.dtype, device=x.device)
    coarse = x.unsqueeze(-1) * torch.arange(0, coarse_count * fine_count, fine_count, dtype=x.dtype, device=x.device)
    fine_cos, fine_sin = torch.cos(fine).unsqueeze(-2), torch.sin(fine).unsqueeze(-2)
    coarse_cos, coarse_sin = torch.cos(coarse).unsqueeze(-1), torch.sin(coarse).unsqueeze(-1)
    cosines = (coarse_cos * fine_cos - coarse_sin * fine_sin).flatten(-2)
    sines = (coarse_sin * fine_cos + coarse_cos * fine_sin).flatten(-2)
    return torch.stack([cosines[..., :count], sines[..., :count]], dim=-2)
