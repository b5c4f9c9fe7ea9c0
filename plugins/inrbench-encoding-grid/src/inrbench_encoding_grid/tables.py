"""Interpolated grids: the part that all table encodings share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import accumulate, pairwise

import torch
from torch import Tensor, nn

from inrbench_core import UnsupportedError

# Factors of Instant-NGP's hash for each axis; the fourth is tiny-cuda-nn's.
PRIMES = (1, 2_654_435_761, 805_459_861, 3_674_653_429)
MAX_ENTRIES = 2**30


class InterpolatedGrids(nn.Module):
    """Grids over [0, 1]^D with a feature vector at each vertex, and D-linear interpolation between.

    A grid of R cells has R + 1 vertices along each axis, and a row of the table for each of them; where
    that exceeds `table_size`, vertices share `table_size` rows by a hash of their integer coordinates.
    All grids lie one after the other in one table, so that a call makes one gather. Its backward pass
    adds up in an order that is not determined on CUDA.

    Args:
        resolutions: cells along each axis R, one grid for each; in ascending order if any is hashed.
        dimensions: D, 1 to 4.
        features: features at each vertex F.
        low, high: the table starts uniform between them.
        table_size: rows that a grid may have, a power of two, or None for no limit.
        smooth: weight by 3 f^2 - 2 f^3 instead of f, the fraction of the cell.

    Raises:
        UnsupportedError: if D is more than 4 or the table would have more than 2^30 entries.
    """

    cells: Tensor
    strides: Tensor
    primes: Tensor
    offsets: Tensor

    def __init__(
        self,
        resolutions: Sequence[int],
        dimensions: int,
        features: int,
        low: float,
        high: float,
        *,
        table_size: int | None = None,
        smooth: bool = False,
    ) -> None:
        super().__init__()
        if dimensions > len(PRIMES):
            raise UnsupportedError(f"grids have at most {len(PRIMES)} axes, and this problem has {dimensions}")
        vertices = [(cells + 1) ** dimensions for cells in resolutions]
        rows = [count if table_size is None else min(count, table_size) for count in vertices]
        if sum(rows) * features > MAX_ENTRIES:
            raise UnsupportedError(
                f"a table of {sum(rows) * features:.3g} entries is too large (at most 2^30): "
                f"take a coarser grid or fewer features"
            )
        self.dense_levels = sum(count == kept for count, kept in zip(vertices, rows, strict=True))
        self.mask = 0 if table_size is None else table_size - 1
        self.smooth = smooth
        self.table = nn.Parameter(torch.empty(sum(rows), features).uniform_(low, high))
        starts = list(accumulate(rows, initial=0))
        self.rows = tuple(slice(first, last) for first, last in pairwise(starts))
        strides = [[(cells + 1) ** axis for axis in range(dimensions)] for cells in resolutions]
        for name, values in {
            "cells": [[cells] for cells in resolutions],
            "strides": strides[: self.dense_levels],
            "primes": PRIMES[:dimensions],
            "offsets": starts[:-1],
        }.items():
            self.register_buffer(name, torch.tensor(values, dtype=torch.int64), persistent=False)

    def forward(self, points: Tensor) -> Tensor:
        """Interpolate at points.

        Args:
            points: shape (N, L, D), or (N, 1, D) for the same point in all L grids; clamped to [0, 1].

        Returns:
            shape (N, L, F).
        """
        position = points.clamp(0.0, 1.0) * self.cells.to(points.dtype)
        # The last vertex belongs to the last cell, with a fraction of one.
        corner = torch.minimum(position.detach().long(), self.cells - 1)
        fraction = position - corner.to(points.dtype)
        if self.smooth:
            fraction = fraction * fraction * (3.0 - 2.0 * fraction)
        # Each axis has a lower and an upper vertex; corners are all their combinations.
        weights = _outer(torch.mul, torch.stack([1.0 - fraction, fraction], dim=-1))
        rows = self._rows_of(torch.stack([corner, corner + 1], dim=-1)) + self.offsets.unsqueeze(-1)
        entries = self.table.index_select(0, rows.flatten()).view(*rows.shape, self.table.shape[1])
        return (weights.unsqueeze(-1) * entries).sum(dim=-2)

    def _rows_of(self, vertices: Tensor) -> Tensor:
        """Rows within their level's table; (N, L, D, 2) integers to (N, L, 2^D)."""
        dense, hashed = vertices[:, : self.dense_levels], vertices[:, self.dense_levels :]
        parts = []
        if dense.shape[1]:
            parts.append(_outer(torch.add, dense * self.strides.unsqueeze(-1)))
        if hashed.shape[1]:
            # The low bits of 64-bit products are those of the 32-bit ones in the definition.
            parts.append(_outer(torch.bitwise_xor, hashed * self.primes.unsqueeze(-1)) & self.mask)
        return torch.cat(parts, dim=1)


def _outer(combine: Callable[[Tensor, Tensor], Tensor], pairs: Tensor) -> Tensor:
    """Combine one of each axis's pair in all ways; (N, L, D, 2) to (N, L, 2^D)."""
    first, *others = pairs.unbind(dim=2)
    for pair in others:
        first = combine(first.unsqueeze(-1), pair.unsqueeze(-2)).flatten(-2)
    return first
