"""The entries of this distribution. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from pydantic import Field

from inrbench_core import BasisEntry, ExpansionSpec, hookimpl


class RbfSpec(ExpansionSpec):
    """Radial functions on a uniform grid of centres, with a silu branch."""

    grid: int = Field(8, ge=2, description="centres, on [-reach, reach]")
    reach: float | None = Field(
        None, gt=0, description="if left out, 1 where the input is bounded, and 2 elsewhere; 2 as published"
    )
    profile: Literal["gaussian", "inverse_quadratic", "inverse_multiquadric", "wendland"] = Field(
        "gaussian", description="the radial function, of the distance in units of the spacing"
    )
    domain: Literal["auto", "identity", "tanh"] = Field(
        "identity", description="map of a layer's input: identity, tanh, or auto"
    )
    base: bool = Field(True, description="add a silu branch, W silu(x)")

    def derivatives(self) -> int | None:
        return 2 if self.profile == "wendland" else None


class GrbfSpec(RbfSpec):
    """Radial functions of the normalised input, as in FastKAN."""

    layernorm: Literal["hidden", "all"] = Field(
        "hidden",
        description="layers whose input is normalised; all as published, which keeps of two coordinates only which is "
        "the larger",
    )


@hookimpl
def inrbench_bases() -> Iterator[BasisEntry]:
    yield BasisEntry(
        "rbf",
        RbfSpec,
        "inrbench_basis_radial.radial:Rbf",
        reference="sidhu2690/RBF-KAN, 2024",
        formula="exp(-((x - c_k) / h)^2), c_k centres of spacing h",
        api=1,
    )
    yield BasisEntry(
        "grbf",
        GrbfSpec,
        "inrbench_basis_radial.radial:Grbf",
        reference="Li 2024, arXiv:2405.06721",
        formula="exp(-((LayerNorm(x) - c_k) / h)^2), c_k centres of spacing h",
        api=1,
    )
