"""The entries of this distribution. Imports no torch."""

from collections.abc import Iterator
from typing import Literal

from pydantic import Field

from inrbench_core import ActivationEntry, ComponentSpec, hookimpl


class ReluSpec(ComponentSpec):
    """Rectified linear unit."""

    init: Literal["kaiming", "default", "glorot"] = Field(
        "kaiming",
        description="weights: Kaiming normal; torch's default, which trains faster behind an encoding; or Glorot "
        "normal with biases N(0, 0.01), as in the code of Fourier features",
    )

    def derivatives(self) -> int | None:
        return 1


class PreluSpec(ComponentSpec):
    """ReLU with a learnable slope for negative inputs, one per layer.

    On plain coordinates it follows only slow changes: 18.7 dB on pixels held out at the best of five rates; behind
    fkan 26.6 (camera and coffee, 128 x 128, 50,000 parameters, 500 steps).
    """

    slope: float = Field(0.25, description="slope for negative inputs at the start")

    def derivatives(self) -> int | None:
        return 1


class EluSpec(ComponentSpec):
    """Exponential linear unit.

    On plain coordinates it follows only slow changes: 17.6 dB on pixels held out at the best of five rates; behind
    rff 26.7 (camera and coffee, 128 x 128, 50,000 parameters, 500 steps).
    """

    alpha: float = Field(1.0, gt=0, description="value that negative inputs approach, with a minus")

    def derivatives(self) -> int | None:
        return None if self.alpha == 1 else 1  # Else the slope jumps at 0: the second derivative lacks a delta.


class SeluSpec(ComponentSpec):
    """Scaled exponential linear unit, which normalises itself in deep stacks."""

    def derivatives(self) -> int | None:
        return 1  # Its slope jumps at 0: the second derivative lacks a delta.


class GeluSpec(ComponentSpec):
    """Gaussian error linear unit, exact rather than by tanh."""


class SiluSpec(ComponentSpec):
    """Sigmoid linear unit, also called swish.

    On plain coordinates it follows only slow changes: 20.0 dB on pixels held out at the best of five rates; behind
    rff 28.3 (camera and coffee, 128 x 128, 50,000 parameters, 500 steps).
    """


class SigmoidSpec(ComponentSpec):
    """Logistic function; saturates, and its mean of 0.5 makes deep stacks collapse.

    It wants an encoding and ten times the usual rate: behind rff it reaches 26.0 dB on pixels held out at 1e-2 and 13.5
    at 1e-3, on plain coordinates 16.1 and 14.1 (camera and coffee, 128 x 128, 50,000 parameters, 500 steps).
    """


class TanhSpec(ComponentSpec):
    """Hyperbolic tangent.

    On plain coordinates it follows only slow changes: 20.4 dB on pixels held out at the best of five rates; behind
    neff 25.8 (camera and coffee, 128 x 128, 50,000 parameters, 500 steps).
    """


class SoftplusSpec(ComponentSpec):
    """Smooth version of ReLU."""

    beta: float = Field(1.0, gt=0, description="sharpness, per unit")


@hookimpl
def inrbench_activations() -> Iterator[ActivationEntry]:
    package = "inrbench_activation_classic.classic"
    yield ActivationEntry("relu", ReluSpec, f"{package}:Relu", "Nair and Hinton 2010", "max(0, z)", api=1)
    yield ActivationEntry(
        "prelu",
        PreluSpec,
        f"{package}:Prelu",
        "He et al. 2015, arXiv:1502.01852",
        "z if z > 0 else a z",
        api=1,
    )
    yield ActivationEntry(
        "elu",
        EluSpec,
        f"{package}:Elu",
        "Clevert et al. 2015, arXiv:1511.07289",
        "z if z > 0 else a (exp(z) - 1)",
        api=1,
    )
    yield ActivationEntry(
        "selu",
        SeluSpec,
        f"{package}:Selu",
        "Klambauer et al. 2017, arXiv:1706.02515",
        "1.0507 z if z > 0 else 1.0507 * 1.6733 (exp(z) - 1)",
        api=1,
    )
    yield ActivationEntry(
        "gelu",
        GeluSpec,
        f"{package}:Gelu",
        "Hendrycks and Gimpel 2016, arXiv:1606.08415",
        "z Phi(z)",
        api=1,
    )
    yield ActivationEntry(
        "silu",
        SiluSpec,
        f"{package}:Silu",
        "Elfwing et al. 2017, arXiv:1702.03118",
        "z / (1 + exp(-z))",
        aliases=("swish",),
        api=1,
    )
    yield ActivationEntry(
        "sigmoid", SigmoidSpec, f"{package}:Sigmoid", "Rumelhart et al. 1986", "1 / (1 + exp(-z))", api=1
    )
    yield ActivationEntry("tanh", TanhSpec, f"{package}:Tanh", "LeCun et al. 1998", "tanh(z)", api=1)
    yield ActivationEntry(
        "softplus",
        SoftplusSpec,
        f"{package}:Softplus",
        "Dugas et al. 2000",
        "log(1 + exp(beta z)) / beta",
        api=1,
    )
