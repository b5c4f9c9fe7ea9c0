"""The entries of this distribution. Imports no torch."""

from collections.abc import Iterator

from pydantic import Field

from inrbench_core import BasisEntry, hookimpl
from inrbench_core.api.spec import BasisSpec


class FcnSpec(BasisSpec):
    """A small network on every edge, which sees the input and octaves of its sine and cosine."""

    hidden: int = Field(1, ge=1, le=256, description="hidden units of an edge's network")
    sinusoids: int = Field(1, ge=0, le=12, description="octaves of sine and cosine, 1, 2, 4, ... rad per unit")


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
