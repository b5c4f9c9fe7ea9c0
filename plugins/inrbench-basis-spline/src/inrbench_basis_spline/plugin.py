"""The entries of this distribution. Imports no torch."""

from collections.abc import Iterator

from inrbench_core import BasisEntry, ExpansionSpec, hookimpl
from pydantic import Field


class BsplineSpec(ExpansionSpec):
    """B-splines on uniform knots, with a silu branch."""

    grid: int = Field(5, ge=1, description="intervals on [-1, 1]")
    order: int = Field(3, ge=0, le=10, description="degree of the polynomials; 3 is a cubic spline")
    base: bool = Field(True, description="add a silu branch, W silu(x)")
    bias: bool = Field(False, description="add a bias to each output")

    def derivatives(self) -> int | None:
        return self.order


@hookimpl
def inrbench_bases() -> Iterator[BasisEntry]:
    yield BasisEntry(
        "bspline",
        BsplineSpec,
        "inrbench_basis_spline.bspline:Bspline",
        reference="Liu et al. 2024, arXiv:2404.19756",
        formula="B_k(x), k = 0..grid+order-1, on knots of spacing 2/grid",
    )
