"""The entries of this distribution. Imports no torch."""

from collections.abc import Iterator

from pydantic import Field

from inrbench_core import ActivationEntry, ComponentSpec, hookimpl

SIREN_TRAINING = {"lr": 1e-4}


class SineSpec(ComponentSpec):
    """Sine of the scaled pre-activation, as in SIREN."""

    omega: float = Field(30.0, gt=0, description="frequency factor of the hidden layers, rad per unit")
    first_omega: float | None = Field(
        None, gt=0, description="frequency factor of the first layer, rad per unit; as omega if not given"
    )


class FinerSpec(ComponentSpec):
    """Sine whose frequency grows with the size of its input, as in FINER."""

    omega: float = Field(30.0, gt=0, description="frequency factor, rad per unit")
    first_bias: float | None = Field(
        None, gt=0, description="first layer's biases are U(-k, k); torch's default if not given"
    )
    detach_scale: bool = Field(
        False, description="treat |z| + 1 as a constant in the backward pass, as the published code does"
    )


@hookimpl
def inrbench_activations() -> Iterator[ActivationEntry]:
    yield ActivationEntry(
        "sine",
        SineSpec,
        "inrbench_activation_periodic.sine:Sine",
        reference="Sitzmann et al. 2020, arXiv:2006.09661",
        formula="sin(omega z)",
        training=SIREN_TRAINING,
    )
    yield ActivationEntry(
        "finer",
        FinerSpec,
        "inrbench_activation_periodic.finer:Finer",
        reference="Liu et al. 2023, arXiv:2312.02434",
        formula="sin(omega (|z| + 1) z)",
        training=SIREN_TRAINING,
    )
