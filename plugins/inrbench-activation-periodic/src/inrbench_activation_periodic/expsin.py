"""exp(-sin) (Ramasinghe and Lucey 2021, arXiv:2111.15135)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from inrbench_activation_periodic.plugin import ExpsinSpec
from inrbench_core import Activation, Position
from inrbench_core.api.initialisation import kaiming_linear


class Expsin(Activation):
    """exp(-sin(a z)) with a = 1, as in INR-Bench; NeAF's a = 0.1 (arXiv:2601.06406) is nearly constant."""

    def __init__(self, spec: ExpsinSpec, *, position: Position = "hidden") -> None:
        super().__init__(spec, position=position)
        self.a = spec.a

    def forward(self, x: Tensor) -> Tensor:
        return torch.exp(-torch.sin(self.a * x))

    def linear(self, in_features: int, out_features: int) -> nn.Module:
        return kaiming_linear(in_features, out_features)
