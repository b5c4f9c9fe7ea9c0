"""The entries of this distribution. Imports no torch."""

from collections.abc import Iterator
from typing import Literal

from pydantic import Field

from inrbench_core import BasisEntry, hookimpl
from inrbench_core.api.spec import BasisSpec

WAV_KAN = "Bozorgasl and Chen 2024, arXiv:2405.12832"


class WaveletSpec(BasisSpec):
    """A wavelet on every edge, with a shift, a dilation and a weight of its own."""

    spread: bool = Field(
        False,
        description="start the shifts apart, U(-1, 1) in the first layer and U(-2, 2) later, and the scales "
        "log-uniform in [1/finest, 1] in the first layer; else all edges start at shift 0 and scale 1",
    )
    finest: float = Field(8.0, ge=1, le=1000, description="with spread: inverse of the smallest scale at the start")
    bias: bool = Field(True, description="add a bias to each output: a sum of wavelets cannot be a constant")


class OscillatingSpec(WaveletSpec):
    """Options of wavelets of several swings, which oscillate between training points from the unit start."""

    scale: Literal["published", "unit", "lecun", "glorot", "power"] = Field(
        "published", description=BasisSpec.model_fields["scale"].description
    )


class MexicanHatSpec(WaveletSpec):
    """Mexican hat: the second derivative of a Gaussian, with unit norm.

    Wav-KAN's has the opposite sign, which its weights make up for.
    """


class MorletSpec(OscillatingSpec):
    """Morlet: the real part of the complex wavelet of unit norm, a cosine under a Gaussian, with zero mean.

    0.751 of Wav-KAN's, exp(-u^2/2) cos(5 u), which has no constant in front.

    Starts as published: from the unit start, its fields oscillate between training points, and reach 10.3 dB on pixels
    held out in place of 27.0 (camera and coffee, 128 x 128, 50,000 parameters, 500 steps).
    """


class DogSpec(WaveletSpec):
    """Derivative of a Gaussian, with unit norm; not the difference of Gaussians.

    1.062 of Wav-KAN's, which has no constant in front.
    """


class MeyerSpec(OscillatingSpec):
    """Meyer's wavelet, band-limited and smooth in time, in closed form.

    Not Wav-KAN's function of that name: that is sin(pi |u|) times the window which defines the wavelet over frequency,
    here taken over u; its mean is not 0.

    Starts as published: from the unit start, its fields oscillate between training points, and reach 11.0 dB on pixels
    held out in place of 25.3 (camera and coffee, 128 x 128, 50,000 parameters, 500 steps).
    """


class ShannonSpec(OscillatingSpec):
    """Shannon's wavelet: an ideal band-pass filter.

    Not Wav-KAN's function of that name: that is sin(u)/u, the scaling function, times a Hamming window over the input
    features, which leaves the first and the last of them 8 %.

    Starts as published: from the unit start, its fields oscillate between training points, and reach 10.8 dB on pixels
    held out in place of 26.8 (camera and coffee, 128 x 128, 50,000 parameters, 500 steps).
    """


class BumpSpec(WaveletSpec):
    """A smooth bump that is zero outside [-1, 1]; its mean is not zero.

    X-KANeRF's is 1/e of it, and NaN just outside. An edge whose inputs have left [-1, 1] no longer trains.
    """


class BumpWaveletSpec(WaveletSpec):
    """The derivative of bump: compact support and zero mean."""


class DifferenceOfGaussiansSpec(WaveletSpec):
    """Difference of two Gaussians whose widths are as 1 to 1.6."""


# name: (options, formula, reference)
WAVELETS: dict[str, tuple[type[WaveletSpec], str, str]] = {
    "mexican_hat": (MexicanHatSpec, "2 / (sqrt(3) pi^(1/4)) (1 - u^2) exp(-u^2/2)", WAV_KAN),
    "morlet": (MorletSpec, "c pi^(-1/4) exp(-u^2/2) (cos(5 u) - exp(-25/2))", WAV_KAN),
    "dog": (DogSpec, "-sqrt(2) / pi^(1/4) u exp(-u^2/2)", WAV_KAN),
    "meyer": (MeyerSpec, "closed form", "Valenzuela and de Oliveira 2015, arXiv:1502.00161"),
    "shannon": (ShannonSpec, "2 sinc(2u) - sinc(u)", WAV_KAN),
    "bump": (BumpSpec, "exp(1 - 1 / (1 - u^2)) where |u| < 1, else 0", "X-KANeRF (github.com/lif314/X-KANeRF, 2024)"),
    "bump_wavelet": (BumpWaveletSpec, "d/du exp(1 - 1 / (1 - u^2)) where |u| < 1, else 0", "this package"),
    "difference_of_gaussians": (
        DifferenceOfGaussiansSpec,
        "(exp(-u^2/2) - exp(-u^2/(2 q^2)) / q) / sqrt(2 pi), q = 1.6",
        "Marr and Hildreth 1980",
    ),
}


@hookimpl
def inrbench_bases() -> Iterator[BasisEntry]:
    for name, (spec, formula, reference) in WAVELETS.items():
        yield BasisEntry(
            name,
            spec,
            f"inrbench_basis_wavelet.layer:{name}",
            reference=reference,
            formula=f"{formula}, u = (x - t)/s",
            api=1,
        )
