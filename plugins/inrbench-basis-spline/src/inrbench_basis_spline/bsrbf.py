"""B-splines and radial functions in one sum (BSRBF-KAN, Ta 2024, arXiv:2406.11173)."""

from __future__ import annotations

import torch
from torch import Tensor

from inrbench_basis_spline.bspline import SOURCE, uniform_splines
from inrbench_basis_spline.plugin import BsrbfSpec
from inrbench_core import ExpansionBasis, NativeFunctions
from inrbench_core.api.basis import grid_offsets


class Bsrbf(ExpansionBasis):
    """phi_k(x) = B_k(x) + exp(-((x - c_k) / h)^2), c_k uniform on [-1, 1] with spacing h.

    The published layer normalises its input over the features; that is the field's `norm: layer` here,
    which is never put on raw coordinates.
    """

    def __init__(self, spec: BsrbfSpec) -> None:
        super().__init__(spec)
        self.grid, self.order = spec.grid, spec.order
        self.size = spec.grid + spec.order

    def expand(self, x: Tensor) -> Tensor:
        radial = torch.exp(-grid_offsets(x, -1.0, 2.0 / (self.size - 1), self.size).square())
        return (uniform_splines(x, self.grid, self.order) + radial).transpose(1, 2)

    def native(self) -> NativeFunctions:
        return NativeFunctions(SOURCE, "bsrbf", (self.grid, self.order))
