"""The entries of this distribution. Imports no torch."""

from collections.abc import Iterator
from typing import Literal

from pydantic import Field, field_validator

from inrbench_core import BasisEntry, ExpansionSpec, hookimpl

DEGREE = "highest degree; each edge has degree + 1 coefficients"
X_KANERF = "as in X-KANeRF (github.com/lif314/X-KANeRF, 2024)"


class PolynomialSpec(ExpansionSpec):
    """Polynomials up to a degree."""

    spans_constants = True

    # No identity: of one another, polynomials overflow within a few layers.
    domain: Literal["auto", "tanh"] = Field(
        "auto", description="map of a layer's input: tanh, or auto (identity on coordinates, tanh in later layers)"
    )
    # Beyond 24 the values of the fast-growing families (bessel: 1e36 at 1) come near float32's limit.
    degree: int = Field(4, ge=1, le=24, description=DEGREE)


class ChebyshevSpec(PolynomialSpec):
    """Chebyshev polynomials of the first kind, T_n: all within [-1, 1]."""


class Chebyshev2Spec(PolynomialSpec):
    """Chebyshev polynomials of the second kind, U_n."""


class LegendreSpec(PolynomialSpec):
    """Legendre polynomials P_n: orthogonal for uniform inputs, so the best conditioned."""


class JacobiSpec(PolynomialSpec):
    """Jacobi polynomials, orthogonal under the weight (1 - x)^alpha (1 + x)^beta."""

    degree: int = Field(3, ge=1, le=24, description=DEGREE)
    alpha: float = Field(1.0, gt=-1, le=10, description="exponent of 1 - x in the weight")
    beta: float = Field(1.0, gt=-1, le=10, description="exponent of 1 + x in the weight")


class GegenbauerSpec(PolynomialSpec):
    """Gegenbauer polynomials, orthogonal under the weight (1 - x^2)^(alpha - 1/2)."""

    alpha: float = Field(3.0, gt=-0.5, le=10, description="order; 1/2 gives legendre, 1 chebyshev2; not 0")

    @field_validator("alpha")
    @classmethod
    def _not_zero(cls, alpha: float) -> float:
        if alpha == 0:
            raise ValueError("at alpha 0 all functions but the first vanish; use the basis chebyshev instead")
        return alpha


class HermiteSpec(PolynomialSpec):
    """Hermite polynomials, as physicists define them: orthogonal on the whole line, not on [-1, 1]."""


class HermiteFunctionsSpec(PolynomialSpec):
    """Hermite functions, Hermite polynomials under a Gaussian: bounded and orthonormal on the line."""

    spans_constants = False

    domain: Literal["auto", "identity", "tanh"] = Field(
        "identity", description="map of a layer's input; the functions are bounded, so identity is enough"
    )


class LaguerreSpec(PolynomialSpec):
    """Generalised Laguerre polynomials; orthogonal on the half line, so ill-conditioned without softplus."""

    degree: int = Field(3, ge=1, le=24, description=DEGREE)
    alpha: float = Field(-0.5, gt=-1, le=10, description="order; the weight is x^alpha exp(-x)")
    domain: Literal["auto", "tanh", "softplus"] = Field(  # type: ignore[assignment]
        "auto",
        description="map of a layer's input: tanh, auto (identity on coordinates, tanh in later layers), or softplus, "
        "which goes with the functions exp(-x/2) L_n(x)",
    )


class BesselSpec(PolynomialSpec):
    """Bessel polynomials y_n, which grow like (2n - 1)!!; not the Bessel functions J_n."""

    degree: int = Field(3, ge=1, le=24, description=DEGREE)


class FibonacciSpec(PolynomialSpec):
    """Fibonacci polynomials from F_1 on.

    X-KANeRF's start at F_0 = 0, whose coefficients never train, and pass through a second tanh; neither is done here.
    """


class LucasSpec(PolynomialSpec):
    """Lucas polynomials."""

    degree: int = Field(3, ge=1, le=24, description=DEGREE)


class TaylorSpec(PolynomialSpec):
    """Monomials x^n."""


# name: (options, class in `families`, formula, reference)
FAMILIES: dict[str, tuple[type[PolynomialSpec], str, str, str]] = {
    "chebyshev": (ChebyshevSpec, "Chebyshev", "T_n(x)", "Sidharth et al. 2024, arXiv:2405.07200"),
    "chebyshev2": (Chebyshev2Spec, "Chebyshev2", "U_n(x)", X_KANERF),
    "legendre": (LegendreSpec, "Legendre", "P_n(x)", X_KANERF),
    "jacobi": (JacobiSpec, "Jacobi", "P_n^(alpha, beta)(x)", "github.com/SpaceLearner/JacobiKAN, 2024"),
    "gegenbauer": (GegenbauerSpec, "Gegenbauer", "C_n^(alpha)(x)", X_KANERF),
    "hermite": (HermiteSpec, "Hermite", "H_n(x)", X_KANERF),
    "hermite_functions": (
        HermiteFunctionsSpec,
        "HermiteFunctions",
        "H_n(x) exp(-x^2/2) / sqrt(2^n n! sqrt(pi))",
        "DLMF 18.3, with the weight split evenly",
    ),
    "laguerre": (LaguerreSpec, "Laguerre", "L_n^(alpha)(x)", X_KANERF),
    "bessel": (BesselSpec, "Bessel", "y_n(x)", "Krall and Frink 1949; " + X_KANERF),
    "fibonacci": (FibonacciSpec, "Fibonacci", "F_{n+1}(x)", X_KANERF),
    "lucas": (LucasSpec, "Lucas", "L_n(x)", X_KANERF),
    "taylor": (TaylorSpec, "Taylor", "x^n", "INR-Bench 2025, arXiv:2510.10188"),
}


@hookimpl
def inrbench_bases() -> Iterator[BasisEntry]:
    for name, (spec, target, formula, reference) in FAMILIES.items():
        yield BasisEntry(
            name,
            spec,
            f"inrbench_basis_polynomial.families:{target}",
            reference=reference,
            formula=f"{formula}, n = 0..degree",
            aliases=("chebyshev1",) if name == "chebyshev" else (),
            api=1,
        )
