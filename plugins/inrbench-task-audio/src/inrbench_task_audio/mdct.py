"""Transform coding of sound: what is left of a recording when only its largest MDCT coefficients are kept."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.fft import dct

Array = np.ndarray[Any, Any]

# Frame lengths that the encoder tries, in samples: 6 to 186 ms at 44.1 kHz.
FRAMES = (256, 512, 1024, 2048, 4096, 8192)


def mdct_coded(samples: Array, numbers: int, *, counted: bool) -> Array:
    """A recording made of its largest MDCT coefficients, of the frame length that has the least error.

    One length serves the whole recording. It is not counted, nor are the coefficients rounded.

    Args:
        samples: shape (N,).
        numbers: how many numbers the answer may be made of, at least 0.
        counted: whether the position of a coefficient is one number too, so that half as many are kept.

    Returns:
        shape (N,), float32.
    """
    kept = numbers // 2 if counted else numbers
    answers = (_coded(samples.astype(np.float64), kept, frame) for frame in FRAMES)
    return min(answers, key=lambda answer: float(np.square(answer - samples).sum())).astype(np.float32)


def mdct(samples: Array, frame: int) -> Array:
    """The modified discrete cosine transform with the sine window (Princen, Johnson and Bradley 1987).

    Frames overlap by half, and the first overlaps the last, so that the transform is orthonormal: as many coefficients
    as samples, and the energy of both is the same.

    Args:
        samples: shape (N,), N a multiple of frame / 2.
        frame: frame length, a multiple of 4.

    Returns:
        shape (2 N / frame, frame / 2): coefficient k of a frame is sqrt(4 / frame) times the sum over n of
        window[n] samples[n] cos(2 pi / frame (n + 1 / 2 + frame / 4) (k + 1 / 2)).
    """
    blocks = samples.reshape(-1, frame // 2)
    rising, falling = _window(frame)
    a, b = np.split(blocks * rising, 2, axis=1)
    c, d = np.split(np.roll(blocks, -1, axis=0) * falling, 2, axis=1)
    folded = np.concatenate([-c[:, ::-1] - d, a - b[:, ::-1]], axis=1)
    return np.asarray(dct(folded, 4, norm="ortho", axis=1))


def inverse_mdct(coefficients: Array) -> Array:
    """The samples (N,) of coefficients (2 N / frame, frame / 2), as `mdct` gives them."""
    frame = 2 * coefficients.shape[1]
    first, second = np.split(dct(coefficients, 4, norm="ortho", axis=1), 2, axis=1)
    rising, falling = _window(frame)
    head = np.concatenate([second, -second[:, ::-1]], axis=1) * rising
    tail = np.concatenate([-first[:, ::-1], -first], axis=1) * falling
    return np.asarray(head + np.roll(tail, 1, axis=0)).ravel()


def _coded(samples: Array, kept: int, frame: int) -> Array:
    padded = np.pad(samples, (0, -samples.size % (frame // 2)))
    coefficients = mdct(padded, frame)
    flat = coefficients.ravel()
    if kept < flat.size:
        flat[np.argpartition(np.abs(flat), flat.size - kept - 1)[: flat.size - kept]] = 0.0
    return inverse_mdct(flat.reshape(coefficients.shape))[: samples.size]


def _window(frame: int) -> tuple[Array, Array]:
    """Both halves of the sine window."""
    window = np.sin(np.pi / frame * (np.arange(frame) + 0.5))
    return window[: frame // 2], window[frame // 2 :]
