"""The entry of this distribution. Imports no torch."""

from collections.abc import Iterator

from pydantic import Field, ValidationInfo, field_validator

from inrbench_core import Metric, TaskEntry, TaskSpec, hookimpl
from inrbench_core.api.sources import find_source
from inrbench_task_audio.samples import SAMPLES

GENERATED = ("cello", "pluck")


class AudioSpec(TaskSpec):
    """Fit a recording: amplitude as a function of time."""

    source: str = Field(
        "cello",
        validate_default=False,
        description="cello or pluck (generated), flute or speech (extra [samples]), or a wav, flac, ogg or aiff file",
    )
    start_s: float = Field(0.0, ge=0, le=86_400, description="where the excerpt begins, s")
    duration_s: float | None = Field(
        None, gt=0, le=3600, description="length of the excerpt, s; default: 7 s of a generated source, all of a file"
    )
    sample_rate: int | None = Field(
        None, ge=1000, le=384_000, description="resample to this rate, Hz; default: the source's own"
    )
    held_out: float = Field(0.1, ge=0, le=0.9, description="share of the samples that is never trained on")

    @field_validator("source")
    @classmethod
    def _find(cls, source: str, info: ValidationInfo) -> str:
        return find_source(source, info, "recording", GENERATED, SAMPLES)


@hookimpl
def inrbench_tasks() -> Iterator[TaskEntry]:
    yield TaskEntry(
        "audio",
        AudioSpec,
        "inrbench_task_audio.problem:prepare",
        reference="Sitzmann et al. 2020, arXiv:2006.09661, section 4.1",
        formula="mean of (f(t) - amplitude(t))^2 over the training samples",
        training={"batch": 16_384},
        signal="audio",
        metrics=(
            Metric("snr", "dB"),
            Metric("lsd", "dB", higher_is_better=False),
            Metric("psnr", "dB"),
            Metric("snr_train", "dB"),
            Metric("snr_held_out", "dB"),
        ),
        baselines=("silence", "linear"),
        rank_by="snr_held_out",
        renderer="inrbench_task_audio.renderer:AudioRenderer",
        api=1,
    )
