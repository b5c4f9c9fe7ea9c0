"""The entries of this distribution. Imports no torch."""

from collections.abc import Iterator
from typing import Literal

from pydantic import Field

from inrbench_core import BasisRef, ComponentSpec, FieldEntry, RecipeEntry, Width, hookimpl
from inrbench_field_kan.recipes import own_recipes, paper_recipes, published_recipes


class KanSpec(ComponentSpec):
    """Coordinate-KAN: layers of trained univariate functions on every edge, without an encoding."""

    basis: BasisRef = Field("bspline", description="the functions on the edges")
    width: Width = 64
    depth: int = Field(2, ge=0, description="hidden layers after the first; the last layer is not counted")
    norm: Literal["none", "layer", "batch"] = Field(
        "none",
        description="layer: LayerNorm after every layer but the last; batch: batch norm after every layer, as in "
        "Wav-KAN; values then depend on the other points of the batch, and no loss on derivatives can be trained",
    )

    def derivatives(self) -> int | None:
        # Tasks take the gradient of the sum of the values, which a batch norm after the last layer makes a constant.
        return 0 if self.norm == "batch" else None


@hookimpl
def inrbench_fields() -> Iterator[FieldEntry]:
    yield FieldEntry(
        "kan",
        KanSpec,
        "inrbench_field_kan.kan:Kan",
        reference="Liu et al. 2024, arXiv:2404.19756",
        formula="L_last(... L_1(x)), each layer y_o = sum over i of f_oi(x_i)",
        api=1,
    )


@hookimpl
def inrbench_recipes() -> Iterator[RecipeEntry]:
    yield from published_recipes()
    yield from own_recipes()
    yield from paper_recipes()
