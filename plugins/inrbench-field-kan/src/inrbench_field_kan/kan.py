"""The coordinate-KAN (Kolmogorov-Arnold network, Liu et al. 2024, arXiv:2404.19756)."""

from __future__ import annotations

import itertools

from torch import Tensor, nn

from inrbench_core import FieldShape, without_autocast
from inrbench_field_kan.plugin import KanSpec

NORMS = {"layer": nn.LayerNorm, "batch": nn.BatchNorm1d}


class Kan(nn.Module):
    """depth + 2 KAN layers, each of a basis of its own; maps (N, in_features) to (N, out_features).

    Published code has LayerNorm after the last layer, where it confines the output (of one value it
    makes a constant), or before the first, where of two coordinates it keeps only which is larger. Here
    it follows hidden layers only. `norm: batch` is Wav-KAN's: a batch norm after every layer, the last too; a step is
    then not taken in chunks, and what is trained on a batch is evaluated with the running means.
    """

    def __init__(self, spec: KanSpec, shape: FieldShape) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        features = shape.in_features
        for index in range(spec.depth + 1):
            layers.append(spec.basis.build().layer(features, spec.width, position="hidden" if index else "first"))
            if spec.norm != "none":
                layers.append(NORMS[spec.norm](spec.width))
            features = spec.width
        layers.append(spec.basis.build().layer(features, shape.out_features, position="last"))
        if spec.norm == "batch":
            layers.append(nn.BatchNorm1d(shape.out_features))
        self.layers = nn.Sequential(*layers)

    def forward(self, coords: Tensor) -> Tensor:
        """Values at coords, (N, in_features) in [-1, 1]: (N, out_features)."""
        # Coordinates are not to be rounded in bf16.
        with without_autocast(coords.device.type):
            values: Tensor = self.layers[0](coords)
        for layer in itertools.islice(self.layers, 1, None):
            values = layer(values)
        return values
