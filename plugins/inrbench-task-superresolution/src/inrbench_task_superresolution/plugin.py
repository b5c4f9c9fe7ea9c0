"""The entry of this distribution. Imports no torch."""

from collections.abc import Iterator
from typing import Literal

from inrbench_task_image.spec import PictureSpec, RegularisedSpec
from pydantic import Field

from inrbench_core import Metric, TaskEntry, hookimpl


class SuperresolutionSpec(RegularisedSpec, PictureSpec):
    """Fit a coarse picture through its downsampling, in the hope of a fine one."""

    factor: Literal[2, 3, 4] = Field(4, description="fine pixels along each side of a coarse one")
    operator: Literal["mean", "bicubic", "none"] = Field(
        "mean",
        description="how coarse pixels are made, in the data and in the loss: mean of the fine pixels that they cover, "
        "or antialiased bicubic as of MATLAB's imresize (up to 16 times as many evaluations of the field); none: data "
        "as with mean, and the loss takes the field at the middle of a coarse pixel only",
    )


@hookimpl
def inrbench_tasks() -> Iterator[TaskEntry]:
    yield TaskEntry(
        "superresolution",
        SuperresolutionSpec,
        "inrbench_task_superresolution.problem:prepare",
        reference="Saragadam et al. 2023, arXiv:2301.05187",
        formula="mean of (weighted sum of f over fine pixels - coarse colour)^2 over coarse ones, and the regulariser",
        signal="image",
        direction="inverse",
        metrics=(
            Metric("psnr", "dB"),
            Metric("ssim"),
            Metric("psnr_coarse", "dB"),
            Metric("psnr_luma", "dB", column=False),
        ),
        baselines=("constant", "bicubic", "lanczos", "back_projection"),
        renderer="inrbench_task_image.renderer:PictureRenderer",
        api=1,
    )
