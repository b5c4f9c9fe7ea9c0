"""How KAN layers start: the standard deviations of coefficients, from moments of the functions that they multiply.

A layer is y_o = b_o + sum over i and t of C[o, i, t] f_t(x_i), of T terms f_t for each of I inputs: the functions of
the basis, taken behind the map of its domain, and silu where there is a branch. V is a mean of the variances of terms
over x, D one of E[f'(x)^2].

Moments are computed by quadrature over x. Where a basis overrides `domain`, which may then mix the inputs of a layer,
they are means over 1024 points with independent inputs, and f'(x)^2 is a sum over the inputs.

unit: Var[y] = 1, of which a silu branch gives one half; std^2 = share / (I count V) for `count` terms. x is U(-1, 1) in
the first layer and N(0, 1), what such layers give, in later ones.

The others follow Rigas et al., "Initialization Schemes for Kolmogorov-Arnold Networks" (2025, arXiv:2509.03417), as
their library srigas/jaxKAN (layers/Spline.py) computes them, with x uniform on [-1, 1] in all layers:

- lecun: Var[y] = Var[x] = 1/3, the same from each term; std^2 = 1 / (3 I T V).
- glorot: the same between the forward and the backward pass; std^2 = 2 / (3 T (I V + O D)).
- power: std = (I T)^-exponent, by default 1.75 for the functions and 0.25 for silu, as in their experiments.

V and D belong to the functions or to silu, whichever the coefficients multiply. What differs from their library:

- V is a variance, theirs is E[f^2], which also counts what only shifts the output;
- the bias of unit, lecun and glorot, if there is one, cancels the means of the terms, so that E[y] = 0; theirs is 0;
- moments are computed as above, theirs from a random sample;
- the exponent of power is 0.5 where there is no silu branch, the default of jaxKAN: at 1.75, chosen for layers with
  one, functions alone carry no signal through several layers.

Their LeCun start with normalised functions is `scale: lecun, normalize: variance` here, by moments over the interval of
the functions in place of those of a batch.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import astuple, dataclass

import numpy as np
import torch
from torch import Tensor

from inrbench_core.api.components import Position
from inrbench_core.api.spec import BasisSpec

QUADRATURE_POINTS = 64
DIFFERENCE = 1e-5
# Of x in float32, whose rounding a smaller difference would show.
SAMPLED_DIFFERENCE = 1e-3
SAMPLED_POINTS, SAMPLED_PARTS = 1024, 16
FUNCTIONS_AT_A_TIME = 1 << 14
# Of x uniform on [-1, 1].
INPUT_VARIANCE = 1.0 / 3.0
# Below it, relative to the mean square, a variance is that of a constant.
LEAST_VARIANCE = 1e-12


@dataclass(frozen=True)
class Moments:
    """Of functions of one variable x; each of their shape, float64.

    Args:
        mean: E[f(x)].
        square: E[f(x)^2].
        slope: E[f'(x)^2], or zeros where it was not asked for.
    """

    mean: Tensor
    square: Tensor
    slope: Tensor

    @property
    def variance(self) -> Tensor:
        """Var[f(x)]; 0 of what is constant but for rounding."""
        variance = self.square - self.mean.square()
        return torch.where(variance > LEAST_VARIANCE * self.square, variance, 0.0)


def moments(
    functions: Callable[[Tensor], Tensor],
    panels: int = 1,
    *,
    reach: float = 1.0,
    normal: bool = False,
    slopes: bool = False,
) -> Moments:
    """Moments of functions by Gauss-Legendre quadrature in float64.

    Args:
        functions: maps points, (n,), to values, (n, ...).
        panels: equal parts of the interval with 64 points each; narrow functions need several.
        reach: x is uniform on [-reach, reach]; ignored where `normal`.
        normal: x is N(0, 1), by its quantiles.
        slopes: whether the derivatives are wanted, by differences.
    """
    nodes, weights = (torch.from_numpy(array) for array in np.polynomial.legendre.leggauss(QUADRATURE_POINTS))
    parts = []
    with torch.no_grad():
        for panel in range(panels):
            share = (nodes + 1.0 + 2.0 * panel) / (2.0 * panels)
            x = torch.special.ndtri(share) if normal else reach * (2.0 * share - 1.0)
            values = functions(x).double()
            slope = torch.zeros_like(values)
            if slopes:
                slope = (functions(x + DIFFERENCE) - functions(x - DIFFERENCE)).double() / (2.0 * DIFFERENCE)
            found = torch.stack([values, values.square(), slope.square()])
            parts.append(torch.tensordot(found.movedim(1, -1), weights / (2.0 * panels), dims=1))
    return Moments(*torch.stack(parts).sum(dim=0))


def sampled_moments(
    functions: Callable[[Tensor], Tensor], in_features: int, *, normal: bool = False, slopes: bool = False
) -> Moments:
    """Moments of functions that may depend on all inputs of a layer; each (in_features, K).

    Means over 1024 points, the same in every call: an input takes each of 1024 quantiles once, in an order of its own.

    Args:
        functions: maps inputs, (n, in_features), to values, (n, in_features, K).
        in_features: number of inputs, independent of each other.
        normal: they are N(0, 1), else uniform on [-1, 1].
        slopes: whether E[sum over inputs j of (df/dx_j)^2] is wanted: by differences in directions of random signs,
            whose squares have this mean.
    """
    generator = torch.Generator().manual_seed(0)
    order = torch.rand(SAMPLED_POINTS, in_features, generator=generator).argsort(dim=0)
    share = (order.double() + 0.5) / SAMPLED_POINTS
    signs = torch.randint(0, 2, order.shape, generator=generator) * 2.0 - 1.0
    # In the dtype of parameters: a map that has some, such as a LayerNorm, takes no other.
    inputs = (torch.special.ndtri(share) if normal else 2.0 * share - 1.0).to(signs.dtype)
    parts = []
    with torch.no_grad():
        for x, shift in zip(inputs.chunk(SAMPLED_PARTS), signs.chunk(SAMPLED_PARTS), strict=True):
            values = functions(x).double()
            slope = torch.zeros_like(values)
            if slopes:
                ahead, behind = functions(x + SAMPLED_DIFFERENCE * shift), functions(x - SAMPLED_DIFFERENCE * shift)
                slope = (ahead - behind).double() / (2.0 * SAMPLED_DIFFERENCE)
            parts.append(torch.stack([values, values.square(), slope.square()]).mean(dim=1))
    return Moments(*torch.stack(parts).mean(dim=0))


def start_moments(
    spec: BasisSpec,
    position: Position,
    functions: Callable[[Tensor], Tensor],
    panels: int = 1,
    *,
    in_features: int | None = None,
) -> Moments:
    """The moments that `start_std` takes, for inputs as `spec.scale` assumes them.

    See `moments` or, of functions of all `in_features` inputs where these are given, `sampled_moments`.
    """
    normal, slopes = spec.scale == "unit" and position != "first", spec.scale == "glorot"
    if in_features is not None:
        return sampled_moments(functions, in_features, normal=normal, slopes=slopes)
    return moments(functions, panels, normal=normal, slopes=slopes)


def start_moments_of_rows(
    spec: BasisSpec,
    position: Position,
    functions: Callable[[slice, Tensor], Tensor],
    rows: int,
    row_size: int,
    panels: int = 1,
) -> Moments:
    """As `start_moments`, (rows, row_size), of functions that take some rows at a time, so that memory is bounded.

    Args:
        functions: maps a slice of the rows and points, (n,), to values, (n, rows of the slice, row_size).
    """
    size = max(1, FUNCTIONS_AT_A_TIME // row_size)
    parts = []
    for start in range(0, rows, size):
        some = slice(start, start + size)
        parts.append(astuple(start_moments(spec, position, functools.partial(functions, some), panels)))
    return Moments(*map(torch.cat, zip(*parts, strict=True)))


def centres(spec: BasisSpec) -> bool:
    """Whether the bias starts at what cancels the means."""
    return spec.scale in ("unit", "lecun", "glorot")


def start_std(
    spec: BasisSpec,
    found: Moments,
    in_features: int,
    out_features: int,
    *,
    count: int,
    terms: int,
    share: float = 1.0,
    exponent: float | None = None,
) -> float:
    """The standard deviation at the start, of any `scale` but published.

    Args:
        spec: its `scale`, and its `exponent` for power.
        found: moments of the functions that the coefficients multiply; V and D are their means.
        in_features: I.
        out_features: O.
        count: how many functions of one input these coefficients multiply.
        terms: T, all of the layer.
        share: of the output variance, for unit.
        exponent: in place of the spec's.
    """
    if spec.scale == "power":
        default = 0.5 if count == terms else 1.75
        exponent = spec.exponent if exponent is None else exponent
        return float((in_features * terms) ** -(default if exponent is None else exponent))
    variance, slope = found.variance.mean().item(), found.slope.mean().item()
    # Constants alone have none.
    variance = variance if variance > 0.0 else found.square.mean().item()
    if spec.scale == "unit":
        return math.sqrt(share / (in_features * count * variance))
    if spec.scale == "lecun":
        return math.sqrt(INPUT_VARIANCE / (in_features * terms * variance))
    return math.sqrt(2.0 * INPUT_VARIANCE / (terms * (in_features * variance + out_features * slope)))
