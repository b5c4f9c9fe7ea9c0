"""HOSC, a sine sharpened to a square wave (Serrano et al. 2024, arXiv:2401.10967)."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from inrbench_activation_periodic.plugin import HoscSpec
from inrbench_activation_periodic.sine import SirenActivation
from inrbench_core import Position


class Hosc(SirenActivation):
    """tanh(beta sin(omega z)); a trained beta (AdaHOSC, arXiv:2601.07870) stays positive as exp of a parameter."""

    def __init__(self, spec: HoscSpec, *, position: Position = "hidden") -> None:
        super().__init__(spec, position=position)
        self.fixed_beta = spec.beta
        self.log_beta = nn.Parameter(torch.full((1,), math.log(spec.beta))) if spec.learnable else None

    def forward(self, x: Tensor) -> Tensor:
        beta = self.fixed_beta if self.log_beta is None else self.log_beta.exp()
        return torch.tanh(beta * torch.sin(self.omega * x))
