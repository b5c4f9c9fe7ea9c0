"""Specs that picture tasks share: how a picture is chosen, a regulariser. Imports no torch and reads no pixel."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator

from inrbench_core import TaskSpec
from inrbench_core.api.sources import find_source
from inrbench_task_image.samples import SAMPLES

Pixels = Annotated[int, Field(ge=1, le=65_536)]


class PictureSpec(TaskSpec):
    """Which picture, and how it is cut and resized: first crop, then size, then mode."""

    source: str = Field(
        "astronaut",
        validate_default=False,
        description="a picture of scikit-image by name (astronaut, camera, chelsea, ...), or a png, jpg or tif file",
    )
    size: Pixels | tuple[Pixels, Pixels] | None = Field(
        None, description="pixels of the longer side, or [height, width]; default: as it is"
    )
    crop: Literal["square"] | tuple[Annotated[int, Field(ge=0)], Annotated[int, Field(ge=0)], Pixels, Pixels] | None = (
        Field(None, description="[top, left, height, width] in pixels, or square: the largest in the middle")
    )
    mode: Literal["grey", "colour"] | None = Field(None, description="convert to this; default: as it is")

    @field_validator("source")
    @classmethod
    def _find(cls, source: str, info: ValidationInfo) -> str:
        """A known name as it is; else the absolute path of a file that is there."""
        return find_source(source, info, "picture", SAMPLES)


class TotalVariation(BaseModel):
    """Total variation of the field, added to the loss."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    name: Literal["tv"]
    weight: float = Field(
        gt=0,
        description="of the total variation (mean over pixels and channels, for values in [0, 1]) beside the task's "
        "loss; see its formula",
    )


class RegularisedSpec(TaskSpec):
    """A term of the loss that is the same for every field."""

    regulariser: TotalVariation | None = Field(
        None,
        description="{name: tv, weight: W} adds W times the isotropic total variation of the field, by forward "
        "differences over one pixel of the whole picture",
    )
