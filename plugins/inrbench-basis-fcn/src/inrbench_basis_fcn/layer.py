"""The layer with a small network on every edge."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from inrbench_basis_fcn import edges
from inrbench_basis_fcn.plugin import FcnSpec
from inrbench_core import Basis, Position

# What torch.compile saves of a training step for each point and hidden unit of an edge where there is no kernel, on
# one CPU thread.
COMPILE_SAVING_S = 20e-9
# By the bandwidths of both: not measured.
GPU_SPEEDUP = 100.0


class FcnLayer(nn.Module):
    """y_o = bias_o + sum over i of w2[i, o] . silu(W1[i, o] f(x_i) + b1[i, o]); (N, I) to (N, O).

    With the defaults of X-KANeRF an edge sees no faster function than sin x, and spends six parameters on it: 20.7 dB
    on the camera at 128 x 128 with 50,000 parameters; with four sinusoids 25.4.

    f(x) = [x, sin(2^j x), cos(2^j x)] has F = 1 + 2 sinusoids entries and is shared by all edges.
    An edge's own output bias would be redundant: only their sum over i acts, and that is `bias`.

    Args:
        spec: the options; H = spec.hidden.
        in_features: I.
        out_features: O.
    """

    def __init__(self, spec: FcnSpec, in_features: int, out_features: int) -> None:
        super().__init__()
        features, hidden = 1 + 2 * spec.sinusoids, spec.hidden
        self.sinusoids = spec.sinusoids
        self.inner_weight = nn.Parameter(torch.empty(in_features, out_features, hidden, features))
        self.inner_bias = nn.Parameter(torch.zeros(in_features, out_features, hidden))
        self.outer_weight = nn.Parameter(torch.empty(in_features, out_features, hidden))
        self.bias = nn.Parameter(torch.zeros(out_features)) if spec.bias else None
        if spec.scale == "published":
            # Xavier's rule on (I, O, H, F) takes the last two axes for a convolution kernel.
            fans = (in_features + out_features) * hidden
            inner, outer = math.sqrt(2 / (fans * features)), math.sqrt(2 / fans)
        else:
            inner, outer = math.sqrt(2 / features), math.sqrt(2 / (in_features * hidden))
        nn.init.normal_(self.inner_weight, 0.0, inner)
        nn.init.normal_(self.outer_weight, 0.0, outer)

    @property
    def floats_per_point(self) -> int:
        """Of the intermediates of all edges, which the kernel does not have."""
        return 0 if self._has_kernel() else self.outer_weight.numel()

    def compile_saving(self, device_type: str) -> float:
        """See `inrbench_core.api.components`; measured without the kernel, which compiled code cannot improve."""
        if self._has_kernel():
            return 0.0
        saving = COMPILE_SAVING_S * self.outer_weight.numel()
        return saving if device_type == "cpu" else saving / GPU_SPEEDUP

    def _has_kernel(self) -> bool:
        return edges.LIBRARY is not None and self.outer_weight.device.type == "cpu"

    def forward(self, x: Tensor) -> Tensor:
        """Map x, (N, I), to (N, O)."""
        y = edges.edge_sum(x, self.inner_weight, self.inner_bias, self.outer_weight)
        return y if self.bias is None else y + self.bias


class FcnBasis(Basis):
    """Makes layers with a small network on every edge."""

    def __init__(self, spec: FcnSpec) -> None:
        super().__init__(spec)
        self.options = spec

    def layer(self, in_features: int, out_features: int, *, position: Position) -> nn.Module:
        return FcnLayer(self.options, in_features, out_features)
