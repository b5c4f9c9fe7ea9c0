"""Chebyshev polynomials of each axis as features."""

from __future__ import annotations

import torch
from torch import Tensor

from inrbench_core import Encoding
from inrbench_encoding_fourier.plugin import ChebyshevFeaturesSpec


class ChebyshevFeatures(Encoding):
    """T_k(x_j) for axes j and k = 1..degree: cosines in arccos x, finest at the ends of the domain.

    By the recurrence T_k = 2 x T_(k-1) - T_(k-2), whose gradients are finite at the ends, where those of
    arccos are not. Beyond [-1, 1], where they grow like x^k, the values at the ends go on.
    """

    def __init__(
        self, spec: ChebyshevFeaturesSpec, in_features: int, resolution: tuple[int, ...] | None = None
    ) -> None:
        super().__init__(spec, in_features, resolution)
        self.degree = spec.degree
        self.out_features = in_features * spec.degree

    def forward(self, coords: Tensor) -> Tensor:
        x = coords.clamp(-1.0, 1.0)
        terms = [torch.ones_like(x), x]
        for _ in range(1, self.degree):
            terms.append(2.0 * x * terms[-1] - terms[-2])
        return torch.stack(terms[1:], dim=2).flatten(1)
