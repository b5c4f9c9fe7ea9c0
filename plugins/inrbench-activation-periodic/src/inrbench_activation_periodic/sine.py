"""Sine, the activation of SIREN (Sitzmann et al. 2020, arXiv:2006.09661), and what its descendants share."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from inrbench_activation_periodic.plugin import SirenSpec
from inrbench_core import Activation, Position
from inrbench_core.api.initialisation import siren_linear


class SirenActivation(Activation):
    """An activation with a frequency factor and SIREN's initialisation for that factor.

    The first layer may have a factor of its own; `omega` is the one of this instance's layer.
    """

    def __init__(self, spec: SirenSpec, *, position: Position = "hidden") -> None:
        super().__init__(spec, position=position)
        own = spec.first_omega if position == "first" else None
        self.omega = spec.omega if own is None else own

    def linear(self, in_features: int, out_features: int) -> nn.Linear:
        return siren_linear(in_features, out_features, self.omega, first=self.position == "first")


class Sine(SirenActivation):
    """sin(omega z)."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.sin(self.omega * x)
