"""How near two waveforms are. All take one channel, shape (N,), and compute in float64."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from scipy import fft
from scipy.signal.windows import hann

from inrbench_core import decibels

Array = np.ndarray[Any, Any]

FRAME = 2048
HOP = 512
FLOOR_DB = -100.0
_FRAMES_AT_A_TIME = 512


def snr(reference: Array, estimate: Array) -> float:
    """Signal-to-noise ratio 10 log10(sum r^2 / sum (r - e)^2) in dB: 0 for silence, 200 for a copy.

    NaN if there are no samples or the reference is silent.
    """
    signal = float(np.square(reference, dtype=np.float64).sum())
    noise = float(np.square(np.subtract(reference, estimate, dtype=np.float64)).sum())
    return decibels(signal, noise) if signal else math.nan


def psnr(reference: Array, estimate: Array) -> float:
    """Peak signal-to-noise ratio 10 log10(4 / MSE) in dB, for signals in [-1, 1]: 200 for a copy."""
    return decibels(4.0, float(np.square(np.subtract(reference, estimate, dtype=np.float64)).mean()))


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


def log_spectral_distance_neaf(reference: Array, estimate: Array) -> float:
    """The log-spectral distance of NeAF's code (arXiv 2601.06406; github.com/lif314/NeAF, metrics.py).

    Of x = log10(|S|^2 + 1e-8) of both, where S is the plain DFT of frames of 2048 samples without a window, a hop of
    512, the signal mirrored at both ends: the root over time of the mean square difference plus 1e-8, averaged over
    frequency, at most 10. In the literature the root is over frequency and the average over time. 1 is 10 dB; and the
    floor of 1e-8 is 140 dB below a full-scale sine, where that of `log_spectral_distance` is 100 dB below.

    Returns:
        NaN for fewer than 1,025 samples, which cannot be mirrored.
    """
    if reference.size <= FRAME // 2:
        return math.nan
    total, frames = np.zeros(FRAME // 2 + 1), 1 + reference.size // HOP
    signals = [np.pad(signal.astype(np.float64), FRAME // 2, "reflect") for signal in (reference, estimate)]
    pieces = [np.lib.stride_tricks.sliding_window_view(signal, FRAME)[::HOP] for signal in signals]
    for first in range(0, frames, _FRAMES_AT_A_TIME):
        spectra = (fft.rfft(piece[first : first + _FRAMES_AT_A_TIME], axis=1) for piece in pieces)
        one, other = (np.log10(np.square(np.abs(spectrum)) + 1e-8) for spectrum in spectra)
        total += np.square(one - other).sum(axis=0)
    return min(float(np.sqrt(total / frames + 1e-8).mean()), 10.0)


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
