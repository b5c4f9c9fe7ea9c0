"""The entries of this distribution. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from pydantic import Field

from inrbench_core import BasisEntry, ExpansionSpec, hookimpl

UNPUBLISHED = "coefficients at the start, see `inrbench_core.api.starts`; none that is published is known"


class BsplineSpec(ExpansionSpec):
    """B-splines on uniform knots, with a silu branch."""

    grid: int = Field(5, ge=1, description="intervals on [-1, 1]")
    order: int = Field(3, ge=0, le=10, description="degree of the polynomials; 3 is a cubic spline")
    base: bool = Field(True, description="add a silu branch, W silu(x)")
    standalone_scale: bool = Field(
        False, description="multiply the coefficients of each edge by a trained scale, as efficient-kan does"
    )

    def derivatives(self) -> int | None:
        return self.order


class FcnInterpolationSpec(ExpansionSpec):
    """Linear interpolation between nodes: hats, the B-splines of order 1.

    Many nodes fit the samples and not what is between them: on pixels held out, 6 nodes reach 24.3 dB and 8 19.6
    (camera and coffee, 128 x 128, 50,000 parameters, 500 steps).
    """

    nodes: int = Field(8, ge=2, description="nodes, on [-reach, reach]")
    reach: float | None = Field(
        None, gt=0, description="if left out, 1 where the input is bounded, and 2 elsewhere; 2 as published"
    )
    domain: Literal["auto", "identity", "tanh"] = Field(
        "identity", description="map of a layer's input: identity, tanh, or auto"
    )

    def derivatives(self) -> int | None:
        return 1


class BsrbfSpec(ExpansionSpec):
    """B-splines and Gaussians of equal count, summed under one set of coefficients, with a silu branch."""

    grid: int = Field(5, ge=1, description="intervals on [-1, 1]; grid + order functions of each sort")
    order: int = Field(3, ge=1, le=10, description="degree of the splines")
    base: bool = Field(True, description="add a silu branch, W silu(x)")
    scale: Literal["unit", "lecun", "glorot", "power"] = Field("unit", description=UNPUBLISHED)

    def derivatives(self) -> int | None:
        return self.order


class ReluKanSpec(ExpansionSpec):
    """Squared bumps made of ReLUs, on intervals that are trained."""

    grid: int = Field(5, ge=1, description="steps on [-1, 1]")
    overlap: int = Field(3, ge=0, description="steps by which an interval is longer than one; grid + overlap functions")
    scale: Literal["unit", "lecun", "glorot", "power"] = Field("unit", description=UNPUBLISHED)

    def derivatives(self) -> int | None:
        return 2


@hookimpl
def inrbench_bases() -> Iterator[BasisEntry]:
    yield BasisEntry(
        "bspline",
        BsplineSpec,
        "inrbench_basis_spline.bspline:Bspline",
        reference="Liu et al. 2024, arXiv:2404.19756",
        formula="B_k(x), k = 0..grid+order-1, on knots of spacing 2/grid",
        api=1,
    )
    yield BasisEntry(
        "fcn_interpolation",
        FcnInterpolationSpec,
        "inrbench_basis_spline.hats:Hats",
        reference="lif314/X-KANeRF, 2024",
        formula="max(0, 1 - |x - X_k| / r), X_k nodes of spacing r",
        api=1,
    )
    yield BasisEntry(
        "bsrbf",
        BsrbfSpec,
        "inrbench_basis_spline.bsrbf:Bsrbf",
        reference="Ta 2024, arXiv:2406.11173",
        formula="B_k(x) + exp(-((x - c_k) / h)^2)",
        api=1,
    )
    yield BasisEntry(
        "relu_kan",
        ReluKanSpec,
        "inrbench_basis_spline.relu_kan:ReluKan",
        reference="Qiu et al. 2024, arXiv:2406.02075",
        formula="16 (relu(e_k - x) relu(x - s_k))^2 / (e_k - s_k)^4",
        api=1,
    )
