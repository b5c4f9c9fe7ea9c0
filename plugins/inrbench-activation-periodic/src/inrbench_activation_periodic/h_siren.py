"""H-SIREN: a hyperbolic first layer (Gao and Jaiman 2024, arXiv:2410.04716)."""

from __future__ import annotations

import torch
from torch import Tensor

from inrbench_activation_periodic.plugin import HSirenSpec
from inrbench_activation_periodic.sine import SirenActivation
from inrbench_core import Position

# Beyond it, omega sinh(2 z) passes 2^24 at omega = 30: float32 has no phase left, and infinity is near.
LARGEST = 7.0


class HSiren(SirenActivation):
    """sin(omega sinh(2 z)) behind the first layer, sin(omega z) behind the others.

    The paper states sin(sinh(2 x)); omega stays outside of sinh, since inside it overflows at
    |z| = 1.5. The first layer's z is cut to [-7, 7], of which U(±1/in) weights use [-2, 2].
    """

    def __init__(self, spec: HSirenSpec, *, position: Position = "hidden") -> None:
        super().__init__(spec, position=position)
        self.hyperbolic = position == "first"

    def forward(self, x: Tensor) -> Tensor:
        if self.hyperbolic:
            x = torch.sinh(2.0 * x.clamp(-LARGEST, LARGEST))
        return torch.sin(self.omega * x)
