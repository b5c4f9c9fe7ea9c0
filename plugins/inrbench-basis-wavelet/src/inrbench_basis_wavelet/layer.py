"""The wavelet layer: y_o = bias_o + sum over i of w[o, i] psi((x_i - t[o, i])/s[o, i])."""

from __future__ import annotations

import functools
import math

import torch
from torch import Tensor, nn

from inrbench_basis_wavelet import edges, mothers
from inrbench_basis_wavelet.mothers import Mother
from inrbench_basis_wavelet.plugin import WaveletSpec
from inrbench_core import Basis, Position
from inrbench_core.api.native.edge_function import EdgeLayer
from inrbench_core.api.starts import centres, start_moments_of_rows, start_std

# exp(10) = 22,026: no signal needs a finer scale, and no |u| overflows float32 below it.
LOG_DILATION_LIMIT = 10.0
# Of the quadrature for the start; morlet swings twice in a scale.
PANELS = 4
# What torch.compile saves of a training step for each point and edge where there is no kernel, on one CPU thread.
COMPILE_SAVING_S = {
    "mexican_hat": 7e-9,
    "morlet": 10e-9,
    "dog": 7e-9,
    "meyer": 125e-9,
    "shannon": 31e-9,
    "bump": 38e-9,
    "bump_wavelet": 50e-9,
    "difference_of_gaussians": 10e-9,
}


class WaveletLayer(EdgeLayer):
    """Maps (N, in_features) to (N, out_features); no norm, so each point's output is its own.

    Args:
        mother: psi.
        spec: the options.
        in_features: I.
        out_features: O.
        position: where the layer stands; decides the start values.

    The scale is kept as log_dilation = -log s, so that no division can meet s = 0.
    """

    def __init__(self, mother: Mother, spec: WaveletSpec, in_features: int, out_features: int, position: Position):
        super().__init__()
        self.mother, self.rule = mother, edges.WaveletRule(mother)
        self.compile_saving_s = COMPILE_SAVING_S.get(mother.__name__, 0.0)
        shape = (out_features, in_features)
        self.shift = nn.Parameter(torch.zeros(shape))
        self.log_dilation = nn.Parameter(torch.zeros(shape))
        self.weight = nn.Parameter(torch.empty(shape))
        self.bias = nn.Parameter(torch.zeros(out_features)) if spec.bias else None
        if spec.spread:
            reach = 1.0 if position == "first" else 2.0
            nn.init.uniform_(self.shift, -reach, reach)
            if position == "first":
                nn.init.uniform_(self.log_dilation, 0.0, math.log(spec.finest))
        if spec.scale == "published":
            nn.init.uniform_(self.weight, -1 / math.sqrt(in_features), 1 / math.sqrt(in_features))
        elif not self.weight.is_meta:  # There are no values where only the parameters are counted.
            found = start_moments_of_rows(spec, position, self._wavelets, out_features, in_features, PANELS)
            nn.init.normal_(self.weight, 0.0, start_std(spec, found, in_features, out_features, count=1, terms=1))
            if self.bias is not None and centres(spec):
                with torch.no_grad():
                    self.bias.sub_((self.weight * found.mean).sum(dim=1))

    def _wavelets(self, outputs: slice, x: Tensor) -> Tensor:
        """psi of x, (n,), on the edges to some outputs: (n, outputs, I)."""
        return self.mother(self.log_dilation[outputs].exp() * (x[:, None, None] - self.shift[outputs]))[0]

    @property
    def edge_weights(self) -> Tensor:
        return self.weight

    def forward(self, x: Tensor) -> Tensor:
        """Map x, (N, I), to (N, O)."""
        dilation = self.log_dilation.clamp(-LOG_DILATION_LIMIT, LOG_DILATION_LIMIT).exp()
        y = edges.edge_sum(self.mother, x, dilation, dilation * self.shift, self.weight)
        return y if self.bias is None else y + self.bias


class WaveletBasis(Basis):
    """Makes layers of one mother function."""

    def __init__(self, mother: Mother, spec: WaveletSpec) -> None:
        super().__init__(spec)
        self.mother, self.options = mother, spec

    def layer(self, in_features: int, out_features: int, *, position: Position) -> nn.Module:
        return WaveletLayer(self.mother, self.options, in_features, out_features, position)


mexican_hat = functools.partial(WaveletBasis, mothers.mexican_hat)
morlet = functools.partial(WaveletBasis, mothers.morlet)
dog = functools.partial(WaveletBasis, mothers.dog)
meyer = functools.partial(WaveletBasis, mothers.meyer)
shannon = functools.partial(WaveletBasis, mothers.shannon)
bump = functools.partial(WaveletBasis, mothers.bump)
bump_wavelet = functools.partial(WaveletBasis, mothers.bump_wavelet)
difference_of_gaussians = functools.partial(WaveletBasis, mothers.difference_of_gaussians)
