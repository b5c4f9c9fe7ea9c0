"""Which samples of a recording are never trained on."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from inrbench_core import DataError, SeedStreams
from inrbench_task_audio.plugin import HeldOut

Array = np.ndarray[Any, Any]


def held_out_samples(spec: HeldOut | None, size: int, rate: int, seeds: SeedStreams) -> Array:
    """Draw the samples to hold out.

    Args:
        spec: None holds out nothing.
        size: samples of the recording, N.
        rate: samples per second, Hz.
        seeds: the stream "held_out" decides where runs and single samples lie.

    Returns:
        rising indices, int64, (n,); at least one sample is left to train on.

    Raises:
        DataError: if the recording is too short for one run or for a second kept sample, or the share is too large for
            runs of that length.
    """
    if spec is None:
        return np.arange(0)
    if spec.pattern == "decimation":
        if size <= spec.keep_every:
            raise DataError(f"held_out: {size} samples are too few for keep_every: {spec.keep_every}")
        return np.flatnonzero(np.arange(size) % spec.keep_every)
    if spec.pattern == "samples":
        count = min(round(spec.share * size), size - 1)
        return np.sort(seeds.numpy("held_out").permutation(size)[:count])
    return _runs(spec, size, rate, seeds)


def _runs(spec: HeldOut, size: int, rate: int, seeds: SeedStreams) -> Array:
    """Runs of equal length, uniform among all placings that keep both ends and a sample between any two."""
    length = max(1, round(spec.run_ms / 1000.0 * rate))
    if length + 2 > size:
        raise DataError(f"held_out: {size} samples are too few for a run of {length}; give a smaller run_ms")
    count, most = max(1, round(spec.share * size / length)), (size - 1) // (length + 1)
    if count > most:
        largest = math.floor(1000.0 * most * length / size) / 1000.0
        raise DataError(
            f"held_out: share {spec.share:g} is too large for runs of {length} samples with a kept one between any "
            f"two; the largest is {largest:g}: give a smaller share or another run_ms"
        )
    spare = size - count * (length + 1) - 1
    # Multisets of places are sets without repetition in a range longer by count - 1.
    places = np.sort(seeds.numpy("held_out").choice(spare + count, count, replace=False)) - np.arange(count)
    starts = places + np.arange(count) * (length + 1) + 1
    return (starts[:, None] + np.arange(length)).ravel()
