"""Real spherical harmonics as polynomials of a unit direction."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from inrbench_core import Encoding, UnsupportedError
from inrbench_encoding_fourier.plugin import SphericalHarmonicsSpec

# Below this length a direction shrinks to zero, so that the gradient at the origin stays bounded.
SHORTEST = 1e-6


class SphericalHarmonics(Encoding):
    """Y_lm of x / |x| for l = 0..degree-1, m = -l..l, orthonormal on the sphere.

    Order and signs (Condon and Shortley's phase) are those of tiny-cuda-nn. The length of x does not
    matter. At the origin, which has no direction, the direction is taken as zero.

    Raises:
        UnsupportedError: unless there are three coordinates.
    """

    def __init__(
        self, spec: SphericalHarmonicsSpec, in_features: int, resolution: tuple[int, ...] | None = None
    ) -> None:
        super().__init__(spec, in_features, resolution)
        if in_features != 3:
            raise UnsupportedError(f"spherical_harmonics needs three coordinates, and this problem has {in_features}")
        self.degree = spec.degree
        self.out_features = spec.degree**2

    def forward(self, coords: Tensor) -> Tensor:
        x, y, z = functional.normalize(coords, dim=1, eps=SHORTEST).unbind(dim=1)
        bands = [torch.full_like(x, math.sqrt(1 / (4 * math.pi)))]
        if self.degree > 1:
            c = math.sqrt(3 / (4 * math.pi))
            bands += [-c * y, c * z, -c * x]
        if self.degree > 2:
            c = math.sqrt(15 / (4 * math.pi))
            bands += [
                c * x * y,
                -c * y * z,
                c / math.sqrt(12) * (3 * z * z - 1),
                -c * x * z,
                c / 2 * (x * x - y * y),
            ]
        if self.degree > 3:
            c = math.sqrt(7 / (16 * math.pi))
            side, edge = c * math.sqrt(3 / 2), c * math.sqrt(5 / 2)
            bands += [
                -edge * y * (3 * x * x - y * y),
                c * math.sqrt(60) * x * y * z,
                -side * y * (5 * z * z - 1),
                c * z * (5 * z * z - 3),
                -side * x * (5 * z * z - 1),
                c * math.sqrt(15) * z * (x * x - y * y),
                -edge * x * (x * x - 3 * y * y),
            ]
        return torch.stack(bands, dim=1)
