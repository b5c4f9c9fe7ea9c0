"""Bells (Ramasinghe and Lucey 2021, arXiv:2111.15135), with the widths and weights of INR-Bench.

NeAF (arXiv:2601.06406) has a = 0.1 for all of them; that makes quadratic and multi_quadratic
constant over the range of the pre-activations, so theirs is 3, as in INR-Bench (arXiv:2510.10188).

At a = 0.1 gaussian and laplacian answer to one in ten of the pre-activations, which are about as wide as sqrt 2. Of
plain coordinates that makes local features; behind an encoding each point lights up units of its own, so that pixels
trained on are remembered (28 dB with neff) and those held out get the mean colour or worse (10 dB).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from inrbench_activation_bell.plugin import BellSpec, GaussianSpec, SuperGaussianSpec
from inrbench_core import Activation, Position
from inrbench_core.api.initialisation import kaiming_linear


class Bell(Activation):
    """A bell with one parameter a > 0, fed by layers with weights N(0, sqrt(2/in)), the last too."""

    def __init__(self, spec: BellSpec, *, position: Position = "hidden") -> None:
        super().__init__(spec, position=position)
        self.fixed_a = spec.a
        self.log_a = nn.Parameter(torch.full((1,), math.log(spec.a))) if spec.learnable else None

    @property
    def a(self) -> float | Tensor:
        """The parameter: a float if fixed, else shape (1,)."""
        return self.fixed_a if self.log_a is None else self.log_a.exp()

    def linear(self, in_features: int, out_features: int) -> nn.Module:
        return kaiming_linear(in_features, out_features)


class Gaussian(Bell):
    """exp(-z^2 / (2 a^2)).

    WIRE and FINER write exp(-(s z)^2), where s = 1/(a sqrt(2)), and use torch's default weights:
    their s = 30 is a = 0.0236 with `init: default`.
    """

    def __init__(self, spec: GaussianSpec, *, position: Position = "hidden") -> None:
        super().__init__(spec, position=position)
        self.init = spec.init

    def forward(self, x: Tensor) -> Tensor:
        return torch.exp(-0.5 * torch.square(x / self.a))

    def linear(self, in_features: int, out_features: int) -> nn.Module:
        if self.init == "default":
            return nn.Linear(in_features, out_features)
        return super().linear(in_features, out_features)


class SuperGaussian(Bell):
    """exp(-b z^2 / (2 a^2)): b goes inside, as a power outside has infinite slope where exp underflows."""

    def __init__(self, spec: SuperGaussianSpec, *, position: Position = "hidden") -> None:
        super().__init__(spec, position=position)
        self.b = spec.b

    def forward(self, x: Tensor) -> Tensor:
        return torch.exp(-0.5 * self.b * torch.square(x / self.a))


class Laplacian(Bell):
    """exp(-|z| / a). Its derivative at the kink is 0 by convention."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.exp(-x.abs() / self.a)


class Quadratic(Bell):
    """1 / (1 + (a z)^2)."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.reciprocal(1.0 + torch.square(self.a * x))


class MultiQuadratic(Bell):
    """1 / sqrt(1 + (a z)^2)."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.rsqrt(1.0 + torch.square(self.a * x))
