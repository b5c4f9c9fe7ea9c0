"""The encoding that changes nothing."""

from __future__ import annotations

from torch import Tensor

from inrbench_core import ComponentSpec, Encoding


class Identity(Encoding):
    """gamma(x) = x."""

    def __init__(self, spec: ComponentSpec, in_features: int, resolution: tuple[int, ...] | None = None) -> None:
        super().__init__(spec, in_features, resolution)
        self.out_features = in_features

    def forward(self, coords: Tensor) -> Tensor:
        return coords
