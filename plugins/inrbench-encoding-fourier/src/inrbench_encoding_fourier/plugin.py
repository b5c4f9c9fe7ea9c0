"""The entries of this distribution. Imports no torch."""

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field, model_validator

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
    """Random Fourier features: sines and cosines in fixed random directions.

    Sines behind them want a low rate: 28.8 dB on pixels held out at 2e-4 and 21.6 at 1e-3 (sigma 5, camera and coffee,
    128 x 128, 50,000 parameters, 500 steps).
    """

    frequencies: int = Field(256, ge=1, description="random directions; twice as many features")
    sigma: float = Field(
        10.0,
        gt=0,
        description="standard deviation of the frequencies, cycles per unit (the domain is 2 units)",
    )


class LearnedRffSpec(RffSpec):
    """Fourier features whose directions start at random and are trained."""


class FkanSpec(ComponentSpec):
    """Learnable Fourier features of each axis: scaled cosines and sines of whole frequencies.

    n samples along an axis show frequencies up to pi n / 2, 201 for 128 pixels. At the samples, higher ones are
    aliases of lower ones, and what they do in between is left to chance: of 256, 22 % are such, of 1024, 80 %.

    Most activations behind them want ten times the usual rate, 1e-2: of 256 frequencies silu makes 26.2 dB on pixels
    held out, at 1e-3 16.6 (camera and coffee, 128 x 128, 50,000 parameters, 500 steps).
    """

    frequencies: int = Field(
        1024, ge=1, description="frequencies 1 to this, rad per unit (the domain is 2 units); 1024 as in INR-Bench"
    )
    mode: Literal["features", "layer"] = Field(
        "features",
        description="features: each wave times a trained scale; layer: sums of waves, one Fourier KAN layer",
    )
    out_features: int | None = Field(None, ge=1, description="features of mode layer, which needs it")
    smooth: bool = Field(False, description="start with amplitudes that fall as 1 / frequency")

    @model_validator(mode="after")
    def _layer_has_a_width(self) -> "FkanSpec":
        if (self.mode == "layer") != (self.out_features is not None):
            raise ValueError("out_features goes with mode: layer, and mode: layer needs it")
        return self


class SphericalHarmonicsSpec(ComponentSpec):
    """Real spherical harmonics of the direction of a point in space."""

    degree: int = Field(4, ge=1, le=4, description="number of bands l = 0 to degree - 1; degree^2 features")


class ChebyshevFeaturesSpec(ComponentSpec):
    """Chebyshev polynomials of each axis, without the constant one."""

    degree: int = Field(16, ge=1, le=512, description="highest degree; as many features for each axis")


@hookimpl
def inrbench_encodings() -> Iterator[EncodingEntry]:
    yield EncodingEntry(
        "identity",
        IdentitySpec,
        "inrbench_encoding_fourier.identity:Identity",
        reference="as in Sitzmann et al. 2020, arXiv:2006.09661",
        formula="x",
        api=1,
    )
    yield EncodingEntry(
        "neff",
        NeffSpec,
        "inrbench_encoding_fourier.neff:Neff",
        reference="Mildenhall et al. 2020, arXiv:2003.08934",
        formula="[x; sin(2^i pi x_j), cos(2^i pi x_j) for i = 0..frequencies-1]",
        aliases=("nerf",),
        api=1,
    )
    yield EncodingEntry(
        "rff",
        RffSpec,
        "inrbench_encoding_fourier.rff:Rff",
        reference="Tancik et al. 2020, arXiv:2006.10739",
        formula="[sin(2 pi B x), cos(2 pi B x)], B ~ N(0, sigma)",
        api=1,
    )
    yield EncodingEntry(
        "learned_rff",
        LearnedRffSpec,
        "inrbench_encoding_fourier.rff:LearnedRff",
        reference="after Tancik et al. 2020, arXiv:2006.10739, and Li et al. 2021, arXiv:2106.02795",
        formula="[sin(2 pi B x), cos(2 pi B x)], B trained",
        api=1,
    )
    yield EncodingEntry(
        "fkan",
        FkanSpec,
        "inrbench_encoding_fourier.fkan:Fkan",
        reference="after Mehrabian et al. 2024, arXiv:2409.09323",
        formula="a_jw cos(w x_j), b_jw sin(w x_j) for w = 1..frequencies; layer: their sums with a weight per output",
        api=1,
    )
    yield EncodingEntry(
        "spherical_harmonics",
        SphericalHarmonicsSpec,
        "inrbench_encoding_fourier.spherical:SphericalHarmonics",
        reference="Ramamoorthi and Hanrahan 2001, doi:10.1145/383259.383317",
        formula="Y_lm(x / |x|) for l = 0..degree-1, m = -l..l",
        api=1,
    )
    yield EncodingEntry(
        "chebyshev_features",
        ChebyshevFeaturesSpec,
        "inrbench_encoding_fourier.chebyshev:ChebyshevFeatures",
        reference="DLMF 18.9, the recurrence of Chebyshev polynomials",
        formula="T_k(x_j) = cos(k arccos x_j) for k = 1..degree",
        api=1,
    )
