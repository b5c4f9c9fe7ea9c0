"""NeRF's frequency encoding (Mildenhall et al. 2020, arXiv:2003.08934)."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from inrbench_core import Encoding, UnsupportedError
from inrbench_encoding_fourier.plugin import NeffSpec


class Neff(Encoding):
    """[x ; sin(2^i pi x_j), cos(2^i pi x_j) for octaves i, axes j].

    The features of one octave stand together: all sines of its axes, then all cosines.
    `frequencies: nyquist` takes floor(log2(n / 4)) octaves, n the samples along the signal's shortest
    axis, the rule of SIREN's code (INR-Bench's code takes n from the batch size, which is an error).
    """

    octaves: Tensor

    def __init__(self, spec: NeffSpec, in_features: int, resolution: tuple[int, ...] | None = None) -> None:
        super().__init__(spec, in_features, resolution)
        count = spec.frequencies if isinstance(spec.frequencies, int) else nyquist_octaves(resolution)
        self.include_input = spec.include_input
        self.out_features = in_features * (2 * count + int(spec.include_input))
        self.register_buffer("octaves", 2.0 ** torch.arange(count))

    def forward(self, coords: Tensor) -> Tensor:
        turns = coords.unsqueeze(1) * self.octaves.to(coords.dtype).unsqueeze(1)
        # Exact in floating point, where sin of a large multiple of pi loses every digit by octave 24.
        reduced = math.pi * (turns - 2.0 * torch.round(turns / 2.0).detach())
        waves = torch.cat([torch.sin(reduced), torch.cos(reduced)], dim=2).flatten(1)
        return torch.cat([coords, waves], dim=1) if self.include_input else waves


def nyquist_octaves(resolution: tuple[int, ...] | None) -> int:
    """Octaves that a signal of this resolution can show. Raises UnsupportedError without a resolution."""
    if resolution is None:
        raise UnsupportedError("neff: frequencies: nyquist needs a signal on a grid; give a number of octaves instead")
    return max(1, math.floor(math.log2(max(8, min(resolution)) / 4)))
