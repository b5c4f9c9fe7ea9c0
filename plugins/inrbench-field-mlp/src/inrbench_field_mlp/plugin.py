"""The entries of this distribution. Imports no torch."""

from collections.abc import Iterator
from typing import Literal

from pydantic import Field

from inrbench_core import ActivationRef, ComponentSpec, EncodingRef, FieldEntry, RecipeEntry, Width, hookimpl
from inrbench_field_mlp.recipes import named_recipes, paper_recipes


class MlpSpec(ComponentSpec):
    """Coordinate-MLP: an encoding, then linear layers with an activation between each two."""

    encoding: EncodingRef = Field("identity", description="what the first layer sees of the coordinates")
    activation: ActivationRef = Field("relu", description="the non-linearity, with its initialisation")
    width: Width = 256
    depth: int = Field(3, ge=0, description="hidden layers after the first; the last layer is linear and not counted")
    norm: Literal["none", "layer"] = Field(
        "none",
        description="layer: LayerNorm before the activation of each hidden layer after the first; not for sines and "
        "narrow bells, which want inputs of another size than 1",
    )
    output: Literal["linear", "sigmoid"] = Field(
        "linear", description="sigmoid: values within (-1, 1), as 2 / (1 + exp(-z)) - 1; for signals that lie there"
    )


@hookimpl
def inrbench_fields() -> Iterator[FieldEntry]:
    yield FieldEntry(
        "mlp",
        MlpSpec,
        "inrbench_field_mlp.mlp:Mlp",
        formula="W_last h + b_last, h_l = activation(W_l h_{l-1} + b_l), h_0 = encoding(x)",
        api=1,
    )


@hookimpl
def inrbench_recipes() -> Iterator[RecipeEntry]:
    yield from named_recipes()
    yield from paper_recipes()
