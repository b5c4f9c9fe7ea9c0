"""Random Fourier features (Tancik et al. 2020, arXiv:2006.10739), fixed and trained."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from inrbench_core import Encoding
from inrbench_encoding_fourier.plugin import RffSpec


class _FourierFeatures(Encoding):
    """[sin(2 pi B x), cos(2 pi B x)]; subclasses hold `directions`, the transpose of B."""

    directions: Tensor

    def __init__(self, spec: RffSpec, in_features: int, resolution: tuple[int, ...] | None = None) -> None:
        super().__init__(spec, in_features, resolution)
        self.out_features = 2 * spec.frequencies

    def forward(self, coords: Tensor) -> Tensor:
        phase = 2.0 * math.pi * (coords @ self.directions)
        return torch.cat([torch.sin(phase), torch.cos(phase)], dim=1)


class Rff(_FourierFeatures):
    """[sin(2 pi B x), cos(2 pi B x)], B (frequencies, D) fixed, entries N(0, sigma).

    The paper's coordinates lie in [0, 1), where its sigma of 10 means half the frequency per sample
    that it means here, in [-1, 1]: its images correspond to sigma 5.
    """

    def __init__(self, spec: RffSpec, in_features: int, resolution: tuple[int, ...] | None = None) -> None:
        super().__init__(spec, in_features, resolution)
        # A buffer, so that a reloaded model has the same directions.
        self.register_buffer("directions", _draw_directions(spec, in_features))


class LearnedRff(_FourierFeatures):
    """As `Rff`, with B trained from the same start, at the learning rate of the whole field."""

    def __init__(self, spec: RffSpec, in_features: int, resolution: tuple[int, ...] | None = None) -> None:
        super().__init__(spec, in_features, resolution)
        self.directions = nn.Parameter(_draw_directions(spec, in_features))


def _draw_directions(spec: RffSpec, in_features: int) -> Tensor:
    return torch.randn(in_features, spec.frequencies) * spec.sigma
