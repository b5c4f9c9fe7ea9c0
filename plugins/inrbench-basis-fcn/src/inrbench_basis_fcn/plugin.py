"""The entries of this distribution. Imports no torch."""

from collections.abc import Iterator
from typing import Literal

from pydantic import Field

from inrbench_core import BasisEntry, ComponentSpec, hookimpl


class FcnSpec(ComponentSpec):
    """A small network on every edge, which sees the input and octaves of its sine and cosine."""

    hidden: int = Field(1, ge=1, le=256, description="hidden units of an edge's network")
    sinusoids: int = Field(1, ge=0, le=12, description="octaves of sine and cosine, 1, 2, 4, ... rad per unit")
    scale: Literal["unit", "published"] = Field(
        "unit",
        description="weights at the start: about unit output variance, or as published, smaller in wide layers",
    )
    bias: bool = Field(True, description="add a bias to each output")


@hookimpl
def inrbench_bases() -> Iterator[BasisEntry]:
    yield BasisEntry(
        "fcn",
        FcnSpec,
        "inrbench_basis_fcn.layer:FcnBasis",
        reference="github.com/Zhangyanbo/FCN-KAN, 2024; as in X-KANeRF (github.com/lif314/X-KANeRF, 2024)",
        formula="w2 . silu(W1 [x, sin(2^j x), cos(2^j x)] + b1), j = 0..sinusoids - 1",
        api=1,
    )
