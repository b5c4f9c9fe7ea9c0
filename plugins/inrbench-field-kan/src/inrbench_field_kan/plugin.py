"""The entries of this distribution. Imports no torch."""

from collections.abc import Iterator
from typing import Literal

from inrbench_core import BasisRef, ComponentSpec, FieldEntry, RecipeEntry, Width, hookimpl
from pydantic import Field

from inrbench_field_kan import recipes


class KanSpec(ComponentSpec):
    """Coordinate-KAN: layers of learnable univariate functions on every edge, no encoding."""

    basis: BasisRef = Field("bspline", description="the functions on the edges")
    width: Width = 64
    depth: int = Field(2, ge=0, description="hidden layers after the first; the last layer is a KAN layer, not counted")
    norm: Literal["none", "layer"] = Field(
        "none", description="layer: LayerNorm after every layer but the last"
    )


@hookimpl
def inrbench_fields() -> Iterator[FieldEntry]:
    yield FieldEntry(
        "kan",
        KanSpec,
        "inrbench_field_kan.kan:Kan",
        reference="Liu et al. 2024, arXiv:2404.19756",
        formula="L_last(... L_1(x)), each layer y_o = sum_i f_oi(x_i)",
    )


@hookimpl
def inrbench_recipes() -> Iterator[RecipeEntry]:
    yield from recipes.named_recipes()
    yield from recipes.paper_recipes()
