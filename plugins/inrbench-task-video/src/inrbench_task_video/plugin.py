"""The entry of this distribution. Imports no torch."""

import importlib.util
from collections.abc import Iterator
from pathlib import Path

from pydantic import Field, ValidationInfo, field_validator

from inrbench_core import Metric, TaskEntry, TaskSpec, hookimpl
from inrbench_core.api.sources import find_source
from inrbench_task_video.samples import SAMPLES

GENERATED = "panzoom"
# What is read without a video decoder; every other file goes to av.
PLAIN_SUFFIXES = (".gif", ".npy")


class VideoSpec(TaskSpec):
    """Fit a video: colour as a function of time and place."""

    source: str = Field(
        GENERATED,
        validate_default=False,
        description="panzoom (generated), bikes or carphone (extra [samples]), a gif or npy file, a folder of frames, "
        "or a video file (extra [video])",
    )
    start: int = Field(0, ge=0, description="first frame")
    frames: int | None = Field(
        None, ge=2, le=1_000_000, description="number of frames; default: 48 of panzoom, all that follow of a file"
    )
    size: int | None = Field(
        None, ge=2, le=8192, description="longer side of a frame, pixels; default: 128 of panzoom, as it is of a file"
    )
    keep_every: int | None = Field(
        4,
        ge=2,
        le=1000,
        description="every k-th frame from the first on, and the last, is trained on, and the others are held out; "
        "null: all are trained on",
    )
    values_per_parameter: float = Field(
        4, gt=0, description="values of the signal for each number that the transform-coding baselines keep"
    )

    @field_validator("source")
    @classmethod
    def _find(cls, source: str, info: ValidationInfo) -> str:
        found = find_source(source, info, "clip", (GENERATED,), SAMPLES, folders=True)
        if found in SAMPLES:
            _require_decoder(source, "samples")
        elif Path(found).is_file() and Path(found).suffix.lower() not in PLAIN_SUFFIXES:
            _require_decoder(source, "video")
        return found


def _require_decoder(source: str, extra: str) -> None:
    if importlib.util.find_spec("av") is None:
        raise ValueError(f"{source!r} needs an extra to be decoded: pip install 'inrbench-task-video[{extra}]'")


@hookimpl
def inrbench_tasks() -> Iterator[TaskEntry]:
    yield TaskEntry(
        "video",
        VideoSpec,
        "inrbench_task_video.problem:prepare",
        reference="Sitzmann et al. 2020, arXiv:2006.09661, section 4.1",
        formula="mean of (f(t, y, x) - colour(t, y, x))^2 over the pixels of the training frames",
        training={"batch": 16_384},
        signal="video",
        metrics=(
            Metric("psnr", "dB"),
            Metric("ssim"),
            Metric("psnr_train", "dB"),
            Metric("psnr_held_out", "dB"),
        ),
        baselines=("constant", "linear", "motion_compensated", "dct", "dct_counted"),
        rank_by="psnr_held_out",
        renderer="inrbench_task_video.renderer:VideoRenderer",
        api=1,
    )
