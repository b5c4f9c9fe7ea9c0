"""The entries of this distribution. Imports no torch."""

from collections.abc import Iterator
from typing import Literal

from pydantic import Field

from inrbench_core import ActivationEntry, ComponentSpec, hookimpl

REFERENCE = "Saragadam et al. 2023, arXiv:2301.05187"


class GaborSpec(ComponentSpec):
    """Cosine under a Gaussian envelope, real and elementwise."""

    omega: float = Field(20.0, gt=0, description="frequency of the wave, rad per unit; 1 in INR-Bench")
    s: float = Field(10.0, gt=0, description="inverse width of the envelope, per unit; 1 in INR-Bench")
    learnable: bool = Field(False, description="train omega and s, one of each a layer, by their logarithms")
    init: Literal["kaiming", "default"] = Field(
        "default", description="torch's default weights, as in WIRE's code, or N(0, sqrt(2/in)), as in INR-Bench"
    )


class RealWireSpec(ComponentSpec):
    """Wave and envelope from two projections of the input: the real form of WIRE."""

    omega: float = Field(10.0, gt=0, description="frequency of the wave, rad per unit")
    s: float = Field(10.0, gt=0, description="inverse width of the envelope, per unit")


@hookimpl
def inrbench_activations() -> Iterator[ActivationEntry]:
    yield ActivationEntry(
        "gabor",
        GaborSpec,
        "inrbench_activation_wavelet.gabor:Gabor",
        reference=REFERENCE,
        formula="cos(omega z) exp(-(s z)^2)",
        api=1,
    )
    yield ActivationEntry(
        "real_wire",
        RealWireSpec,
        "inrbench_activation_wavelet.real_wire:RealWire",
        reference=REFERENCE,
        formula="cos(omega (W1 x + b1)) exp(-(s (W2 x + b2))^2)",
        api=1,
    )
