"""The entries of this distribution. Imports no torch."""

from collections.abc import Iterator
from typing import Literal

from pydantic import Field

from inrbench_core import ActivationEntry, ComponentSpec, hookimpl

SIREN_TRAINING = {"lr": 1e-4}


class SirenSpec(ComponentSpec):
    """Options that SIREN and its descendants share."""

    omega: float = Field(30.0, gt=0, description="frequency factor of the hidden layers, rad per unit")
    first_omega: float | None = Field(
        None, gt=0, description="frequency factor of the first layer, rad per unit; as omega if not given"
    )


class SineSpec(SirenSpec):
    """Sine of the scaled pre-activation, as in SIREN."""


class ScaledSineSpec(SirenSpec):
    """Sine with trained amplitude, frequency, phase and offset in each layer."""

    start: Literal["zero", "incode", "paper"] = Field(
        "zero",
        description="where a, b, c, d start: zero (exactly SIREN), incode (0.312, where INCODE's network puts them), "
        "or paper (INR-Bench's 0.1993, 0.0196, 0.0588, 0.0269)",
    )


class FinerSpec(SirenSpec):
    """Sine whose frequency grows with the size of its input, as in FINER."""

    first_bias: float | None = Field(
        None, gt=0, description="first layer's biases are U(-k, k); torch's default if not given"
    )
    detach_scale: bool = Field(
        False, description="treat |z| + 1 as a constant in the backward pass, as the published code does"
    )

    def derivatives(self) -> int | None:
        return 0 if self.detach_scale else None  # Those by the coordinates are wrong then.


class HSirenSpec(SirenSpec):
    """Sine of a hyperbolic sine in the first layer, plain sine after it."""


class HoscSpec(SirenSpec):
    """Sine sharpened towards a square wave."""

    beta: float = Field(8.0, gt=0, description="sharpness")
    learnable: bool = Field(False, description="train beta, one for each layer, by its logarithm (AdaHOSC)")


class StafSpec(ComponentSpec):
    """Sum of sines whose amplitudes, frequencies and phases are trained in each layer."""

    tau: int = Field(5, ge=1, description="sines in the sum")
    omega: float = Field(30.0, gt=0, description="frequencies start from U(0, omega), rad per unit")


class SincSpec(ComponentSpec):
    """Cardinal sine."""

    a: float = Field(1.0, gt=0, description="zeros per unit; larger resolves more detail")


class ExpsinSpec(ComponentSpec):
    """Exponential of a sine; its mean of 1.26 is never removed.

    Behind an encoding it wants a lower frequency: with rff, a = 0.3 reaches 18.8 dB on pixels held out, 1 12.3 (camera
    and coffee, 128 x 128, 50,000 parameters, 500 steps). It is best at rates of 1e-2: 23.3 dB on plain coordinates,
    23.8 behind fkan.
    """

    a: float = Field(1.0, gt=0, description="frequency, rad per unit; 0.1 and below is nearly constant")


@hookimpl
def inrbench_activations() -> Iterator[ActivationEntry]:
    package = "inrbench_activation_periodic"
    yield ActivationEntry(
        "sine",
        SineSpec,
        f"{package}.sine:Sine",
        reference="Sitzmann et al. 2020, arXiv:2006.09661",
        formula="sin(omega z)",
        training=SIREN_TRAINING,
        api=1,
    )
    yield ActivationEntry(
        "scaled_sine",
        ScaledSineSpec,
        f"{package}.scaled_sine:ScaledSine",
        reference="Kazerouni et al. 2023, arXiv:2310.18846",
        formula="exp(a) sin(exp(b) omega z + c) + d",
        aliases=("incode_sine", "learnable_sine"),
        training=SIREN_TRAINING,
        api=1,
    )
    yield ActivationEntry(
        "finer",
        FinerSpec,
        f"{package}.finer:Finer",
        reference="Liu et al. 2023, arXiv:2312.02434",
        formula="sin(omega (|z| + 1) z)",
        training=SIREN_TRAINING,
        api=1,
    )
    yield ActivationEntry(
        "h_siren",
        HSirenSpec,
        f"{package}.h_siren:HSiren",
        reference="Gao and Jaiman 2024, arXiv:2410.04716",
        formula="sin(omega sinh(2 z)) in the first layer, sin(omega z) after it",
        training=SIREN_TRAINING,
        api=1,
    )
    yield ActivationEntry(
        "hosc",
        HoscSpec,
        f"{package}.hosc:Hosc",
        reference="Serrano et al. 2024, arXiv:2401.10967",
        formula="tanh(beta sin(omega z))",
        training=SIREN_TRAINING,
        api=1,
    )
    yield ActivationEntry(
        "staf",
        StafSpec,
        f"{package}.staf:Staf",
        reference="Morsali et al. 2025, arXiv:2502.00869",
        formula="sum over j of b_j sin(w_j z + p_j)",
        training=SIREN_TRAINING,
        api=1,
    )
    yield ActivationEntry(
        "sinc",
        SincSpec,
        f"{package}.sinc:Sinc",
        reference="Saratchandran et al. 2024, arXiv:2402.05427",
        formula="sin(pi a z) / (pi a z)",
        api=1,
    )
    yield ActivationEntry(
        "expsin",
        ExpsinSpec,
        f"{package}.expsin:Expsin",
        reference="Ramasinghe and Lucey 2021, arXiv:2111.15135",
        formula="exp(-sin(a z))",
        api=1,
    )
