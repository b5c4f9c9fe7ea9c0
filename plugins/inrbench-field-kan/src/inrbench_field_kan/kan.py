"""The coordinate-KAN (Kolmogorov-Arnold network, Liu et al. 2024, arXiv:2404.19756)."""

from __future__ import annotations

from inrbench_core import FieldShape
from torch import Tensor, nn

from inrbench_field_kan.plugin import KanSpec


class Kan(nn.Module):
    """depth + 2 KAN layers; maps (N, in_features) to (N, out_features).

    Normalisation, where asked for, follows hidden layers only. After the last layer it would confine
    the output (a LayerNorm over one value is a constant), and on raw coordinates it would keep little
    more than their order; published code has both errors.
    """

    def __init__(self, spec: KanSpec, shape: FieldShape) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        features = shape.in_features
        for index in range(spec.depth + 1):
            layers.append(spec.basis.build().layer(features, spec.width, position="hidden" if index else "first"))
            if spec.norm == "layer":
                layers.append(nn.LayerNorm(spec.width))
            features = spec.width
        layers.append(spec.basis.build().layer(features, shape.out_features, position="last"))
        self.layers = nn.Sequential(*layers)

    def forward(self, coords: Tensor) -> Tensor:
        return self.layers(coords)
