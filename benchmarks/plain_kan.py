"""KAN layers written as their formulas read: every term of every edge and every point is in memory at once.

`plain` makes such a twin of one of our layers, with the same parameters, so the two must agree. It is
what `kan_layers.py` measures our layers against.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

Functions = Callable[[Tensor, nn.Module], Tensor]


class PlainExpansion(nn.Module):
    """y_o = sum over i, k of C[o, i, k] phi_k(x_i), with all of (N, out, in, K) at once."""

    def __init__(self, layer: nn.Module, functions: Functions) -> None:
        super().__init__()
        self.layer, self.functions = layer, functions

    def forward(self, x: Tensor) -> Tensor:
        layer = self.layer
        phi = self.functions(layer.basis.domain(x, layer.position), layer.basis)
        if layer.inverse_rms is not None:
            phi = phi * layer.inverse_rms
        y = (phi.unsqueeze(1) * layer.coefficients).sum(dim=(2, 3))
        if layer.bias is not None:
            y = y + layer.bias
        return y if layer.base is None else y + layer.base(functional.silu(x))


class PlainWavelet(nn.Module):
    """y_o = b_o + sum over i of w[o, i] psi((x_i - t[o, i]) / s[o, i]), with all of (N, out, in) at once."""

    def __init__(self, layer: nn.Module, mother: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.layer, self.mother = layer, mother

    def forward(self, x: Tensor) -> Tensor:
        layer = self.layer
        u = (x.unsqueeze(1) - layer.shift) / torch.exp(-layer.log_dilation)
        return (layer.weight * self.mother(u)).sum(dim=2) + layer.bias


class PlainFcn(nn.Module):
    """y_o = b_o + sum over i of w2[i, o] . silu(W1[i, o] f(x_i) + b1[i, o]), with all of it at once."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        layer = self.layer
        octaves = [2.0**j * x for j in range(layer.sinusoids)]
        seen = torch.stack([x, *map(torch.sin, octaves), *map(torch.cos, octaves)], dim=2)
        inner = (layer.inner_weight * seen[:, :, None, None, :]).sum(dim=4) + layer.inner_bias
        return (layer.outer_weight * functional.silu(inner)).sum(dim=(1, 3)) + layer.bias


def bspline(x: Tensor, basis: nn.Module) -> Tensor:
    """Cox-de Boor's recursion over the knots."""
    h, order = 2.0 / basis.grid, basis.order
    t = torch.arange(-order, basis.grid + order + 1, dtype=x.dtype) * h - 1.0
    x = x.unsqueeze(2)
    b = ((x >= t[:-1]) & (x < t[1:])).to(x.dtype)
    for p in range(1, order + 1):
        rising = (x - t[: -p - 1]) / (t[p:-1] - t[: -p - 1]) * b[..., :-1]
        b = rising + (t[p + 1 :] - x) / (t[p + 1 :] - t[1:-p]) * b[..., 1:]
    return b


def fourier(x: Tensor, basis: nn.Module) -> Tensor:
    angles = x.unsqueeze(2) * torch.arange(1, basis.grid + 1, dtype=x.dtype)
    return torch.cat([torch.cos(angles), torch.sin(angles)], dim=2)


def rbf(x: Tensor, basis: nn.Module) -> Tensor:
    centres = torch.linspace(-basis.reach, basis.reach, basis.size)
    return torch.exp(-(((x.unsqueeze(2) - centres) / (2.0 * basis.reach / (basis.size - 1))) ** 2))


def hats(x: Tensor, basis: nn.Module) -> Tensor:
    nodes = torch.linspace(-basis.reach, basis.reach, basis.size)
    return torch.relu(1.0 - (x.unsqueeze(2) - nodes).abs() / (2.0 * basis.reach / (basis.size - 1)))


def chebyshev(x: Tensor, basis: nn.Module) -> Tensor:
    """cos(n arccos x); the clamp keeps its gradient from being infinite at the ends."""
    angle = torch.arccos(x.clamp(-1.0 + 1e-6, 1.0 - 1e-6))
    return torch.cos(angle.unsqueeze(2) * torch.arange(basis.size, dtype=x.dtype))


def chebyshev2(x: Tensor, basis: nn.Module) -> Tensor:
    """sin((n + 1) a) / sin(a), a = arccos x."""
    angle = torch.arccos(x.clamp(-1.0 + 1e-6, 1.0 - 1e-6)).unsqueeze(2)
    return torch.sin(angle * torch.arange(1, basis.size + 1, dtype=x.dtype)) / torch.sin(angle)


