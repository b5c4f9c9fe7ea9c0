"""The entries of this distribution. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from pydantic import Field

from inrbench_core import BasisEntry, ExpansionSpec, hookimpl

UNPUBLISHED = "coefficients at the start, see `inrbench_core.api.starts`; none that is published is known"


class FourierSpec(ExpansionSpec):
    """Sines and cosines at whole frequencies.

    Many frequencies fit the samples and oscillate between them: on pixels held out, `grid: 3` reaches 26.4 dB, 8 20.0
    and 20 11.6 (camera and coffee, 128 x 128, 50,000 parameters, 500 steps).
    """

    grid: int = Field(8, ge=1, description="highest frequency, rad per unit; twice as many functions")
    smooth: bool = Field(False, description="start the coefficients of frequency w at 1 / w^2 of the first's")
    domain: Literal["auto", "identity", "tanh"] = Field(
        "identity", description="map of a layer's input: identity, tanh, or auto"
    )


class SineKanSpec(ExpansionSpec):
    """Sines whose frequencies and phases are trained."""

    grid: int = Field(8, ge=1, description="sines on each edge, started at the frequencies 1..grid, rad per unit")
    scale: Literal["unit", "lecun", "glorot", "power"] = Field("unit", description=UNPUBLISHED)  # type: ignore[assignment]
    domain: Literal["auto", "identity", "tanh"] = Field(
        "identity", description="map of a layer's input: identity, tanh, or auto"
    )


@hookimpl
def inrbench_bases() -> Iterator[BasisEntry]:
    yield BasisEntry(
        "fourier",
        FourierSpec,
        "inrbench_basis_fourier.fourier:Fourier",
        reference="GistNoesis/FourierKAN, 2024",
        formula="cos(w x), sin(w x), w = 1..grid",
        api=1,
    )
    yield BasisEntry(
        "sine_kan",
        SineKanSpec,
        "inrbench_basis_fourier.sine_kan:SineKan",
        reference="Reinhardt et al. 2024, arXiv:2407.04149",
        formula="sin(w_k x_i + p_ik)",
        api=1,
    )
