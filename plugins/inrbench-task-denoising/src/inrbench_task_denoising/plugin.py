"""The entry of this distribution. Imports no torch."""

from collections.abc import Iterator
from typing import Literal

from inrbench_task_image.spec import PictureSpec, RegularisedSpec
from pydantic import Field, model_validator

from inrbench_core import Metric, TaskEntry, hookimpl

LEVELS = {"gaussian": 0.1, "poisson": 30.0, "salt_pepper": 0.1}
BM3D_EXTRA = "inrbench-task-denoising[bm3d]"


class DenoisingSpec(RegularisedSpec, PictureSpec):
    """Fit a noisy picture, in the hope that the clean one comes first."""

    source: str = Field("chelsea", validate_default=False, description=PictureSpec.model_fields["source"].description)
    noise: Literal["gaussian", "poisson", "salt_pepper"] = Field("gaussian", description="kind of noise")
    level: float | None = Field(
        None,
        gt=0,
        le=1e9,
        description="gaussian: standard deviation, where white is 1 (0.1); poisson: photons that a white pixel "
        "catches (30); salt_pepper: share of the values set to black or white (0.1)",
    )
    readout: float = Field(
        0.0, ge=0, le=1e6, description="poisson: standard deviation of the Gaussian readout noise, in photons"
    )

    @property
    def strength(self) -> float:
        """The level, or the kind's default."""
        return LEVELS[self.noise] if self.level is None else self.level

    @model_validator(mode="after")
    def _fits_the_noise(self) -> "DenoisingSpec":
        if self.noise == "salt_pepper" and self.strength > 1:
            raise ValueError(f"level is a share of the values for salt_pepper, at most 1; got {self.level}")
        if self.readout and self.noise != "poisson":
            raise ValueError(f"readout noise is that of photon counts: noise: poisson, not {self.noise}")
        return self


@hookimpl
def inrbench_tasks() -> Iterator[TaskEntry]:
    yield TaskEntry(
        "denoising",
        DenoisingSpec,
        "inrbench_task_denoising.problem:prepare",
        reference="Ulyanov et al. 2018, arXiv:1711.10925; with INRs: Saragadam et al. 2023, arXiv:2301.05187",
        formula="mean of (f(row, column) - noisy colour)^2 over all pixels, and the regulariser",
        signal="image",
        direction="inverse",
        metrics=(
            Metric("psnr", "dB"),
            Metric("ssim"),
            Metric("psnr_best_oracle", "dB"),
            Metric("psnr_noisy", "dB"),
            Metric("oracle_gap", "dB", higher_is_better=False),
            Metric("psnr_luma", "dB", column=False),
        ),
        baselines=("noisy", "median", "total_variation", "non_local_means", "wavelets", "bm3d", "constant"),
        extras={"bm3d": ("bm3d", BM3D_EXTRA)},
        renderer="inrbench_task_image.renderer:PictureRenderer",
        api=1,
    )
