"""WIRE: complex Gabor wavelets (Saragadam et al. 2023, arXiv:2301.05187)."""

from __future__ import annotations

import math
import warnings

import torch
from torch import Tensor, nn

from inrbench_core import FieldShape
from inrbench_field_wire.plugin import Wire2dSpec, WireSpec

# Beyond it a wavelet may exceed exp(4) = 55, and a stack of them soon float32.
MOST_OMEGA_PER_S = 4.0


def wire(spec: WireSpec, shape: FieldShape) -> Wire:
    """One projection: complex layers of width / sqrt(2), since a complex weight counts as two."""
    return Wire(spec, shape, features=max(1, math.floor(spec.width / math.sqrt(2))), projections=1)


def wire2d(spec: Wire2dSpec, shape: FieldShape) -> Wire:
    """Two projections, hence twice the weights again: complex layers of width / 2."""
    return Wire(spec, shape, features=max(1, spec.width // 2), projections=2)


class Wire(nn.Module):
    """depth + 1 layers of wavelets and a linear one; maps (N, in_features) to (N, out_features), float32.

    All weights start as torch's default: the first layer's are real, since coordinates are, and the
    others' complex. The last layer is the real part of a complex linear one, written as a real one of
    the real and imaginary parts, which has no weights that do nothing.

    Args:
        spec: the options.
        shape: what the problem needs.
        features: complex features of a layer.
        projections: 1, or 2 for an envelope in two projections.
    """

    def __init__(self, spec: WireSpec, shape: FieldShape, *, features: int, projections: int) -> None:
        super().__init__()
        if spec.omega > MOST_OMEGA_PER_S * spec.s:
            warnings.warn(
                f"WIRE with omega {spec.omega:g} above 4 s = {4 * spec.s:g} has wavelets of up to "
                f"exp({(spec.omega / spec.s) ** 2 / 4:.3g}) and may diverge",
                stacklevel=2,
            )
        sizes = [shape.in_features, *[features] * (spec.depth + 1)]
        self.layers = nn.Sequential(
            *(
                GaborLayer(sizes[index], features, spec.omega, spec.s, projections, real_input=index == 0)
                for index in range(spec.depth + 1)
            )
        )
        self.last = nn.Linear(2 * features, shape.out_features)
        bound = 1.0 / math.sqrt(features)
        nn.init.uniform_(self.last.weight, -bound, bound)
        nn.init.uniform_(self.last.bias, -bound, bound)

    def forward(self, coords: Tensor) -> Tensor:
        """Values at coords, (N, in_features) in [-1, 1]: (N, out_features)."""
        values: Tensor = self.last(torch.view_as_real(self.layers(coords)).flatten(1))
        return values


class GaborLayer(nn.Module):
    """exp(j omega z - s^2 (|z|^2 + |z'|^2)), z and z' linear in the input: (N, in) to (N, out), complex64.

    Its size is at most exp(omega^2 / (4 s^2)), reached at z = -j omega / (2 s^2). The exponent's real
    part, omega Im z and the envelope together, is formed before the exponential, so that neither
    overflows alone.
    """

    def __init__(
        self, in_features: int, out_features: int, omega: float, s: float, projections: int, *, real_input: bool
    ) -> None:
        super().__init__()
        self.omega, self.s = omega, s
        dtype = torch.float32 if real_input else torch.complex64
        self.projections = nn.ModuleList(nn.Linear(in_features, out_features, dtype=dtype) for _ in range(projections))

    def forward(self, x: Tensor) -> Tensor:
        projected = [projection(x) for projection in self.projections]
        # Not abs(): its derivative at 0 is not defined.
        squares = torch.stack([_square(z) for z in projected]).sum(dim=0)
        exponent, z = -(self.s**2) * squares, projected[0]
        if z.is_complex():
            exponent = exponent - self.omega * z.imag
            z = z.real
        modulus, phase = exponent.exp(), self.omega * z
        # Not polar(): its gradient divides by the modulus, which underflows far from the origin.
        return torch.complex(modulus * phase.cos(), modulus * phase.sin())


def _square(z: Tensor) -> Tensor:
    return z.real.square() + z.imag.square() if z.is_complex() else z.square()
