"""How near two waveforms are. All take one channel, shape (N,), and compute in float64."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from scipy import fft
from scipy.signal.windows import hann

Array = np.ndarray[Any, Any]

FRAME = 2048
HOP = 512
FLOOR_DB = -100.0
_FRAMES_AT_A_TIME = 512


def snr(reference: Array, estimate: Array) -> float:
    """Signal-to-noise ratio 10 log10(sum r^2 / sum (r - e)^2) in dB: 0 for silence, infinite for a copy.

    NaN if there are no samples or the reference is silent.
    """
    signal = float(np.square(reference, dtype=np.float64).sum())
    noise = float(np.square(np.subtract(reference, estimate, dtype=np.float64)).sum())
    if signal == 0.0:
        return math.nan
    return _decibels(signal, noise)


def psnr(reference: Array, estimate: Array) -> float:
    """Peak signal-to-noise ratio 10 log10(4 / MSE) in dB, for signals in [-1, 1]."""
    error = float(np.square(np.subtract(reference, estimate, dtype=np.float64)).mean())
    return _decibels(4.0, error)


def _decibels(power: float, error: float) -> float:
    """10 log10(power / error), also where a model's answer is a copy or has overflowed."""
    if error == 0.0:
        return math.inf
    return -math.inf if math.isinf(error) else 10.0 * math.log10(power / error)


def log_spectral_distance(reference: Array, estimate: Array) -> float:
    """RMS over frequency of the difference of two short-time power spectra in dB, averaged over time.

    Gray and Markel 1976, "Distance measures for speech processing". Frames of 2048 samples (Hann), a
    hop of 512, zeros beyond both ends; levels below -100 dB of a full-scale sine count as -100 dB.
    """
    total, frames = 0.0, 0
    starts = np.arange(0, max(1, reference.size), HOP)
    for part in np.array_split(starts, math.ceil(starts.size / _FRAMES_AT_A_TIME)):
        difference = levels(reference, part, FRAME) - levels(estimate, part, FRAME)
        total += float(np.sqrt(np.square(difference).mean(axis=1)).sum())
        frames += part.size
    return total / frames


def levels(samples: Array, centres: Array, frame: int) -> Array:
    """Short-time spectra, 0 dB for a full-scale sine.

    Args:
        samples: shape (N,).
        centres: where the frames are centred, sample indices in [0, N), shape (M,), rising.
        frame: window length in samples, even.

    Returns:
        shape (M, frame / 2 + 1), float64, dB, not below FLOOR_DB.
    """
    window = hann(frame, sym=False)
    first, last = int(centres[0]) - frame // 2, int(centres[-1]) + frame // 2
    padded = np.zeros(last - first)
    inside = samples[max(first, 0) : min(last, samples.size)]
    padded[max(first, 0) - first :][: inside.size] = inside
    pieces = np.lib.stride_tricks.sliding_window_view(padded, frame)[centres - centres[0]]
    amplitude = np.abs(fft.rfft(pieces * window, axis=1)) * (2.0 / window.sum())
    return np.asarray(20.0 * np.log10(np.maximum(amplitude, 10.0 ** (FLOOR_DB / 20.0))))
