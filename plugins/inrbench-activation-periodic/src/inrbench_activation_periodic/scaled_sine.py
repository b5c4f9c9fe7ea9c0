"""Sine with four trained scalars a layer: INCODE's activation without its harmonizer network."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from inrbench_activation_periodic.plugin import ScaledSineSpec
from inrbench_activation_periodic.sine import SirenActivation
from inrbench_core import Position

STARTS = {
    "zero": (0.0, 0.0, 0.0, 0.0),
    # All four come from one network, whose last bias is 0.312.
    "incode": (0.312, 0.312, 0.312, 0.312),
    # In INCODE's code these weigh the regularisation terms; NeAF and INR-Bench start from them.
    "paper": (0.1993, 0.0196, 0.0588, 0.0269),
}


class ScaledSine(SirenActivation):
    """exp(a) sin(exp(b) omega z + c) + d, after Kazerouni et al. 2023, arXiv:2310.18846.

    In INCODE a network that sees the signal gives a, b, c and d. Here they are parameters of each
    layer, as in INR-Bench (arXiv:2510.10188).
    """

    def __init__(self, spec: ScaledSineSpec, *, position: Position = "hidden") -> None:
        super().__init__(spec, position=position)
        self.a, self.b, self.c, self.d = (nn.Parameter(torch.full((1,), start)) for start in STARTS[spec.start])

    def forward(self, x: Tensor) -> Tensor:
        return self.a.exp() * torch.sin(self.b.exp() * self.omega * x + self.c) + self.d
