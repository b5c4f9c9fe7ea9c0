"""The entries of this distribution. Imports no torch."""

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field

from inrbench_core import ComponentSpec, EncodingEntry, hookimpl


class IdentitySpec(ComponentSpec):
    """The coordinates themselves."""


class NeffSpec(ComponentSpec):
    """Sines and cosines at octaves along each axis, as in NeRF."""

    frequencies: Annotated[int, Field(ge=1, le=64)] | Literal["nyquist"] = Field(
        10, description="octaves, or nyquist: as many as the signal's shortest axis can show"
    )
    include_input: bool = Field(True, description="keep the coordinates beside their sines and cosines")


class RffSpec(ComponentSpec):
    """Random Fourier features: sines and cosines in fixed random directions."""

    frequencies: int = Field(256, ge=1, description="random directions; twice as many features")
    sigma: float = Field(
        10.0, gt=0, description="standard deviation of the frequencies, cycles per unit (the domain is 2 units)"
    )


@hookimpl
def inrbench_encodings() -> Iterator[EncodingEntry]:
    yield EncodingEntry("identity", IdentitySpec, "inrbench_encoding_fourier.identity:Identity", formula="x")
    yield EncodingEntry(
        "neff",
        NeffSpec,
        "inrbench_encoding_fourier.neff:Neff",
        reference="Mildenhall et al. 2020, arXiv:2003.08934",
        formula="[x; sin(2^i pi x_j), cos(2^i pi x_j) for i = 0..frequencies-1]",
        aliases=("nerf",),
    )
    yield EncodingEntry(
        "rff",
        RffSpec,
        "inrbench_encoding_fourier.rff:Rff",
        reference="Tancik et al. 2020, arXiv:2006.10739",
        formula="[sin(2 pi B x), cos(2 pi B x)], B ~ N(0, sigma)",
    )
