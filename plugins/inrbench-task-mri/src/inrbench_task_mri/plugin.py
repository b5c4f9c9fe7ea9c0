"""The entry of this distribution. Imports no torch."""

from collections.abc import Iterator
from typing import Literal

from inrbench_task_image.spec import RegularisedSpec
from pydantic import Field, ValidationInfo, field_validator

from inrbench_core import Metric, TaskEntry, hookimpl
from inrbench_core.api.sources import Sample, find_source

DRAWN = ("shepp_logan",)
NIFTI_EXTRA = "inrbench-task-mri[nifti]"
SAMPLES = {
    "brain": Sample(
        "nilearn",
        "mni_icbm152_t1_tal_nlin_sym_09a_converted.nii.gz",
        "421a10e872fd6cadae7f61d358dffbcc1795a497d61ee76c5dda2503e1a1e9e6",
        "MNI152 2009a, (C) 1993-2009 Louis Collins, McConnell Brain Imaging Centre, free to use with this notice",
        "inrbench-task-mri[samples]",
    )
}
# Pixels of a side: of the slice, and of what is read.
SMALLEST, LARGEST, LARGEST_READ = 16, 512, 4096


class MriSpec(RegularisedSpec):
    """Reconstruct a slice of a body from part of its k-space."""

    source: str = Field(
        "shepp_logan",
        validate_default=False,
        description="shepp_logan (drawn), brain (extra [samples]: T1 of the mean of 152 people), a nii or nii.gz file "
        "(extra [nifti]), a npy file with a picture, real or complex, or a png, jpg or tif file",
    )
    plane: Literal["axial", "coronal", "sagittal"] = Field("axial", description="of a slice of a volume")
    slice: int | None = Field(
        None,
        ge=0,
        description="its number in a volume, from inferior, posterior or left; default: the one in the middle",
    )
    size: int | None = Field(128, ge=SMALLEST, le=LARGEST, description="pixels of a side; null: as it is")
    trajectory: Literal["cartesian", "radial", "golden_angle"] = Field(
        "cartesian",
        description="lines along the rows' axis of k-space, or spokes through its centre, evenly spread over 180 "
        "degrees or each 111.246 degrees from the one before",
    )
    acceleration: float = Field(
        4.0, ge=1, description="lines of the whole k-space, as many as pixels of a side, for each one that is measured"
    )
    spokes: int | None = Field(
        None, ge=1, le=10_000, description="lines of the other two trajectories; default: as many as cartesian ones"
    )
    centre_share: float = Field(
        0.32,
        ge=0,
        le=1,
        description="of the measured lines, those around the centre, where none is left out (cartesian)",
    )
    noise: float = Field(
        0.02,
        ge=0,
        description="standard deviation of the noise, of the real and of the imaginary part, that the whole k-space "
        "would leave in the slice, as a share of its largest value",
    )

    @field_validator("source")
    @classmethod
    def _find(cls, source: str, info: ValidationInfo) -> str:
        """A known name as it is; else the absolute path of a file that is there."""
        return find_source(source, info, "slice", DRAWN, SAMPLES)


@hookimpl
def inrbench_tasks() -> Iterator[TaskEntry]:
    yield TaskEntry(
        "mri",
        MriSpec,
        "inrbench_task_mri.problem:prepare",
        reference="Lustig et al. 2007, Magn. Reson. Med. 58:1182; with INRs: Shen et al. 2021, arXiv:2108.10991",
        formula="mean over samples of |(Fourier transform of f) - measured|^2, over the mean of |measured|^2, and the "
        "regulariser; f in [0, 1]",
        signal="scan",
        direction="inverse",
        metrics=(
            Metric("psnr", "dB"),
            Metric("ssim"),
            Metric("nmse", higher_is_better=False, column=False),
            Metric("snr_kspace", "dB", higher_is_better=None, column=False),
        ),
        baselines=("zero_filled", "least_squares", "total_variation", "constant"),
        renderer="inrbench_task_image.renderer:PictureRenderer",
        training={"batch": "full"},
        api=1,
    )
