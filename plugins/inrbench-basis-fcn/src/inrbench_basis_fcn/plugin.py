"""The entries of this distribution. Imports no torch."""

from collections.abc import Iterator

from pydantic import Field

from inrbench_core import BasisEntry, hookimpl
from inrbench_core.api.spec import BasisSpec


class FcnSpec(BasisSpec):
    """A small network on every edge, which sees the input and octaves of its sine and cosine.

    With the defaults, those of X-KANeRF, an edge sees no faster function than sin x and spends six parameters on it:
    21.8 dB, and 21.6 on pixels held out; four sinusoids reach 22.7, but 18.2 held out (camera and coffee, 128 x 128,
    50,000 parameters, 500 steps).
    """

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
