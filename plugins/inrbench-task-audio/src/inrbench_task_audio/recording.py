"""From a spec's source to one channel of samples with peak 1."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from math import gcd
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from scipy.signal import resample_poly

from inrbench_core import DataError, cached_arrays
from inrbench_core.api.sources import file_sha256, find_sample
from inrbench_task_audio.plugin import GENERATED, AudioSpec
from inrbench_task_audio.samples import SAMPLES
from inrbench_task_audio.synthesis import DURATION_S, SAMPLE_RATE, synthesise
from inrbench_task_audio.truncation import check_whole

Array = np.ndarray[Any, Any]

MIN_SAMPLES = 16
# Of float32, 2 GiB.
MAX_VALUES = 1 << 29
MAX_GENERATED_S = 3600.0
# What is left of channels that cancel each other is rounding noise.
LEAST_SHARE = 1e-3


@dataclass(frozen=True)
class Recording:
    """A signal to represent.

    Args:
        samples: shape (N,), float32, peak 1.
        rate: samples per second, Hz.
        start_s: when the first sample is, in the source, s.
        peak: what 1 is in the source, whose full scale is 1 if it holds integers.
        record: source, licence, scaling: facts that belong to the result.
    """

    samples: np.ndarray[Any, np.dtype[np.float32]]
    rate: int
    start_s: float
    peak: float
    record: dict[str, str | int | float]


def load_recording(spec: AudioSpec) -> Recording:
    """Generate or read, cut, mix to one channel, resample, and scale to peak 1.

    Raises:
        DataError: if there is no such excerpt or it cannot be used: silence, NaN, too short or too long, truncated,
            not audio.
    """
    record: dict[str, str | int | float] = {"source": spec.source, "synthetic": spec.source in GENERATED}
    if spec.source in GENERATED:
        known = {"source": spec.source}
        make = partial(_generated, spec)
        record["licence"] = "generated; the score is in the public domain"
    else:
        path = find_sample(spec.source, SAMPLES) if spec.source in SAMPLES else Path(spec.source)
        sample = SAMPLES.get(spec.source)
        record["sha256"] = file_sha256(path, sample.sha256 if sample else None)
        record["licence"] = sample.licence if sample else "the user's own"
        known = {"sha256": record["sha256"]}
        make = partial(_read, path, spec)
    options = spec.model_dump(include={"start_s", "duration_s", "sample_rate"})
    arrays = cached_arrays(__name__, {**known, **options}, make)
    samples, rate, peak = arrays["samples"], int(arrays["rate"]), float(np.abs(arrays["samples"]).max())
    record |= {"channels": int(arrays["channels"]), "sample_rate": rate, "samples": samples.size}
    record |= {"duration_s": samples.size / rate, "peak": peak}
    return Recording((samples / peak).astype(np.float32), rate, float(arrays["start_s"]), peak, record)


def _generated(spec: AudioSpec) -> dict[str, Array]:
    end_s = spec.start_s + (DURATION_S if spec.duration_s is None else spec.duration_s)
    if end_s > MAX_GENERATED_S:
        raise DataError(f"{spec.source}: ends at {MAX_GENERATED_S:g} s; give a smaller start_s: or duration_s:")
    start = round(spec.start_s * SAMPLE_RATE)
    return _mixed(synthesise(spec.source, end_s)[start:, None], start, SAMPLE_RATE, spec)


def _read(path: Path, spec: AudioSpec) -> dict[str, Array]:
    try:
        with soundfile.SoundFile(path) as file:
            rate, total = file.samplerate, file.frames
            check_whole(path, total)
            start = round(spec.start_s * rate)
            count = total - start if spec.duration_s is None else round(spec.duration_s * rate)
            if count <= 0 or start + count > total:
                wanted = f"{spec.start_s:g} s to " + ("its end" if count <= 0 else f"{(start + count) / rate:g} s")
                raise DataError(f"{path}: the file is {total / rate:g} s long; there is no excerpt from {wanted}")
            if count * file.channels > MAX_VALUES:
                raise _too_long(str(path), count * file.channels)
            file.seek(start)
            frames = file.read(count, dtype="float32", always_2d=True)
    except (soundfile.LibsndfileError, OSError, TypeError) as error:
        cause = str(error).strip(" .") or "it is damaged"
        raise DataError(f"{path}: not a recording that libsndfile can read ({cause})") from None
    if len(frames) < count:
        raise DataError(f"{path}: truncated: {start + len(frames)} of {total} samples")
    return _mixed(frames, start, rate, spec)


def _mixed(frames: Array, start: int, rate: int, spec: AudioSpec) -> dict[str, Array]:
    """One channel, resampled, of frames (N, channels), the first of which is sample `start` of the source."""
    samples = frames.mean(axis=1)
    if samples.size and np.abs(samples).max() < LEAST_SHARE * np.abs(frames).max():
        raise DataError(f"{spec.source}: the channels cancel each other when they are averaged; give one of them")
    if not np.isfinite(samples).all():
        raise DataError(f"{spec.source}: the recording has samples that are NaN or infinite")
    new_rate = spec.sample_rate or rate
    if new_rate != rate:
        if samples.size * new_rate // rate > MAX_VALUES:
            raise _too_long(spec.source, samples.size * new_rate // rate)
        divisor = gcd(new_rate, rate)
        samples = resample_poly(samples, new_rate // divisor, rate // divisor)
    if samples.size < MIN_SAMPLES:
        raise DataError(f"{spec.source}: the excerpt has {samples.size} samples; at least {MIN_SAMPLES} are needed")
    if not samples.any():
        raise DataError(f"{spec.source}: the excerpt is silent; there is nothing to represent")
    facts = {"rate": new_rate, "channels": frames.shape[1], "start_s": start / rate}
    return {"samples": samples, **{name: np.asarray(value) for name, value in facts.items()}}


def _too_long(source: str, values: int) -> DataError:
    return DataError(f"{source}: the excerpt has {values} values; {MAX_VALUES} are the most: give a duration_s:")
