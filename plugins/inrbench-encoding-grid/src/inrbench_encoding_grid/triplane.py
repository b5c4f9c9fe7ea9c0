"""Feature planes: EG3D's tri-plane (arXiv:2112.07945) and K-Planes (arXiv:2301.10241)."""

from __future__ import annotations

from functools import reduce
from itertools import combinations

import torch
from torch import Tensor

from inrbench_core import Encoding, UnsupportedError
from inrbench_encoding_grid.plugin import TriplaneSpec
from inrbench_encoding_grid.tables import InterpolatedGrids


class Triplane(Encoding):
    """One plane for each pair of axes: one in a plane, three in space, six with time.

    Joined by sum or product, (N, features), or one after the other, (N, planes * features). Planes start
    U(-1e-4, 1e-4), and U(0.1, 0.5) where they are multiplied, since a product of small numbers has no
    gradient to speak of.

    Raises:
        UnsupportedError: for one coordinate or more than four.
    """

    axes: Tensor

    def __init__(self, spec: TriplaneSpec, in_features: int, resolution: tuple[int, ...] | None = None) -> None:
        super().__init__(spec, in_features, resolution)
        if not 2 <= in_features <= 4:
            raise UnsupportedError(f"triplane needs two to four coordinates, and this problem has {in_features}")
        pairs = list(combinations(range(in_features), 2))
        self.register_buffer("axes", torch.tensor(pairs), persistent=False)
        self.combine = spec.combine
        low, high = (0.1, 0.5) if spec.combine == "product" else (-1e-4, 1e-4)
        self.planes = InterpolatedGrids(
            [spec.resolution] * len(pairs), 2, spec.features, low, high, smooth=spec.interpolation == "smoothstep"
        )
        self.out_features = spec.features * (len(pairs) if spec.combine == "concat" else 1)

    def forward(self, coords: Tensor) -> Tensor:
        features: Tensor = self.planes((coords[:, self.axes] + 1.0) / 2.0)
        if self.combine == "sum":
            return features.sum(dim=1)
        if self.combine == "product":
            return reduce(torch.mul, features.unbind(dim=1))
        return features.flatten(1)
