"""The entries of this distribution. Imports no torch."""

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field, model_validator

from inrbench_core import ComponentSpec, EncodingEntry, hookimpl

# Tables get small gradients, each entry from few points: the literature trains them ten times as fast.
TABLE_TRAINING = {"lr": 1e-2}


class GridSpec(ComponentSpec):
    """Tables of features at the vertices of grids, interpolated between them."""

    interpolation: Literal["linear", "smoothstep"] = Field(
        "linear", description="smoothstep makes the first derivative continuous, at flat spots on the vertices"
    )

    def derivatives(self) -> int | None:
        return 1 if self.interpolation == "linear" else 2


class HashgridSpec(GridSpec):
    """Multiresolution hash grid, as in Instant-NGP."""

    levels: int = Field(16, ge=1, le=64, description="grids, from coarse to fine")
    features: int = Field(2, ge=1, description="features at each vertex")
    log2_table_size: int = Field(
        19, ge=1, le=28, description="a level with more vertices than 2 to this power is hashed into that many rows"
    )
    min_resolution: int = Field(16, ge=1, description="cells along each axis at the coarsest level")
    max_resolution: Annotated[int, Field(ge=1)] | Literal["half"] = Field(
        512, description="cells at the finest level, or half: half the samples of the signal's longest axis"
    )

    @model_validator(mode="after")
    def _grows(self) -> "HashgridSpec":
        if self.max_resolution != "half" and self.max_resolution < self.min_resolution:
            raise ValueError(f"max_resolution {self.max_resolution} is less than min_resolution {self.min_resolution}")
        return self


class DensegridSpec(GridSpec):
    """Dense grids: a feature vector for every vertex."""

    resolutions: tuple[Annotated[int, Field(ge=1)], ...] = Field(
        (16, 64), min_length=1, description="cells along each axis; one grid for each number"
    )
    features: int = Field(4, ge=1, description="features at each vertex of each grid")


class TriplaneSpec(GridSpec):
    """A feature plane for each pair of axes; in space three."""

    resolution: int = Field(128, ge=1, description="cells along both axes of a plane")
    features: int = Field(16, ge=1, description="features at each vertex of each plane")
    combine: Literal["sum", "product", "concat"] = Field("sum", description="how the planes' features are joined")


class OneblobSpec(ComponentSpec):
    """A soft one-hot code of each axis: how much of a bell at the coordinate each bin holds."""

    bins: int = Field(16, ge=1, description="bins along each axis")

    def derivatives(self) -> int | None:
        return 3


@hookimpl
def inrbench_encodings() -> Iterator[EncodingEntry]:
    yield EncodingEntry(
        "hashgrid",
        HashgridSpec,
        "inrbench_encoding_grid.hashgrid:Hashgrid",
        reference="Mueller et al. 2022, arXiv:2201.05989",
        formula="[interpolated table_l((x + 1) / 2 * resolution_l) for levels l]",
        aliases=("ngp",),
        training=TABLE_TRAINING,
        api=1,
    )
    yield EncodingEntry(
        "densegrid",
        DensegridSpec,
        "inrbench_encoding_grid.densegrid:Densegrid",
        reference="Sun et al. 2021, arXiv:2111.11215",
        formula="[interpolated grid_l((x + 1) / 2 * resolution_l) for grids l]",
        training=TABLE_TRAINING,
        api=1,
    )
    yield EncodingEntry(
        "triplane",
        TriplaneSpec,
        "inrbench_encoding_grid.triplane:Triplane",
        reference="Chan et al. 2021, arXiv:2112.07945; Fridovich-Keil et al. 2023, arXiv:2301.10241",
        formula="sum, product or list over axes i < j of interpolated plane_ij(x_i, x_j)",
        training=TABLE_TRAINING,
        api=1,
    )
    yield EncodingEntry(
        "oneblob",
        OneblobSpec,
        "inrbench_encoding_grid.oneblob:Oneblob",
        reference="Mueller et al. 2018, arXiv:1808.03856",
        formula="integral over bin i of 15/16 n (1 - t^2)^2, t = n (v - u), u = (x_j + 1) / 2, n bins",
        api=1,
    )
