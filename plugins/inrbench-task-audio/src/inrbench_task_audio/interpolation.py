"""Classical answers for held-out samples. All take the recording (N,), of which held-out samples are not looked at."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
from scipy.fft import dct, idct, irfft, next_fast_len, rfft
from scipy.interpolate import CubicSpline
from scipy.linalg import solve_toeplitz, solveh_banded
from scipy.signal import resample

Array = np.ndarray[Any, Any]
Choice = TypeVar("Choice")

# Of the kept samples, the share that cross-validation holds out, in how many gaps at least, and the largest share of
# one; and how many samples of a recording it takes. With three gaps the order was often not the best one.
_VALIDATED, _LEAST_MADE, _LONGEST_MADE, _MOST_VALIDATED = 0.1, 8, 1 / 16, 1 << 17
# What cross-validation chooses from: bandwidths in cycles per sample with their weight of regularisation, and orders.
_BANDS = tuple((band, weight) for band in (0.03, 0.06, 0.09, 0.12, 0.18, 0.25, 0.4) for weight in (1e-4, 1e-1))
_ORDERS = (32, 128, 512, 1024)
_ITERATIONS = 60
# A block of the autoregressive answer: length, in gaps and at least, and how many samples may be missing in it.
_GAPS, _LEAST_BLOCK, _MOST_MISSING = 16, 4096, 512
_REFITS = 2
# Samples further than this from every kept one are set to 0, which bounds the memory.
_REACH = 8192


def linear(samples: Array, held_out: Array) -> Array:
    """Straight lines between the neighbours; the outermost kept values are repeated beyond them."""
    kept = _kept(samples.size, held_out)
    return np.interp(np.arange(samples.size), kept, samples[kept])


def cubic(samples: Array, held_out: Array) -> Array:
    """The interpolating cubic spline (not-a-knot); the outermost kept values are repeated beyond them."""
    kept = _kept(samples.size, held_out)
    if kept.size < 2:
        return linear(samples, held_out)
    place = np.clip(np.arange(samples.size), kept[0], kept[-1])
    return np.asarray(CubicSpline(kept, samples[kept].astype(np.float64))(place))


def band_limited(samples: Array, held_out: Array) -> Array:
    """Band-limited (sinc) interpolation.

    Where every k-th sample is kept it is the band-limited signal through them, up to their Nyquist frequency: the
    Fourier interpolation of the samples, continued oddly beyond both ends about the line through these, so that the end
    does not jump to the beginning.

    Elsewhere it is the signal that has the kept samples and least energy outside a band, as the iteration of Papoulis
    1975 and Gerchberg 1974 finds it, here by conjugate gradients in the DCT domain. The energy of the held-out samples
    times a weight is added, without which long gaps are not determined. Bandwidth and weight are chosen by
    cross-validation on the kept samples, see `validated`.
    """
    step = _step(_kept(samples.size, held_out))
    if step:
        return _resampled(samples, step)

    def answer(samples: Array, held_out: Array, band: tuple[float, float]) -> Array:
        return _least_outside(samples, held_out, *band)

    return answer(samples, held_out, validated(answer, _BANDS, samples, held_out))


def autoregressive(samples: Array, held_out: Array) -> Array:
    """Least-squares autoregressive interpolation (Janssen, Veldhuis and Vries 1986, IEEE Trans. ASSP 34, 317).

    In blocks, an autoregressive model is fitted to the samples by their autocorrelation, and the missing samples are
    set to those of least prediction error; both twice, from linear interpolation on. The order is chosen by
    cross-validation on the kept samples, see `validated`. Samples further than 8,192 from every kept one are 0: they
    would take too much memory, and their neighbours tell little about them.
    """
    return _predicted(samples, held_out, validated(_predicted, _ORDERS, samples, held_out))


def validated(
    answer: Callable[[Array, Array, Choice], Array], choices: tuple[Choice, ...], samples: Array, held_out: Array
) -> Choice:
    """What interpolates best gaps that are made in the kept samples.

    Of a long recording, 131,072 samples around the middle one of the kept samples are used. The gaps are as long as
    those of the whole recording, but at most a sixteenth of the kept samples in use. They are centred on kept samples
    that are drawn at random, the same at every call. Eight or more cover about a tenth of the kept samples.

    Args:
        answer: fills the gaps of (samples, held_out) in the way that its third argument chooses.
        choices: what there is to choose from.
        samples: shape (N,).
        held_out: rising indices, (n,).

    Returns:
        the choice with the least squared error; the first if nothing is held out or no kept sample is to spare.
    """
    missing = _mask(samples.size, held_out)
    lengths = _gap_lengths(missing)
    if not lengths.size:
        return choices[0]
    kept = np.flatnonzero(~missing)
    start = int(np.clip(kept[kept.size // 2] - _MOST_VALIDATED // 2, 0, max(0, samples.size - _MOST_VALIDATED)))
    samples, missing = (array[start : start + _MOST_VALIDATED] for array in (samples, missing))
    kept = np.flatnonzero(~missing)
    lengths = np.minimum(lengths, max(1, round(_LONGEST_MADE * kept.size)))
    generator = np.random.default_rng(0)
    made = missing.copy()
    count = max(1, min(_LEAST_MADE, kept.size // 2), round(_VALIDATED * kept.size / lengths.mean()))
    for length in generator.choice(lengths, count):
        first = np.clip(generator.choice(kept) - length // 2, 0, samples.size - length)
        made[first : first + length] = True
    probe = made & ~missing
    together = np.flatnonzero(made)
    if not probe.any() or together.size == samples.size:
        return choices[0]
    errors = [np.square(answer(samples, together, choice) - samples)[probe].sum() for choice in choices]
    return choices[int(np.argmin(errors))]


def _resampled(samples: Array, step: int) -> Array:
    kept = samples[::step].astype(np.float64)
    filled = np.full(samples.size, kept[-1])
    last = (kept.size - 1) * step
    line = np.linspace(kept[0], kept[-1], kept.size)
    # One period of the odd continuation.
    period = np.concatenate([kept - line, (line - kept)[-2:0:-1]])
    wave = resample(period, period.size * step)[: last + 1]
    filled[: last + 1] = wave + np.linspace(kept[0], kept[-1], last + 1)
    filled[::step] = kept
    return filled


def _least_outside(samples: Array, held_out: Array, band: float, weight: float) -> Array:
    cut = max(1, round(2.0 * band * samples.size))

    def outside(signal: Array) -> Array:
        coefficients = dct(signal, norm="ortho")
        coefficients[:cut] = 0.0
        return np.asarray(idct(coefficients, norm="ortho"))

    known = samples.astype(np.float64)
    known[held_out] = 0.0
    filled = np.zeros_like(known)
    residual = -outside(known)[held_out]
    direction, energy = residual, residual @ residual
    least = 1e-10 * energy
    for _ in range(_ITERATIONS):
        if energy <= least:
            break
        filled[held_out] = direction
        image = outside(filled)[held_out] + weight * direction
        share = energy / (direction @ image)
        known[held_out] += share * direction
        residual = residual - share * image
        before, energy = energy, residual @ residual
        direction = residual + energy / before * direction
    return known


def _predicted(samples: Array, held_out: Array, order: int) -> Array:
    filled = linear(samples, held_out).astype(np.float64)
    missing = _mask(samples.size, held_out)
    # Not before the first and after the last kept sample: a model predicts from both sides.
    kept = np.flatnonzero(~missing)
    missing[: kept[0]] = missing[kept[-1] :] = False
    blocks = _blocks(missing)
    far = missing & (_distances(missing) > _REACH)
    filled[far] = 0.0
    near = missing & ~far
    for _ in range(_REFITS):
        refilled = filled.copy()
        for start, stop, first, last in blocks:
            at = np.flatnonzero(near[start:stop])
            inner = (at + start >= first) & (at + start < last)
            if inner.any():
                refilled[start + at[inner]] = _least_predicted(filled[start:stop], at, order)[inner]
        filled = refilled
    return filled


def _blocks(missing: Array) -> list[tuple[int, int, int, int]]:
    """Overlapping blocks, start and stop, and the part in the middle of each that it answers for."""
    gap = int(_gap_lengths(missing).max(initial=1))
    length = min(max(_LEAST_BLOCK, _GAPS * gap), round(_MOST_MISSING / max(missing.mean(), 1e-9)))
    half = max(length // 2, 2 * gap)
    return [
        (max(0, first - half // 2), min(missing.size, first + half + half // 2), first, min(missing.size, first + half))
        for first in range(0, missing.size, half)
    ]


def _least_predicted(block: Array, at: Array, order: int) -> Array:
    """Samples `at` of a block by the autoregressive model of the block as it is."""
    order = min(order, block.size // 4)
    length = next_fast_len(block.size + order, real=True)
    correlation = irfft(np.square(np.abs(rfft(block, length))), length)[: order + 1]
    if order < 1 or correlation[0] <= 0.0:
        return block[at]
    # White noise 60 dB below the block keeps the equations well conditioned.
    correlation[0] *= 1.0 + 1e-6
    error_filter = np.concatenate([[1.0], -solve_toeplitz(correlation[:-1], correlation[1:])])
    weights = np.correlate(error_filter, error_filter, "full")
    known = block.copy()
    known[at] = 0.0
    pulled = np.convolve(known, weights)[order:][at]
    # The matrix is 0 where samples are further apart than the order, so that a band below its diagonal is enough.
    band = int((np.searchsorted(at, at + order, "right") - np.arange(at.size)).max())
    matrix = np.zeros((band, at.size), order="F")
    for row in range(band):
        apart = at[row:] - at[: at.size - row]
        matrix[row, : apart.size] = np.where(apart <= order, weights[order + np.minimum(apart, order)], 0.0)
    return np.asarray(solveh_banded(matrix, -pulled, overwrite_ab=True, lower=True))


def _distances(missing: Array) -> Array:
    """From each sample to the nearest that is not missing, of which there is at least one."""
    places, kept = np.arange(missing.size), np.flatnonzero(~missing)
    after = np.searchsorted(kept, places)
    left, right = kept[np.maximum(after - 1, 0)], kept[np.minimum(after, kept.size - 1)]
    return np.minimum(np.abs(places - left), np.abs(right - places))


def _gap_lengths(missing: Array) -> Array:
    """The lengths of runs of missing samples, in their order."""
    edges = np.flatnonzero(np.diff(missing.astype(np.int8), prepend=0, append=0))
    return np.diff(edges)[::2]


def _mask(size: int, held_out: Array) -> Array:
    missing = np.zeros(size, bool)
    missing[held_out] = True
    return missing


def _kept(size: int, held_out: Array) -> Array:
    return np.flatnonzero(~_mask(size, held_out))


def _step(kept: Array) -> int:
    """k where samples 0, k, 2 k and so on are kept, else 0."""
    steps = np.unique(np.diff(kept))
    return int(steps[0]) if steps.size == 1 and kept[0] == 0 and steps[0] > 1 else 0
