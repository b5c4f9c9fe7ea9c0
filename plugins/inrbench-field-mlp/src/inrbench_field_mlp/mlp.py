"""The coordinate-MLP: linear layers with an activation between each two, and an encoding in front."""

from __future__ import annotations

import itertools

import torch
from torch import Tensor, nn

from inrbench_core import FieldShape, without_autocast
from inrbench_field_mlp.plugin import MlpSpec


class Mlp(nn.Module):
    """An encoding and depth + 2 linear layers; maps (N, in_features) to (N, out_features).

    Each layer has an activation of its own, so that no trained scalar is shared by two layers. The
    activation builds the linear layer in front of it, since the initialisation belongs to it; the last
    linear layer comes from an activation as well, but none follows it.
    """

    def __init__(self, spec: MlpSpec, shape: FieldShape) -> None:
        super().__init__()
        self.encoding = spec.encoding.build(shape.in_features, shape.resolution)
        layers: list[nn.Module] = []
        features = self.encoding.out_features
        for index in range(spec.depth + 1):
            activation = spec.activation.build(position="hidden" if index else "first")
            layers.append(activation.linear(features, spec.width))
            # Not after the first layer: there it would divide out how far a point is from the origin.
            if spec.norm == "layer" and index:
                layers.append(nn.LayerNorm(spec.width))
            layers.append(activation)
            features = spec.width
        layers.append(spec.activation.build(position="last").linear(features, shape.out_features))
        if spec.output == "sigmoid":
            layers.append(_Squash())
        self.layers = nn.Sequential(*layers)

    def forward(self, coords: Tensor) -> Tensor:
        """Values at coords, (N, in_features) in [-1, 1]: (N, out_features)."""
        # Coordinates are not to be rounded in bf16.
        with without_autocast(coords.device.type):
            values: Tensor = self.layers[0](self.encoding(coords))
        for layer in itertools.islice(self.layers, 1, None):
            values = layer(values)
        return values


class _Squash(nn.Module):
    """2 / (1 + exp(-z)) - 1."""

    def forward(self, z: Tensor) -> Tensor:
        return torch.tanh(0.5 * z)
