"""A plugin file with a field that starts the same for every seed."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from inrbench_core import ComponentSpec, FieldEntry, FieldShape, hookimpl


class PlaneSpec(ComponentSpec):
    """A plane through the values, which starts at zero."""


class Plane(nn.Module):
    """Maps (N, in_features) to (N, out_features)."""

    def __init__(self, spec: PlaneSpec, shape: FieldShape) -> None:
        super().__init__()
        self.slopes = nn.Parameter(torch.zeros(shape.in_features, shape.out_features))
        self.offsets = nn.Parameter(torch.zeros(shape.out_features))

    def forward(self, coords: Tensor) -> Tensor:
        return coords @ self.slopes + self.offsets


@hookimpl
def inrbench_fields() -> Iterator[FieldEntry]:
    yield FieldEntry("plane", PlaneSpec, "fixed_plugin:Plane", api=1)
