"""Multiresolution hash grid (Mueller et al. 2022, arXiv:2201.05989)."""

from __future__ import annotations

import math

from torch import Tensor

from inrbench_core import Encoding, UnsupportedError
from inrbench_encoding_grid.plugin import HashgridSpec
from inrbench_encoding_grid.tables import InterpolatedGrids


class Hashgrid(Encoding):
    """Features of all levels, coarse to fine, (N, levels * features); tables start U(-1e-4, 1e-4).

    As in the paper; tiny-cuda-nn also shifts the levels by half a cell and pads the tables.

    Raises:
        UnsupportedError: for more than four coordinates, or `max_resolution: half` without a resolution.
    """

    def __init__(self, spec: HashgridSpec, in_features: int, resolution: tuple[int, ...] | None = None) -> None:
        super().__init__(spec, in_features, resolution)
        finest = half_resolution(spec, resolution) if spec.max_resolution == "half" else spec.max_resolution
        self.grids = InterpolatedGrids(
            level_resolutions(spec.levels, spec.min_resolution, finest),
            in_features,
            spec.features,
            -1e-4,
            1e-4,
            table_size=2**spec.log2_table_size,
            smooth=spec.interpolation == "smoothstep",
        )
        self.out_features = spec.levels * spec.features

    def forward(self, coords: Tensor) -> Tensor:
        features: Tensor = self.grids((coords.unsqueeze(1) + 1.0) / 2.0)
        return features.flatten(1)


def level_resolutions(levels: int, coarsest: int, finest: int) -> list[int]:
    """Cells along each axis, in a geometric series; one level has the coarsest."""
    growth = (finest / coarsest) ** (1 / max(1, levels - 1))
    # Rounding errors must not take a cell from the finest level.
    return [math.floor(coarsest * growth**level + 1e-6) for level in range(levels)]


def half_resolution(spec: HashgridSpec, resolution: tuple[int, ...] | None) -> int:
    """Half the samples along the longest axis, at least the coarsest level's cells."""
    if resolution is None:
        raise UnsupportedError("hashgrid: max_resolution: half needs a signal on a grid; give a number instead")
    return max(spec.min_resolution, max(resolution) // 2)
