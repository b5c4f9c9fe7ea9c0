"""The entries of this distribution. Imports no torch."""

from collections.abc import Iterator
from typing import Literal

from pydantic import Field

from inrbench_core import ActivationEntry, ComponentSpec, hookimpl

REFERENCE = "Ramasinghe and Lucey 2021, arXiv:2111.15135"


class BellSpec(ComponentSpec):
    """Options that all bells share."""

    a: float = Field(
        0.1,
        gt=0,
        description="half-width, in units of the pre-activation; 0.1 is for plain coordinates, 1 for encodings",
    )
    learnable: bool = Field(False, description="train a, one for each layer; kept positive by training its logarithm")


class GaussianSpec(BellSpec):
    """Gaussian bell.

    A wide bell predicts better between training points: on plain coordinates a = 0.3 reaches 25.4 dB on pixels held out
    and 0.1 13.5, behind rff a = 1 reaches 24.6 and 0.1 11.1 (camera and coffee, 128 x 128, 50,000 parameters, 500
    steps).
    """

    init: Literal["kaiming", "default"] = Field(
        "kaiming",
        description="weights N(0, sqrt(2/in)), as in INR-Bench, or torch's default, as in WIRE's and FINER's code",
    )


class SuperGaussianSpec(BellSpec):
    """Power of a Gaussian bell, which is a Gaussian of half-width a/sqrt(b)."""

    b: float = Field(1.0, gt=0, description="exponent")


class LaplacianSpec(BellSpec):
    """Two-sided exponential, with a kink at 0.

    Behind an encoding it wants a = 1: with rff it reaches 24.6 dB and 17.2 on pixels held out, at 0.1 14.0 and 11.4;
    plain coordinates want ten times the usual rate, 1e-2: 22.4 dB held out, at 1e-3 15.8 (camera and coffee, 128 x 128,
    50,000 parameters, 500 steps).
    """

    def derivatives(self) -> int | None:
        return 1  # The second one lacks the delta at 0, which holds all of its mean.


class QuadraticSpec(BellSpec):
    """Rational bell of heavy tails.

    Behind an encoding it wants a wider bell: with rff, a = 0.3 reaches 25.9 dB on pixels held out, 3 10.2 (camera and
    coffee, 128 x 128, 50,000 parameters, 500 steps).
    """

    a: float = Field(3.0, gt=0, description="inverse half-width; below about 0.5 the bell is nearly constant")


class MultiQuadraticSpec(BellSpec):
    """Inverse multiquadric bell, of tails heavier still.

    Behind an encoding it wants a wider bell: with rff, a = 1 reaches 25.7 dB on pixels held out, 3 13.5 (camera and
    coffee, 128 x 128, 50,000 parameters, 500 steps).
    """

    a: float = Field(3.0, gt=0, description="inverse half-width; below about 0.5 the bell is nearly constant")


@hookimpl
def inrbench_activations() -> Iterator[ActivationEntry]:
    package = "inrbench_activation_bell.bell"
    for name, spec, target, formula in (
        ("gaussian", GaussianSpec, "Gaussian", "exp(-z^2 / (2 a^2))"),
        ("super_gaussian", SuperGaussianSpec, "SuperGaussian", "exp(-z^2 / (2 a^2))^b"),
        ("laplacian", LaplacianSpec, "Laplacian", "exp(-|z| / a)"),
        ("quadratic", QuadraticSpec, "Quadratic", "1 / (1 + (a z)^2)"),
        ("multi_quadratic", MultiQuadraticSpec, "MultiQuadratic", "1 / sqrt(1 + (a z)^2)"),
    ):
        yield ActivationEntry(name, spec, f"{package}:{target}", reference=REFERENCE, formula=formula, api=1)
