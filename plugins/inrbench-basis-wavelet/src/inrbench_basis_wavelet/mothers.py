"""The mother functions. Each takes u, any shape, and returns psi(u) and a function that gives psi'(u).

The derivative comes apart because only the backward pass needs it, and shares what psi has computed.
All are finite with finite derivatives for every |u| up to 1e9, in float32 too.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

Values = tuple[Tensor, Callable[[], Tensor]]
Mother = Callable[[Tensor], Values]

MORLET_OMEGA = 5.0
GAUSSIAN_RATIO = 1.6
# Below this angle sin(a)/a and its derivative come from their series.
SERIES_BELOW = 0.3
SERIES_TERMS = {torch.float64: 7}  # of sin(a)/a: the next term is below 1e-18, and with 4 below 1e-9


def _sinc(angle: Tensor) -> Values:
    """sin(a)/a, in radians. torch.sinc loses all digits of its derivative near 0 in float32."""
    small = angle.abs() < SERIES_BELOW
    square = torch.where(small, angle, 0.0).square()
    safe = torch.where(small, 1.0, angle)
    series = [(-1.0) ** k / math.factorial(2 * k + 1) for k in range(SERIES_TERMS.get(angle.dtype, 4))]
    value = torch.where(small, _polynomial(square, series), safe.sin() / safe)

    def slope() -> Tensor:
        inner = angle * _polynomial(square, [2 * k * series[k] for k in range(1, len(series))])
        return torch.where(small, inner, (safe.cos() - value) / safe)

    return value, slope


def _polynomial(x: Tensor, coefficients: list[float]) -> Tensor:
    """coefficients[0] + coefficients[1] x + ..., of two coefficients or more."""
    total = coefficients[-1] * x + coefficients[-2]
    for coefficient in reversed(coefficients[:-2]):
        total = total * x + coefficient
    return total


def mexican_hat(u: Tensor) -> Values:
    """2/(sqrt(3) pi^(1/4)) (1 - u^2) exp(-u^2/2)."""
    square = u.square()
    bell = 2 / (math.sqrt(3) * math.pi**0.25) * torch.exp(-0.5 * square)
    return bell * (1 - square), lambda: bell * u * (square - 3)


def morlet(u: Tensor) -> Values:
    """c pi^(-1/4) exp(-u^2/2) (cos(w u) - exp(-w^2/2)), w = 5.

    c gives the complex wavelet unit norm; this, its real part, has half of that energy.
    """
    w = MORLET_OMEGA
    norm = math.pi**-0.25 / math.sqrt(1 + math.exp(-w * w) - 2 * math.exp(-0.75 * w * w))
    bell = norm * torch.exp(-0.5 * u.square())
    value = bell * (torch.cos(w * u) - math.exp(-0.5 * w * w))
    return value, lambda: -w * bell * torch.sin(w * u) - u * value


def dog(u: Tensor) -> Values:
    """-sqrt(2)/pi^(1/4) u exp(-u^2/2)."""
    bell = -math.sqrt(2) / math.pi**0.25 * torch.exp(-0.5 * u.square())
    value = bell * u
    return value, lambda: torch.addcmul(bell, value, u, value=-1)


def meyer(u: Tensor) -> Values:
    """Meyer's wavelet about 0 for the auxiliary function nu(x) = x.

    With theta = 2 pi u/3, S(a) = sin(a)/a, and over both signs, the sum of
    (1 +- 2 sin theta) S(theta +- pi/2)/3 and 2 sin(3 phi) S(phi)/3, phi = pi/4 +- theta:
    the closed form of Valenzuela and de Oliveira without its removable singularities.
    """
    theta = 2 * math.pi / 3 * u
    wave, slope_wave = theta.sin(), theta.cos()
    parts = []
    value: Tensor | float = 0.0
    for sign in (1.0, -1.0):
        phi = math.pi / 4 + sign * theta
        outer, outer_slope = _sinc(theta + sign * math.pi / 2)
        inner, inner_slope = _sinc(phi)
        sine = torch.sin(3 * phi)
        value = value + (1 + 2 * sign * wave) * outer / 3 + 2 / 3 * sine * inner
        parts.append((sign, phi, outer, outer_slope, inner, inner_slope, sine))

    def slope() -> Tensor:
        total: Tensor | float = 0.0
        for sign, phi, outer, outer_slope, inner, inner_slope, sine in parts:
            total = total + 2 / 3 * sign * slope_wave * outer + (1 + 2 * sign * wave) / 3 * outer_slope()
            total = total + sign * (2 * torch.cos(3 * phi) * inner + 2 / 3 * sine * inner_slope())
        return 2 * math.pi / 3 * total

    return value, slope


def shannon(u: Tensor) -> Values:
    """2 sinc(2u) - sinc(u) = sinc(u/2) cos(3 pi u/2)."""
    half = 0.5 * math.pi * u
    window, window_slope = _sinc(half)
    wave = torch.cos(3 * half)
    return window * wave, lambda: math.pi / 2 * (window_slope() * wave - 3 * window * torch.sin(3 * half))


def _bump(u: Tensor) -> tuple[Tensor, Tensor]:
    # 1 - u^2 is held above 0.01, where the value is 1e-43, before anything is divided by it:
    # selecting afterwards alone would leave inf * 0 outside the support.
    q = (1 - u.square()).clamp_min(0.01)
    return torch.where(u.abs() < 1, torch.exp(1 - 1 / q), 0.0), q


def bump(u: Tensor) -> Values:
    """exp(1 - 1/(1 - u^2)) where |u| < 1, else 0."""
    value, q = _bump(u)
    return value, lambda: -2 * value * u / q.square()


def bump_wavelet(u: Tensor) -> Values:
    """The derivative of bump."""
    bell, q = _bump(u)
    inner = -2 * u / q.square()
    value = bell * inner
    return value, lambda: value * inner - bell * (2 / q.square() + torch.where(bell > 0, 8 * u.square() / q**3, 0.0))


def difference_of_gaussians(u: Tensor) -> Values:
    """(exp(-u^2/2) - exp(-u^2/(2 q^2))/q)/sqrt(2 pi), q = 1.6."""
    q = GAUSSIAN_RATIO
    square = u.square()
    narrow = torch.exp(-0.5 * square) / math.sqrt(2 * math.pi)
    wide = torch.exp(-0.5 / q**2 * square) / (q * math.sqrt(2 * math.pi))
    return narrow - wide, lambda: u * (wide / q**2 - narrow)
