"""The entry of this distribution. Imports no torch."""

from collections.abc import Iterator
from typing import Literal

from inrbench_task_image.spec import PictureSpec
from pydantic import Field

from inrbench_core import Metric, TaskEntry, hookimpl


class PoissonSpec(PictureSpec):
    """Recover a picture from its gradient or its Laplacian alone."""

    source: str = Field("camera", validate_default=False, description=PictureSpec.model_fields["source"].description)
    given: Literal["gradient", "laplacian"] = Field("gradient", description="what is known of the picture")

    def required_derivatives(self) -> int:
        return 1 if self.given == "gradient" else 2


@hookimpl
def inrbench_tasks() -> Iterator[TaskEntry]:
    yield TaskEntry(
        "poisson",
        PoissonSpec,
        "inrbench_task_poisson.problem:prepare",
        reference="Sitzmann et al. 2020, arXiv:2006.09661, section 4.2",
        formula="mean of (derivative of f - difference of the picture)^2 / mean of (difference of the picture)^2",
        signal="image",
        direction="inverse",
        metrics=(Metric("psnr", "dB"), Metric("ssim")),
        baselines=("constant", "poisson_solver"),
        renderer="inrbench_task_poisson.renderer:PoissonRenderer",
        api=1,
    )
