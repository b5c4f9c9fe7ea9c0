"""WIRE with real numbers: two projections a unit (Saragadam et al. 2023, arXiv:2301.05187)."""

from __future__ import annotations

from torch import Tensor, nn

from inrbench_activation_wavelet.gabor import gabor
from inrbench_activation_wavelet.plugin import RealWireSpec
from inrbench_core import Activation, Position


class GaborLayer(nn.Module):
    """cos(omega (W1 x + b1)) exp(-(s (W2 x + b2))^2), (N, in_features) -> (N, out_features).

    Both projections are one matrix, the wave's rows first; torch's default initialisation depends
    on in_features alone, so it is that of two layers.
    """

    def __init__(self, in_features: int, out_features: int, omega: float, s: float) -> None:
        super().__init__()
        self.projections = nn.Linear(in_features, 2 * out_features)
        self.omega = omega
        self.s = s

    def forward(self, x: Tensor) -> Tensor:
        wave, envelope = self.projections(x).chunk(2, dim=-1)
        return gabor(wave, envelope, self.omega, self.s)


class RealWire(Activation):
    """WIRE's real form. A layer has twice the parameters of others of its width.

    The non-linearity takes two numbers and gives one, which no elementwise function can: the
    layers that `linear` gives apply it, and `forward` has nothing left to do. The last is linear.
    """

    def __init__(self, spec: RealWireSpec, *, position: Position = "hidden") -> None:
        super().__init__(spec, position=position)
        self.omega = spec.omega
        self.s = spec.s

    def forward(self, x: Tensor) -> Tensor:
        return x

    def linear(self, in_features: int, out_features: int) -> nn.Module:
        if self.position == "last":
            return nn.Linear(in_features, out_features)
        return GaborLayer(in_features, out_features, self.omega, self.s)
