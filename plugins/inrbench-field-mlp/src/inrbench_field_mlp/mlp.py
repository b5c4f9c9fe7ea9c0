"""The coordinate-MLP: values = W_last h + b_last, with an encoding in front."""

from __future__ import annotations

from inrbench_core import FieldShape
from torch import Tensor, nn

from inrbench_field_mlp.plugin import MlpSpec


class Mlp(nn.Module):
    """An encoding and depth + 2 linear layers; maps (N, in_features) to (N, out_features).

    Each layer has an activation of its own, so that learnable scalars are not tied together. Linear
    layers are built by the activation, since their initialisation belongs to it.
    """

    def __init__(self, spec: MlpSpec, shape: FieldShape) -> None:
        super().__init__()
        self.encoding = spec.encoding.build(shape.in_features, shape.resolution)
        layers: list[nn.Module] = []
        features = self.encoding.out_features
        activation = None
        for index in range(spec.depth + 1):
            activation = spec.activation.build()
            layers.append(activation.linear(features, spec.width, position="hidden" if index else "first"))
            if spec.norm == "layer" and index:
                layers.append(nn.LayerNorm(spec.width))
            layers.append(activation)
            features = spec.width
        assert activation is not None
        # The last layer's initialisation belongs to the activation that feeds it.
        layers.append(activation.linear(features, shape.out_features, position="last"))
        self.layers = nn.Sequential(*layers)

    def forward(self, coords: Tensor) -> Tensor:
        return self.layers(self.encoding(coords))
