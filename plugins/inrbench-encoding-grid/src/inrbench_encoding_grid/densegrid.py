"""Dense grids, as in DVGO (Sun et al. 2021, arXiv:2111.11215)."""

from __future__ import annotations

from torch import Tensor

from inrbench_core import Encoding
from inrbench_encoding_grid.plugin import DensegridSpec
from inrbench_encoding_grid.tables import InterpolatedGrids


class Densegrid(Encoding):
    """Features of all grids, (N, grids * features); tables start U(-1e-4, 1e-4).

    Memory grows as resolution to the power of the coordinates.

    Raises:
        UnsupportedError: for more than four coordinates, or tables of more than 2^30 entries.
    """

    def __init__(self, spec: DensegridSpec, in_features: int, resolution: tuple[int, ...] | None = None) -> None:
        super().__init__(spec, in_features, resolution)
        self.grids = InterpolatedGrids(
            spec.resolutions, in_features, spec.features, -1e-4, 1e-4, smooth=spec.interpolation == "smoothstep"
        )
        self.out_features = len(spec.resolutions) * spec.features

    def forward(self, coords: Tensor) -> Tensor:
        features: Tensor = self.grids((coords.unsqueeze(1) + 1.0) / 2.0)
        return features.flatten(1)
