"""The entry of this distribution. Imports no torch."""

from collections.abc import Iterator

from pydantic import Field

from inrbench_core import Metric, TaskEntry, hookimpl
from inrbench_task_image.spec import PictureSpec


class ImageSpec(PictureSpec):
    """Fit a picture: colour as a function of place."""

    held_out: float = Field(0.1, ge=0, lt=1, description="share of the pixels that is never trained on")
    values_per_parameter: float = Field(
        4, gt=0, description="values of the signal for each number that the transform-coding baselines keep"
    )


@hookimpl
def inrbench_tasks() -> Iterator[TaskEntry]:
    yield TaskEntry(
        "image",
        ImageSpec,
        "inrbench_task_image.problem:prepare",
        reference="Sitzmann et al. 2020, arXiv:2006.09661, section 3.1",
        formula="mean of (f(row, column) - colour)^2 over the training pixels",
        signal="image",
        metrics=(
            Metric("psnr", "dB"),
            Metric("ssim"),
            Metric("psnr_train", "dB"),
            Metric("psnr_held_out", "dB"),
            Metric("psnr_luma", "dB", column=False),
        ),
        baselines=("constant", "linear", "biharmonic", "thin_plate", "dct", "dct_counted"),
        rank_by="psnr_held_out",
        renderer="inrbench_task_image.renderer:PictureRenderer",
        api=1,
    )
