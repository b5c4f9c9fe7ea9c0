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
# Below this angle sin(a)/a and its derivative come from their series, which six terms give to 1e-15.
SERIES_BELOW = 0.3


def _sinc(t: Tensor) -> Values:
    """sin(pi t)/(pi t). torch.sinc loses all digits of its derivative near 0 in float32."""
    angle = math.pi * t
    small = angle.abs() < SERIES_BELOW
    square = torch.where(small, angle, 0.0).square()
    safe = torch.where(small, 1.0, angle)
    series = [(-1.0) ** k / math.factorial(2 * k + 1) for k in range(7)]
    value = torch.where(small, _polynomial(square, series), safe.sin() / safe)

    def slope() -> Tensor:
        # d/da of the series is a times a series in a^2.
        inner = angle * _polynomial(square, [2 * k * series[k] for k in range(1, 7)])
        return math.pi * torch.where(small, inner, (safe.cos() - value) / safe)

    return value, slope


def _polynomial(x: Tensor, coefficients: list[float]) -> Tensor:
    total = torch.full_like(x, coefficients[-1])
    for coefficient in reversed(coefficients[:-1]):
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
    """Meyer's wavelet about 0 for the auxiliary function nu(x) = x, a sum of sinc functions."""
    value: Tensor | float = 0.0
    slopes: list[Callable[[], Tensor]] = []
    for sign in (1.0, -1.0):
        shifted = u + sign * 0.75
        b = 0.375 + sign * u
        wide, wide_slope = _sinc(4 / 3 * shifted)
        narrow, narrow_slope = _sinc(2 / 3 * shifted)
        window, window_slope = _sinc(2 * b)
        angle = 2 * math.pi / 3 * b
        wave = angle.sin()
        value = value - 2 / 3 * wide + 1 / 3 * narrow + 2 * window * wave

        def slope(
            sign=sign, angle=angle, wave=wave, window=window, parts=(wide_slope, narrow_slope, window_slope)
        ) -> Tensor:
            wide, narrow, inner = (part() for part in parts)
            product = 2 * inner * wave + 2 * math.pi / 3 * window * angle.cos()
            return -8 / 9 * wide + 2 / 9 * narrow + 2 * sign * product

        slopes.append(slope)
    return value, lambda: slopes[0]() + slopes[1]()


def shannon(u: Tensor) -> Values:
    """2 sinc(2u) - sinc(u) = sinc(u/2) cos(3 pi u/2)."""
    window, window_slope = _sinc(0.5 * u)
    angle = 1.5 * math.pi * u
    wave = angle.cos()
    return window * wave, lambda: 0.5 * window_slope() * wave - 1.5 * math.pi * window * angle.sin()


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
