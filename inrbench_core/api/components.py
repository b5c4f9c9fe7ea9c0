"""What encodings, activations and fields implement. All tensors are float32 unless said.

Any module within a model may also have these, which the fit engine looks for by name:

- `parameter_groups(lr) -> list[dict]`: torch parameter groups, each with `params` and its own `lr` (and what else the
  optimiser knows, such as `weight_decay`), for some of the module's own parameters. `lr` is the run's learning rate;
  the schedule scales every group alike.
- `regularisation() -> Tensor`: a scalar that is added to the mean loss once in each step.
- `set_progress(share)`: called before each step with the share of training done, from 0 to 1, and with 1 for
  evaluations and when a trained field is loaded.
- `pointwise = False`: the output for a point depends on the other points of its batch, so batches are not chunked.
- `floats_per_point`: the size of the largest intermediate that the module computes anew in the backward pass.
- `compile_saving(device_type) -> float`: s that torch.compile saves for each point of a training step (forward and
  backward, on one CPU thread) for this module with all in it, measured; 0.0 where it calls compiled code of its own.
  `compile: auto` adds up what the outermost modules declare, and estimates the rest from the elementwise operations.
- `linear_features(x) -> dict[str, Tensor]`: for those of the module's own parameters p, by name, that its output is
  linear in, y[n, o] = sum over ... of features[n, ...] p[o, ...] + what does not depend on p: the features,
  (N, *p.shape[1:]), at the module's input x. Analyses use it to be fast; without it they are as exact.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import dataclass
from typing import Literal

from torch import Tensor, nn

from inrbench_core.api.spec import ComponentSpec

Position = Literal["first", "hidden", "last"]


@dataclass(frozen=True)
class FieldShape:
    """What a problem needs of a field.

    Args:
        in_features: coordinate dimensions.
        out_features: values per coordinate.
        resolution: samples along each axis of the signal, or None where it has no grid.
    """

    in_features: int
    out_features: int
    resolution: tuple[int, ...] | None = None

    @property
    def values(self) -> int:
        """How many values the signal has; 0 where it has no grid."""
        return self.out_features * math.prod(self.resolution) if self.resolution else 0


class Encoding(nn.Module):
    """A map of coordinates to the features an MLP sees; may hold trainable parameters.

    Subclasses set `out_features`. Fixed random draws belong into buffers, so that they are saved.

    Args:
        spec: the entry's spec.
        in_features: coordinate dimensions D.
        resolution: samples along each axis of the signal, or None where it has no grid.
    """

    out_features: int

    def __init__(self, spec: ComponentSpec, in_features: int, resolution: tuple[int, ...] | None = None) -> None:
        super().__init__()
        self.in_features = in_features

    @abstractmethod
    def forward(self, coords: Tensor) -> Tensor:
        """Encode coords, (N, D) in [-1, 1], as (N, out_features)."""


class Activation(nn.Module):
    """An elementwise non-linearity and the initialisation that belongs to it.

    A field makes one instance for each layer, so trainable scalars are never shared by layers.

    Args:
        spec: the entry's spec.
        position: the layer that this instance follows: first or hidden. An instance for "last" only makes the
            last linear layer; no activation follows that.
    """

    def __init__(self, spec: ComponentSpec, *, position: Position = "hidden") -> None:
        super().__init__()
        self.position = position

    @abstractmethod
    def forward(self, x: Tensor) -> Tensor:
        """Apply elementwise; any shape, same shape out."""

    def linear(self, in_features: int, out_features: int) -> nn.Module:
        """The layer that feeds this activation (position first or hidden) or that ends its field (last).

        It maps (N, in_features) to (N, out_features). Default: torch's own initialisation.
        """
        return nn.Linear(in_features, out_features)
