"""One-blob encoding (Mueller et al. 2018, arXiv:1808.03856), with the quartic kernel of tiny-cuda-nn."""

from __future__ import annotations

import torch
from torch import Tensor

from inrbench_core import Encoding
from inrbench_encoding_grid.plugin import OneblobSpec


class Oneblob(Encoding):
    """What each of n bins of [0, 1] holds of a bell of half-width 1/n centred at u = (x_j + 1) / 2.

    The part of the bell beyond the ends of the domain is lost, not wrapped around. Features run over
    axes, then bins.
    """

    edges: Tensor

    def __init__(self, spec: OneblobSpec, in_features: int, resolution: tuple[int, ...] | None = None) -> None:
        super().__init__(spec, in_features, resolution)
        self.bins = spec.bins
        self.out_features = in_features * spec.bins
        self.register_buffer("edges", torch.arange(spec.bins + 1), persistent=False)

    def forward(self, coords: Tensor) -> Tensor:
        centre = (coords.unsqueeze(-1) + 1.0) / 2.0 * self.bins
        t = (self.edges - centre).clamp(-1.0, 1.0)
        # The integral of 15/16 (1 - t^2)^2 from -1.
        below = 0.5 + 15.0 / 16.0 * t * (1.0 - t * t * (2.0 / 3.0 - t * t / 5.0))
        return (below[..., 1:] - below[..., :-1]).flatten(1)
