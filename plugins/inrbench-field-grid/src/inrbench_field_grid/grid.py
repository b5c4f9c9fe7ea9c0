"""A grid of values with D-linear interpolation."""

from __future__ import annotations

import itertools

import torch
from torch import Tensor, nn
from torch.nn import functional

from inrbench_core import FieldShape, UnsupportedError
from inrbench_field_grid.layout import grid_sizes
from inrbench_field_grid.plugin import GridSpec

# A point has 2^D corners: more would be slower than any network.
MOST_AXES = 6
START = 1e-4


class Grid(nn.Module):
    """Maps (N, D) to (N, C); the outer grid points lie at -1 and 1, and coordinates beyond are clamped.

    It is not torch's grid_sample, which has no second derivatives, which losses on gradients need, and no D
    above 3. Values start U(-1e-4, 1e-4): where all are equal, the direction of the gradient is undefined.

    Raises:
        UnsupportedError: for more than six axes.
    """

    sizes: tuple[int, ...]

    def __init__(self, spec: GridSpec, shape: FieldShape) -> None:
        super().__init__()
        if shape.in_features > MOST_AXES:
            raise UnsupportedError(
                f"a grid has at most {MOST_AXES} axes, and this problem has {shape.in_features} coordinates"
            )
        self.sizes = grid_sizes(spec.points, tuple(shape.resolution or [1] * shape.in_features))
        strides = [1]
        for size in reversed(self.sizes[1:]):
            strides.insert(0, strides[0] * size)
        self.strides = tuple(strides)
        self.table = nn.Parameter(torch.empty(strides[0] * self.sizes[0], shape.out_features).uniform_(-START, START))
        # The table is no matrix that points are multiplied by: only its corners' rows are read.
        self.floats_per_point = 2**shape.in_features * max(shape.in_features, shape.out_features)

    def forward(self, coords: Tensor) -> Tensor:
        """Values at coords, (N, D): (N, C)."""
        axes = [self._along(coords[:, axis], size) for axis, size in enumerate(self.sizes)]
        values: Tensor | None = None
        for corner in itertools.product(*axes):
            weight = torch.stack([share for _, share in corner]).prod(dim=0)
            row = torch.stack([vertex * stride for (vertex, _), stride in zip(corner, self.strides, strict=True)])
            term = weight.unsqueeze(1) * functional.embedding(row.sum(dim=0), self.table)
            values = term if values is None else values + term
        assert values is not None
        return values

    def _along(self, x: Tensor, size: int) -> list[tuple[Tensor, Tensor]]:
        """The vertices of an axis on both sides of x, (N,), each with its share of the value."""
        if size == 1:
            return [(torch.zeros_like(x, dtype=torch.int64), torch.ones_like(x))]
        position = (x.clamp(-1.0, 1.0) + 1.0) * ((size - 1) / 2)
        # The last vertex belongs to the last cell, with all of the weight.
        lower = position.detach().long().clamp_max(size - 2)
        upper_share = position - lower
        return [(lower, 1.0 - upper_share), (lower + 1, upper_share)]


class SmoothGrid(Grid):
    """A grid with a penalty on the gradient of its values: see `regularisation`."""

    def __init__(self, spec: GridSpec, shape: FieldShape) -> None:
        super().__init__(spec, shape)
        self.smoothness = spec.smoothness

    def regularisation(self) -> Tensor:
        """`smoothness` times the squared gradient by forward differences, averaged over the grid and the values."""
        table = self.table.unflatten(0, self.sizes)
        total = table.new_zeros(())
        for axis, size in enumerate(self.sizes):
            if size > 1:
                total = total + (table.diff(dim=axis) * ((size - 1) / 2)).square().mean()
        return self.smoothness * total


def make_grid(spec: GridSpec, shape: FieldShape) -> Grid:
    """The grid of a spec."""
    return (SmoothGrid if spec.smoothness else Grid)(spec, shape)
