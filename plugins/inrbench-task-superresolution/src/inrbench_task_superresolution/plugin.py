"""The entry of this distribution. Imports no torch."""

from collections.abc import Iterator
from typing import Literal

from inrbench_task_image.spec import PictureSpec
from pydantic import Field

from inrbench_core import Metric, TaskEntry, hookimpl


class SuperresolutionSpec(PictureSpec):
    """Fit a coarse picture through its downsampling, in the hope of a fine one."""

    factor: Literal[2, 3, 4] = Field(4, description="fine pixels along each side of a coarse one")


@hookimpl
def inrbench_tasks() -> Iterator[TaskEntry]:
    yield TaskEntry(
        "superresolution",
        SuperresolutionSpec,
        "inrbench_task_superresolution.problem:prepare",
        reference="Saragadam et al. 2023, arXiv:2301.05187",
        formula="mean of (mean of f over the fine pixels of a coarse one - its colour)^2 over the coarse pixels",
        signal="image",
        direction="inverse",
        metrics=(Metric("psnr", "dB"), Metric("ssim"), Metric("psnr_coarse", "dB")),
        baselines=("constant", "bicubic"),
        renderer="inrbench_task_image.renderer:PictureRenderer",
        api=1,
    )