def polynomials(first: Callable[[Tensor, nn.Module], list[Tensor]], following: Callable[..., Tensor]) -> Functions:
    """p_0 and p_1 as given, then p_n from n, x, p_{n-1} and p_{n-2}."""

    def functions(x: Tensor, basis: nn.Module) -> Tensor:
        terms = first(x, basis)
        for n in range(2, basis.size):
            terms.append(following(n, x, terms[-1], terms[-2], basis.options))
        return torch.stack(terms[: basis.size], dim=2)

    return functions


def jacobi_step(n: int, x: Tensor, one: Tensor, two: Tensor, options: object) -> Tensor:
    a, b = options.alpha, options.beta  # type: ignore[attr-defined]
    s = 2 * n + a + b
    inner = (s - 1) * (s * (s - 2) * x + a * a - b * b) * one - 2 * (n + a - 1) * (n + b - 1) * s * two
    return inner / (2 * n * (n + a + b) * (s - 2))


POLYNOMIALS: dict[str, Functions] = {
    "legendre": polynomials(
        lambda x, _: [torch.ones_like(x), x], lambda n, x, p, q, _: ((2 * n - 1) * x * p - (n - 1) * q) / n
    ),
    "jacobi": polynomials(
        lambda x, basis: [
            torch.ones_like(x),
            ((basis.options.alpha - basis.options.beta) + (basis.options.alpha + basis.options.beta + 2) * x) / 2,
        ],
        jacobi_step,
    ),
    "gegenbauer": polynomials(
        lambda x, basis: [torch.ones_like(x), 2 * basis.options.alpha * x],
        lambda n, x, p, q, options: (2 * (n + options.alpha - 1) * x * p - (n + 2 * options.alpha - 2) * q) / n,
    ),
    "hermite": polynomials(lambda x, _: [torch.ones_like(x), 2 * x], lambda n, x, p, q, _: 2 * x * p - 2 * (n - 1) * q),
    "laguerre": polynomials(
        lambda x, basis: [torch.ones_like(x), 1 + basis.options.alpha - x],
        lambda n, x, p, q, options: ((2 * n - 1 + options.alpha - x) * p - (n - 1 + options.alpha) * q) / n,
    ),
    "bessel": polynomials(lambda x, _: [torch.ones_like(x), x + 1], lambda n, x, p, q, _: (2 * n - 1) * x * p + q),
    "fibonacci": polynomials(lambda x, _: [torch.ones_like(x), x], lambda n, x, p, q, _: x * p + q),
    "lucas": polynomials(lambda x, _: [torch.full_like(x, 2.0), x], lambda n, x, p, q, _: x * p + q),
}
EXPANSIONS: dict[str, Functions] = {
    "bspline": bspline,
    "fourier": fourier,
    "grbf": rbf,
    "rbf": rbf,
    "fcn_interpolation": hats,
    "chebyshev": chebyshev,
    "chebyshev2": chebyshev2,
    **POLYNOMIALS,
}


def morlet(u: Tensor) -> Tensor:
    norm = math.pi**-0.25 / math.sqrt(1 + math.exp(-25) - 2 * math.exp(-18.75))
    return norm * torch.exp(-(u**2) / 2) * (torch.cos(5 * u) - math.exp(-12.5))


def meyer(u: Tensor) -> Tensor:
    total = torch.zeros_like(u)
    for sign in (1.0, -1.0):
        centre, b = u + 0.75 * sign, 0.375 + sign * u
        total = total - 2 / 3 * torch.sinc(4 / 3 * centre) + 1 / 3 * torch.sinc(2 / 3 * centre)
        total = total + 2 * torch.sinc(2 * b) * torch.sin(2 * math.pi * b / 3)
    return total


def bump(u: Tensor) -> Tensor:
    # As it reads, 1 / (1 - u^2) would make NaN of every gradient at |u| = 1.
    return torch.where(u.abs() < 1, torch.exp(1 - 1 / (1 - u**2).clamp_min(0.01)), 0.0)


MOTHERS: dict[str, Callable[[Tensor], Tensor]] = {
    "mexican_hat": lambda u: 2 / (math.sqrt(3) * math.pi**0.25) * (1 - u**2) * torch.exp(-(u**2) / 2),
    "morlet": morlet,
    "dog": lambda u: -math.sqrt(2) / math.pi**0.25 * u * torch.exp(-(u**2) / 2),
    "meyer": meyer,
    "shannon": lambda u: 2 * torch.sinc(2 * u) - torch.sinc(u),
    "bump": bump,
}
# The 22 of INR-Bench (arXiv:2510.10188).
BASES = ("fcn", *EXPANSIONS, *MOTHERS)


def plain(name: str, layer: nn.Module) -> nn.Module:
    """The plain twin of a layer of the basis of that name; shares its parameters."""
    if name in EXPANSIONS:
        return PlainExpansion(layer, EXPANSIONS[name])
    return PlainWavelet(layer, MOTHERS[name]) if name in MOTHERS else PlainFcn(layer)
