"""The entry of this distribution. Imports no torch."""

from collections.abc import Iterator
from pathlib import Path

from pydantic import Field, ValidationInfo, field_validator

from inrbench_core import Metric, TaskEntry, TaskSpec, hookimpl
from inrbench_core.plugins.suggest import did_you_mean

NAMED = ("thorax", "shepp_logan", "pancreas")
SMALLEST = 16


class CtSpec(TaskSpec):
    """Reconstruct a slice from its X-ray projections in few directions."""

    source: str = Field(
        "thorax",
        validate_default=False,
        description="thorax, shepp_logan or pancreas, or a dcm, png, tif or npy file",
    )
    size: int | None = Field(None, ge=SMALLEST, description="pixels of a side; default: 256 for thorax, else as it is")
    views: int = Field(40, ge=1, description="directions, evenly spread over 180 degrees")
    samples: int | None = Field(None, ge=2, description="points along a ray; default: as many as pixels of a side")
    noise: float = Field(
        0.0, ge=0, description="standard deviation of the noise on the bins, as a share of the largest one"
    )

    @field_validator("source")
    @classmethod
    def _find(cls, source: str, info: ValidationInfo) -> str:
        """A known name as it is; else the absolute path of a file that is there."""
        if source in NAMED:
            return source
        path = Path((info.context or {}).get("folder", "."), Path(source).expanduser()).resolve()
        if path.is_file():
            return str(path)
        if path.is_dir():
            raise ValueError(f"{path} is a folder; a slice is one file")
        if path.suffix or len(Path(source).parts) > 1:
            raise ValueError(f"no such file: {path}")
        raise ValueError(
            f"unknown slice {source!r}{did_you_mean(source, NAMED)} (known: {', '.join(NAMED)}, or a file)"
        )


@hookimpl
def inrbench_tasks() -> Iterator[TaskEntry]:
    yield TaskEntry(
        "ct",
        CtSpec,
        "inrbench_task_ct.problem:prepare",
        reference="Kak and Slaney 1988, chapter 3; with INRs: Sun et al. 2021, arXiv:2102.05181",
        formula="mean over bins of (integral of f along the ray - measured)^2",
        signal="scan",
        direction="inverse",
        metrics=(Metric("psnr", "dB"), Metric("ssim")),
        baselines=("fbp", "constant"),
        training={"batch": 1024},
    )
