"""The entry of this distribution. Imports no torch."""

from collections.abc import Iterator
from pathlib import Path

from pydantic import Field, ValidationInfo, field_validator

from inrbench_core import Metric, TaskEntry, TaskSpec, hookimpl
from inrbench_core.api.sources import find_source

GENERATED = "still_life"
TRANSFORMS = "transforms_{}.json"


class NerfSpec(TaskSpec):
    """Recover a scene's density and colour from posed pictures of it."""

    source: str = Field(
        GENERATED,
        validate_default=False,
        description="still_life (generated), or a folder with transforms_train.json and transforms_test.json",
    )
    size: int | None = Field(
        None,
        ge=4,
        le=8192,
        description="longer side of a view, pixels; default: 64 of still_life, as it is of a folder",
    )
    train_views: int | None = Field(None, ge=1, le=10_000, description="default: 40 of still_life, all of a folder")
    test_views: int | None = Field(None, ge=1, le=10_000, description="default: 8 of still_life, all of a folder")
    samples: int = Field(128, ge=2, le=4096, description="points along each ray, evenly spaced")
    view_direction: bool = Field(False, description="colour also depends on the direction that it is seen from")
    bound: float | None = Field(
        None,
        gt=0,
        description="half the side of the cube about the origin that holds the scene; default: 1.3 of still_life, 1.5",
    )

    @field_validator("source")
    @classmethod
    def _find(cls, source: str, info: ValidationInfo) -> str:
        """The generated scene's name, or the absolute path of a folder with both lists of views."""
        found = find_source(source, info, "scene", (GENERATED,), folders=True)
        if found == GENERATED:
            return found
        for split in ("train", "test"):
            if not Path(found, TRANSFORMS.format(split)).is_file():
                raise ValueError(f"{found} has no {TRANSFORMS.format(split)}")
        return found


@hookimpl
def inrbench_tasks() -> Iterator[TaskEntry]:
    yield TaskEntry(
        "nerf",
        NerfSpec,
        "inrbench_task_nerf.problem:prepare",
        reference="Mildenhall et al. 2020, arXiv:2003.08934",
        formula="mean of (sum over k of w_k c_k + (1 - sum of w_k) - pixel)^2 over rays; density exp(5 f), colour "
        "sigmoid(4 g)",
        training={"batch": 1024},
        signal="scene",
        direction="inverse",
        metrics=(Metric("psnr", "dB"), Metric("ssim")),
        baselines=("constant", "mean_image", "nearest_view"),
        renderer="inrbench_task_nerf.renderer:NerfRenderer",
        api=1,
    )
