"""The one engine behind all polynomial bases: a three-term recurrence."""

from __future__ import annotations

from abc import abstractmethod
from pathlib import Path

import torch
from torch import Tensor

from inrbench_basis_polynomial.plugin import PolynomialSpec
from inrbench_core import ExpansionBasis, NativeFunctions

SOURCE = Path(__file__).with_name("recurrence.cpp")


class RecurrenceBasis(ExpansionBasis):
    """p_0, ..., p_d with p_n = (a_n x + b_n) p_{n-1} + c_n p_{n-2}, and p_{-1} = 0.

    A family gives `step` and, unless p_0 is 1, `start` and `native_start`. No trigonometry is involved: the arccos
    form of the Chebyshev polynomials has NaN gradients where tanh rounds to 1.
    """

    # p_0 for C++: whether it is a constant or that times exp(-x^2/2), and the constant.
    native_start: tuple[float, float] = (0.0, 1.0)

    def __init__(self, spec: PolynomialSpec) -> None:
        super().__init__(spec)
        self.degree = spec.degree
        self.size = spec.degree + 1

    @abstractmethod
    def step(self, n: int) -> tuple[float, float, float]:
        """The coefficients (a_n, b_n, c_n), n >= 1; c_1 is not used."""

    def start(self, x: Tensor) -> Tensor:
        """p_0 at x; same shape as x."""
        return torch.ones_like(x)

    def expand(self, x: Tensor) -> Tensor:
        """All functions at x: (N, I) -> (N, I, degree + 1)."""
        terms = [self.start(x)]
        factors: dict[tuple[float, float], Tensor] = {}  # Many families have the same one in all steps.
        for n in range(1, self.size):
            a, b, c = self.step(n)
            if (a, b) not in factors:
                factors[a, b] = x if (a, b) == (1.0, 0.0) else a * x if b == 0.0 else a * x + b
            term = factors[a, b] * terms[-1]
            if n > 1 and c != 0:
                term = torch.add(term, terms[-2], alpha=c)
            terms.append(term)
        return torch.stack(terms, dim=1).transpose(1, 2)

    def native(self) -> NativeFunctions | None:
        steps = [float(number) for n in range(1, self.size) for number in self.step(n)]
        return NativeFunctions(SOURCE, "recurrence", (*self.native_start, *steps))
