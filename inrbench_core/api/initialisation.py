"""Linear layers with the initialisations that the literature gives names to.

Weights only; biases stay torch's default, U(-1/sqrt(in), 1/sqrt(in)). All draw from torch's global
generator, which the fit engine seeds for the purpose.
"""

from __future__ import annotations

import math

from torch import nn


def uniform_linear(in_features: int, out_features: int, bound: float) -> nn.Linear:
    """A linear layer with weights U(-bound, bound)."""
    layer = nn.Linear(in_features, out_features)
    nn.init.uniform_(layer.weight, -bound, bound)
    return layer


def normal_linear(in_features: int, out_features: int, std: float) -> nn.Linear:
    """A linear layer with weights N(0, std)."""
    layer = nn.Linear(in_features, out_features)
    nn.init.normal_(layer.weight, 0.0, std)
    return layer


def kaiming_linear(in_features: int, out_features: int, gain: float = math.sqrt(2.0)) -> nn.Linear:
    """Weights N(0, gain/sqrt(in)): Kaiming normal, for ReLU by default (He et al. 2015, arXiv:1502.01852)."""
    return normal_linear(in_features, out_features, gain / math.sqrt(in_features))


def siren_linear(in_features: int, out_features: int, omega: float, *, first: bool) -> nn.Linear:
    """SIREN's scheme: U(±1/in) in the first layer, U(±sqrt(6/in)/omega) after (arXiv:2006.09661)."""
    bound = 1.0 / in_features if first else math.sqrt(6.0 / in_features) / omega
    return uniform_linear(in_features, out_features, bound)
