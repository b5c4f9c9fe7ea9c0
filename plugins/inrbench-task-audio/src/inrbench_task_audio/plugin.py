"""The entry of this distribution. Imports no torch."""

from collections.abc import Iterator
from typing import Literal

from pydantic import Field, ValidationInfo, field_validator, model_validator

from inrbench_core import ComponentSpec, Metric, TaskEntry, TaskSpec, hookimpl
from inrbench_core.api.sources import find_source
from inrbench_task_audio.samples import SAMPLES

GENERATED = ("cello", "pluck")


class HeldOut(ComponentSpec):
    """Which samples are never trained on."""

    pattern: Literal["runs", "decimation", "samples"] = Field(
        "runs",
        description="runs of neighbouring samples, all but every k-th sample, or single samples at random places",
    )
    share: float = Field(0.1, gt=0, le=0.9, description="runs and samples: share of the samples that is held out")
    run_ms: float = Field(0.5, gt=0, le=1000, description="runs: length of a run, ms; one sample at least")
    keep_every: int = Field(8, ge=2, le=1000, description="decimation: samples 0, k, 2 k and so on are trained on")

    @model_validator(mode="after")
    def _no_option_of_another_pattern(self) -> "HeldOut":
        for name, patterns in _PATTERNS_OF.items():
            if self.pattern not in patterns and getattr(self, name) != type(self).model_fields[name].default:
                raise ValueError(f"{name} belongs to pattern {' or '.join(patterns)}, not to {self.pattern}")
        return self


_PATTERNS_OF = {"share": ("runs", "samples"), "run_ms": ("runs",), "keep_every": ("decimation",)}


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
    held_out: HeldOut | None = Field(
        HeldOut(),
        description="samples that are never trained on: {pattern: runs, share: 0.1, run_ms: 0.5}, "
        "{pattern: decimation, keep_every: 8}, {pattern: samples, share: 0.1}, or null for none",
    )
    values_per_parameter: float = Field(
        4.0, gt=0, description="values of the signal for each number that the transform-coding baselines keep"
    )

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
            Metric("lsd_neaf", higher_is_better=False, column=False),
        ),
        baselines=("silence", "linear", "cubic", "sinc", "autoregressive", "mdct", "mdct_counted"),
        rank_by="snr_held_out",
        renderer="inrbench_task_audio.renderer:AudioRenderer",
        api=1,
    )
