"""The layer with a small network on every edge."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from inrbench_basis_fcn import edges
from inrbench_basis_fcn.plugin import FcnSpec
from inrbench_core import Basis, Position
from inrbench_core.api.native.edge_function import EdgeLayer
from inrbench_core.api.starts import centres, start_moments_of_rows, start_std

# What one panel of the quadrature for the start resolves of the fastest sinusoid.
RADIANS_PER_PANEL = 32


class FcnLayer(EdgeLayer):
    """y_o = bias_o + sum over i of w2[i, o] . silu(W1[i, o] f(x_i) + b1[i, o]); (N, I) to (N, O).

    f(x) = [x, sin(2^j x), cos(2^j x)] has F = 1 + 2 sinusoids entries and is shared by all edges.
    An edge's own output bias would be redundant: only their sum over i acts, and that is `bias`.

    Args:
        spec: the options; H = spec.hidden.
        in_features: I.
        out_features: O.
        position: where the layer stands; decides the start values.
    """

    rule = edges.FcnRule()
    compile_saving_s = 20e-9

    def __init__(self, spec: FcnSpec, in_features: int, out_features: int, position: Position) -> None:
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
            nn.init.normal_(self.inner_weight, 0.0, math.sqrt(2 / (fans * features)))
            nn.init.normal_(self.outer_weight, 0.0, math.sqrt(2 / fans))
            return
        nn.init.normal_(self.inner_weight, 0.0, math.sqrt(2 / features))
        if self.inner_weight.is_meta:  # there are no values where only the parameters are counted
            return
        panels = math.ceil(2**spec.sinusoids / RADIANS_PER_PANEL)
        rows = in_features * out_features
        found = start_moments_of_rows(spec, position, self._hidden_units, rows, hidden, panels)
        std = start_std(spec, found, in_features, out_features, count=hidden, terms=hidden)
        nn.init.normal_(self.outer_weight, 0.0, std)
        if self.bias is not None and centres(spec):
            with torch.no_grad():
                means = found.mean.reshape(self.outer_weight.shape)
                self.bias.sub_((self.outer_weight * means).sum(dim=(0, 2)))

    def _hidden_units(self, edges: slice, x: Tensor) -> Tensor:
        """silu(W1 f(x)) of x, (n,), on some of the I O edges: (n, edges, H)."""
        angles = [2.0**j * x for j in range(self.sinusoids)]
        seen = torch.stack([x, *(a.sin() for a in angles), *(a.cos() for a in angles)], dim=-1)
        return functional.silu(torch.einsum("ehf,nf->neh", self.inner_weight.flatten(0, 1)[edges].double(), seen))

    @property
    def edge_weights(self) -> Tensor:
        return self.outer_weight

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
        return FcnLayer(self.options, in_features, out_features, position)
