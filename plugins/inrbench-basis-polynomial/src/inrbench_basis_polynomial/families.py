"""The families: each is the rule of its recurrence (DLMF chapter 18, unless said)."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from inrbench_basis_polynomial.plugin import GegenbauerSpec, JacobiSpec, LaguerreSpec
from inrbench_basis_polynomial.recurrence import RecurrenceBasis
from inrbench_core import NativeFunctions


class Chebyshev(RecurrenceBasis):
    """Chebyshev polynomials of the first kind T_n."""

    def step(self, n: int) -> tuple[float, float, float]:
        return (1.0 if n == 1 else 2.0), 0.0, -1.0


class Chebyshev2(RecurrenceBasis):
    """Chebyshev polynomials of the second kind U_n."""

    def step(self, n: int) -> tuple[float, float, float]:
        return 2.0, 0.0, -1.0


class Legendre(RecurrenceBasis):
    """Legendre polynomials P_n."""

    def step(self, n: int) -> tuple[float, float, float]:
        return (2 * n - 1) / n, 0.0, -(n - 1) / n


class Jacobi(RecurrenceBasis):
    """Jacobi polynomials P_n^(alpha, beta)."""

    def __init__(self, spec: JacobiSpec) -> None:
        super().__init__(spec)
        self.alpha, self.beta = spec.alpha, spec.beta

    def step(self, n: int) -> tuple[float, float, float]:
        alpha, beta = self.alpha, self.beta
        if n == 1:
            return (alpha + beta + 2) / 2, (alpha - beta) / 2, 0.0
        m = 2 * n + alpha + beta
        scale = 2 * n * (n + alpha + beta) * (m - 2)
        return (
            (m - 1) * m * (m - 2) / scale,
            (m - 1) * (alpha**2 - beta**2) / scale,
            -2 * (n + alpha - 1) * (n + beta - 1) * m / scale,
        )


class Gegenbauer(RecurrenceBasis):
    """Gegenbauer (ultraspherical) polynomials C_n^(alpha).

    At the default alpha they are tens of times as large at the ends of [-1, 1] as in the middle. As they are
    (`normalize: none`) they want small steps; centred and scaled to unit variance, the default, they learn at the
    rates of the others: 27.6 dB in place of 17.1, chebyshev 30.2 (camera, 32 x 32, 150 steps, `tests/learning.py`).
    """

    def __init__(self, spec: GegenbauerSpec) -> None:
        super().__init__(spec)
        self.alpha = spec.alpha

    def step(self, n: int) -> tuple[float, float, float]:
        return 2 * (n + self.alpha - 1) / n, 0.0, -(n + 2 * self.alpha - 2) / n


class Hermite(RecurrenceBasis):
    """Hermite polynomials H_n, as physicists define them."""

    def step(self, n: int) -> tuple[float, float, float]:
        return 2.0, 0.0, -2.0 * (n - 1)


class HermiteFunctions(RecurrenceBasis):
    """Hermite functions H_n(x) exp(-x^2/2) / sqrt(2^n n! sqrt(pi)): orthonormal on the line, bounded."""

    native_start = 1.0, math.pi**-0.25

    def start(self, x: Tensor) -> Tensor:
        return math.pi**-0.25 * torch.exp(-0.5 * x.square())

    def step(self, n: int) -> tuple[float, float, float]:
        return math.sqrt(2 / n), 0.0, -math.sqrt((n - 1) / n)


class Laguerre(RecurrenceBasis):
    """Generalised Laguerre polynomials L_n^(alpha); with softplus, exp(-s/2) L_n^(alpha)(s), s = softplus(x).

    The functions of the half line fit better: 23.6 dB, and 23.1 on pixels held out, where the polynomials reach 20.3
    and 20.2 (camera and coffee, 128 x 128, 50,000 parameters, 500 steps).
    """

    def __init__(self, spec: LaguerreSpec) -> None:
        super().__init__(spec)
        self.alpha = spec.alpha
        self.half_line = spec.domain == "softplus"

    def expand(self, x: Tensor) -> Tensor:
        # The map belongs here, not into `domain`: the start values are scaled by a quadrature of `expand`
        # over [-1, 1], which must see the half line that the functions are meant for.
        return super().expand(functional.softplus(x) if self.half_line else x)

    def native(self) -> NativeFunctions | None:
        return None if self.half_line else super().native()

    def start(self, x: Tensor) -> Tensor:
        return torch.exp(-0.5 * x) if self.half_line else super().start(x)

    def step(self, n: int) -> tuple[float, float, float]:
        return -1 / n, (2 * n - 1 + self.alpha) / n, -(n - 1 + self.alpha) / n


class Bessel(RecurrenceBasis):
    """Bessel polynomials y_n (Krall and Frink 1949); not the Bessel functions.

    All of them grow towards 1, so that they are nearly alike: even of unit RMS their Gram matrix has the condition
    number 1,300 at degree 4, of unit variance 610, legendre's 1. They span the same functions, and reach 23.2 dB where
    legendre reaches 29.5 (camera, 32 x 32, 150 steps, `tests/learning.py`).
    """

    def step(self, n: int) -> tuple[float, float, float]:
        return (1.0, 1.0, 0.0) if n == 1 else (2.0 * n - 1.0, 0.0, 1.0)


class Fibonacci(RecurrenceBasis):
    """Fibonacci polynomials F_1, ..., F_{d+1}; F_0 = 0 would be a function that never trains.

    They are far from orthogonal, and none has a zero but at 0: as they are (`normalize: none`), large steps add up and
    drive the next layer's tanh into saturation. Centred and scaled to unit variance, the default, they reach 25.8 dB in
    place of 19.2, chebyshev 30.2 (camera, 32 x 32, 150 steps, `tests/learning.py`).
    """

    def step(self, n: int) -> tuple[float, float, float]:
        return 1.0, 0.0, 1.0


class Lucas(RecurrenceBasis):
    """Lucas polynomials L_n, which start at the constant 2.

    They are as far from orthogonal as fibonacci's: centred and scaled they reach 25.9 dB in place of 18.9 (same fit).
    """

    native_start = 0.0, 2.0

    def start(self, x: Tensor) -> Tensor:
        return torch.full_like(x, 2.0)

    def step(self, n: int) -> tuple[float, float, float]:
        return (0.5 if n == 1 else 1.0), 0.0, 1.0


class Taylor(RecurrenceBasis):
    """Monomials x^n."""

    def step(self, n: int) -> tuple[float, float, float]:
        return 1.0, 0.0, 0.0
