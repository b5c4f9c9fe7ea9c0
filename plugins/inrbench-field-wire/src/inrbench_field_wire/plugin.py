"""The entries of this distribution. Imports no torch."""

from collections.abc import Iterator

from pydantic import Field

from inrbench_core import ComponentSpec, FieldEntry, Width, hookimpl

REFERENCE = "Saragadam et al. 2023, arXiv:2301.05187"
WIRE_TRAINING = {"lr": 5e-3}


class WireSpec(ComponentSpec):
    """Network of complex Gabor wavelets, as in WIRE.

    The defaults are those of WIRE's class. Its scripts take omega 20 and s 30 for pictures, 5 and 5 for denoising, 8
    and 6 for superresolution, 10 and 10 for ct, and 10 and 40 for occupancy; FINER's comparison takes 20 and 10.
    Small networks want less than 30: 48 wide, on 32 x 32 pixels after 150 steps, 26 dB at omega 20 and 15 at 30.
    """

    omega: float = Field(30.0, gt=0, description="frequency of the wave, rad per unit; 20 in FINER's comparison")
    s: float = Field(10.0, gt=0, description="inverse width of the envelope, per unit; best above omega/4")
    width: Width = Field(256, description="features of a real layer with as many parameters, or {parameters: N}")
    depth: int = Field(2, ge=0, description="hidden layers after the first; the last layer is linear and not counted")


class Wire2dSpec(WireSpec):
    """Network of complex Gabor wavelets with an envelope in two projections."""

    omega: float = Field(10.0, gt=0, description="frequency of the wave, rad per unit")


@hookimpl
def inrbench_fields() -> Iterator[FieldEntry]:
    yield FieldEntry(
        "wire",
        WireSpec,
        "inrbench_field_wire.wire:wire",
        reference=REFERENCE,
        formula="h = exp(j omega z - s^2 |z|^2), z = W h + b complex; real part at the end",
        training=WIRE_TRAINING,
        api=1,
    )
    yield FieldEntry(
        "wire2d",
        Wire2dSpec,
        "inrbench_field_wire.wire:wire2d",
        reference=REFERENCE,
        formula="h = exp(j omega z - s^2 (|z|^2 + |z'|^2)), z and z' two projections; real part at the end",
        training=WIRE_TRAINING,
        api=1,
    )
