"""From a spec's source to one channel of samples with peak 1."""

from __future__ import annotations

from dataclasses import dataclass
from math import gcd
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from scipy.signal import resample_poly

from inrbench_core import DataError
from inrbench_core.api.sources import file_sha256, find_sample
from inrbench_task_audio.plugin import GENERATED, AudioSpec
from inrbench_task_audio.samples import SAMPLES
from inrbench_task_audio.synthesis import DURATION_S, SAMPLE_RATE, synthesise

MIN_SAMPLES = 16
# What is left of channels that cancel each other is rounding noise.
LEAST_SHARE = 1e-3


@dataclass(frozen=True)
class Recording:
    """A signal to represent.

    Args:
        samples: shape (N,), float32, peak 1.
        rate: samples per second, Hz.
        record: source, licence, scaling: facts that belong to the result.
    """

    samples: np.ndarray[Any, np.dtype[np.float32]]
    rate: int
    record: dict[str, str | int | float]


def load_recording(spec: AudioSpec) -> Recording:
    """Generate or read, cut, mix to one channel, resample, and scale to peak 1.

    Raises:
        DataError: if there is no such excerpt or it cannot be used: silence, NaN, too short, not audio.
    """
    record: dict[str, str | int | float] = {"source": spec.source}
    if spec.source in GENERATED:
        samples = _generated(spec)
        rate = SAMPLE_RATE
        record |= {"channels": 1, "licence": "generated; the score is in the public domain"}
    else:
        path = find_sample(spec.source, SAMPLES) if spec.source in SAMPLES else Path(spec.source)
        sample = SAMPLES.get(spec.source)
        record["sha256"] = file_sha256(path, sample.sha256 if sample else None)
        record["licence"] = sample.licence if sample else "the user's own"
        frames, rate = _read(path, spec)
        record["channels"] = frames.shape[1]
        samples = frames.mean(axis=1)
        if samples.size and np.abs(samples).max() < LEAST_SHARE * np.abs(frames).max():
            raise DataError(f"{spec.source}: the channels cancel each other when they are averaged; give one of them")
    if not np.isfinite(samples).all():
        raise DataError(f"{spec.source}: the recording has samples that are NaN or infinite")
    if spec.sample_rate is not None and spec.sample_rate != rate:
        divisor = gcd(spec.sample_rate, rate)
        samples = resample_poly(samples, spec.sample_rate // divisor, rate // divisor)
        rate = spec.sample_rate
    if samples.size < MIN_SAMPLES:
        raise DataError(f"{spec.source}: the excerpt has {samples.size} samples; at least {MIN_SAMPLES} are needed")
    peak = float(np.abs(samples).max())
    if peak == 0.0:
        raise DataError(f"{spec.source}: the excerpt is silent; there is nothing to represent")
    record |= {"sample_rate": rate, "samples": samples.size, "duration_s": samples.size / rate, "peak": peak}
    return Recording((samples / peak).astype(np.float32), rate, record)


def _generated(spec: AudioSpec) -> np.ndarray[Any, Any]:
    duration_s = DURATION_S if spec.duration_s is None else spec.duration_s
    start = round(spec.start_s * SAMPLE_RATE)
    return synthesise(spec.source, spec.start_s + duration_s)[start:]


def _read(path: Path, spec: AudioSpec) -> tuple[np.ndarray[Any, np.dtype[np.float32]], int]:
    """The excerpt only, shape (N, channels), and the file's sample rate."""
    try:
        with soundfile.SoundFile(path) as file:
            rate, total = file.samplerate, file.frames
            start = round(spec.start_s * rate)
            count = total - start if spec.duration_s is None else round(spec.duration_s * rate)
            if count <= 0 or start + count > total:
                wanted = f"{spec.start_s:g} s to " + ("its end" if count <= 0 else f"{(start + count) / rate:g} s")
                raise DataError(f"{path}: the file is {total / rate:g} s long; there is no excerpt from {wanted}")
            file.seek(start)
            return file.read(count, dtype="float32", always_2d=True), rate
    except (soundfile.LibsndfileError, OSError, TypeError) as error:
        raise DataError(f"{path}: not a recording that libsndfile can read ({error})") from None
