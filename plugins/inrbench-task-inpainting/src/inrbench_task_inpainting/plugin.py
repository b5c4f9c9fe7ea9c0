"""The entry of this distribution. Imports no torch."""

from collections.abc import Iterator
from typing import Literal

from inrbench_task_image.spec import PictureSpec, RegularisedSpec
from pydantic import Field, model_validator

from inrbench_core import Metric, TaskEntry, hookimpl

SHARES = {"random": 0.5, "box": 0.1}


class InpaintingSpec(RegularisedSpec, PictureSpec):
    """Fit the known pixels of a picture, in the hope that the missing ones follow."""

    mask: Literal["random", "box", "text"] = Field(
        "random", description="what is missing: single pixels, a box of the picture's aspect, or lines of text"
    )
    share: float | None = Field(
        None, gt=0, lt=1, description="share of the pixels that is missing: random (0.5), box (0.1); not for text"
    )

    @model_validator(mode="after")
    def _no_share_of_text(self) -> "InpaintingSpec":
        if self.mask == "text" and self.share is not None:
            raise ValueError("share has no meaning with mask: text, whose letters are what they are")
        return self


@hookimpl
def inrbench_tasks() -> Iterator[TaskEntry]:
    yield TaskEntry(
        "inpainting",
        InpaintingSpec,
        "inrbench_task_inpainting.problem:prepare",
        reference="Sitzmann et al. 2020, arXiv:2006.09661; with masks as in Ulyanov et al. 2018, arXiv:1711.10925",
        formula="mean of (f(row, column) - colour)^2 over the known pixels, and the regulariser",
        signal="image",
        direction="inverse",
        metrics=(
            Metric("psnr_missing", "dB"),
            Metric("ssim_missing"),
            Metric("psnr", "dB"),
            Metric("ssim"),
            Metric("psnr_known", "dB"),
            Metric("psnr_luma", "dB", column=False),
        ),
        baselines=("constant", "linear", "biharmonic", "thin_plate"),
        renderer="inrbench_task_image.renderer:PictureRenderer",
        api=1,
    )
