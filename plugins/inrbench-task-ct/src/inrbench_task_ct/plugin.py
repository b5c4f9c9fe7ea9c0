"""The entry of this distribution. Imports no torch."""

from collections.abc import Iterator

from inrbench_task_image.spec import RegularisedSpec
from pydantic import Field, ValidationInfo, field_validator

from inrbench_core import Metric, TaskEntry, hookimpl
from inrbench_core.api.sources import Sample, find_source

DRAWN = ("thorax", "shepp_logan")
DICOM_EXTRA = "inrbench-task-ct[dicom]"
SAMPLES = {
    "pancreas": Sample(
        "pydicom-data",
        "explicit_VR-UN.dcm",
        "28c4a61022d7dbebec97e2f1bbdad0ed097bee2c62727c26a3f3720248c9c6e7",
        "CC BY 3.0, NIH Pancreas-CT, The Cancer Imaging Archive",
        "inrbench-task-ct[samples]",
    )
}
# Pixels of a side.
SMALLEST, LARGEST = 16, 4096


class CtSpec(RegularisedSpec):
    """Reconstruct a slice from its X-ray projections in few directions."""

    source: str = Field(
        "thorax",
        validate_default=False,
        description="thorax or shepp_logan (drawn), pancreas (extra [samples]), a dcm file (extra [dicom]), "
        "or a png, tif or npy file",
    )
    size: int | None = Field(
        None, ge=SMALLEST, le=LARGEST, description="pixels of a side; default: 256 for thorax, else as it is"
    )
    views: int = Field(40, ge=1, le=10_000, description="directions, evenly spread over 180 degrees")
    samples: int | None = Field(
        None, ge=2, le=65_536, description="points along a ray; default: as many as pixels of a side"
    )
    noise: float = Field(
        0.01, ge=0, description="standard deviation of the Gaussian noise on the bins, as a share of the largest one"
    )

    @field_validator("source")
    @classmethod
    def _find(cls, source: str, info: ValidationInfo) -> str:
        """A known name as it is; else the absolute path of a file that is there."""
        return find_source(source, info, "slice", DRAWN, SAMPLES)


@hookimpl
def inrbench_tasks() -> Iterator[TaskEntry]:
    yield TaskEntry(
        "ct",
        CtSpec,
        "inrbench_task_ct.problem:prepare",
        reference="Kak and Slaney 1988, chapter 3; with INRs: Sun et al. 2021, arXiv:2102.05181",
        formula="mean over bins of (integral of f along the ray - measured)^2, and the regulariser; f in [0, 1], half "
        "the slice's width is 1",
        signal="scan",
        direction="inverse",
        metrics=(Metric("psnr", "dB"), Metric("ssim")),
        baselines=("total_variation", "sart", "least_squares", "fbp", "constant"),
        renderer="inrbench_task_ct.renderer:CtRenderer",
        training={"batch": 1024},
        api=1,
    )
