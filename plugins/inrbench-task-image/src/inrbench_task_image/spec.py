"""How a picture is chosen: the spec that all picture tasks share. Imports no torch and reads no pixel."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, ValidationInfo, field_validator

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
