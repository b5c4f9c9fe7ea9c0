"""Two generated recordings of the opening of Bach's first cello suite (BWV 1007), a public-domain score.

`cello` is additive synthesis of a bowed string, made to have the octave-band energies of the cello
recording that SIREN was shown on. `pluck` is a plucked string (Karplus and Strong 1983), brighter
and so harder. Both are the same, bit for bit, at every call: their noise has a fixed seed.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.signal import lfilter, oaconvolve

SAMPLE_RATE = 44_100
DURATION_S = 7.0

_FIGURES = (
    "G2 D3 B3 A3 B3 D3 B3 D3",
    "G2 E3 C4 B3 C4 E3 C4 E3",
    "G2 F#3 C4 B3 C4 F#3 C4 F#3",
    "G2 G3 B3 A3 B3 G3 B3 G3",
)
_SEMITONES = {"C": 0, "D": 2, "E": 4, "F": 5, "F#": 6, "G": 7, "A": 9, "B": 11}
_NOTE_S = 0.203
_ATTACK_S = 0.035
_RELEASE_S = 0.09
_REVERB_S = 0.7

# Resonances of the body: frequency in Hz, quality, gain.
_RESONANCES = np.array(
    [
        (98.0, 4.0, 1.1),
        (185.0, 5.0, 1.2),
        (250.0, 4.0, 2.2),
        (440.0, 4.0, 1.0),
        (750.0, 4.0, 0.9),
        (1500.0, 3.0, 1.0),
        (3200.0, 3.0, 1.0),
    ]
)

Array = np.ndarray[Any, Any]


def _pitch(name: str) -> float:
    """Equal temperament, A4 = 440 Hz."""
    return float(440.0 * 2.0 ** (int(name[-1]) - 4 + (_SEMITONES[name[:-1]] - 9) / 12))


# Each bar is played twice, as written.
_NOTES = [_pitch(name) for figure in _FIGURES for name in figure.split() * 2]


def synthesise(name: str, duration_s: float = DURATION_S) -> Array:
    """Make a recording.

    Args:
        name: cello or pluck.
        duration_s: length in s; the four bars are repeated as often as needed.

    Returns:
        shape (round(duration_s * SAMPLE_RATE),), float64, peak 1.
    """
    rng = np.random.default_rng(1007)
    length = max(1, round(duration_s * SAMPLE_RATE))
    voice = {"cello": _bowed_note, "pluck": _plucked_note}[name]
    dry = np.zeros(length + SAMPLE_RATE)  # the last note may end later
    start = index = 0
    while start < length:
        note_s = _NOTE_S * (1.0 + 0.03 * rng.uniform(-1.0, 1.0))
        note = voice(_NOTES[index % len(_NOTES)], note_s, rng) * (1.0 if index % 8 == 0 else 0.7)
        dry[start : start + note.size] += note
        start += round(note_s * SAMPLE_RATE)
        index += 1
    sound = _reverberate(dry, rng)[:length]
    sound /= np.abs(sound).max()
    sound += 2e-4 * rng.standard_normal(length)
    return np.asarray(sound / np.abs(sound).max())


def _body(frequency: Array) -> Array:
    """Amplitude response of the instrument's body."""
    centre, quality, gain = _RESONANCES.T[:, :, None]
    detune = quality * (frequency / centre - centre / frequency)
    resonant = 0.25 + (gain / np.sqrt(1.0 + detune**2)).sum(0)
    roll_off = 1.0 / np.sqrt(1.0 + (frequency / 3600.0) ** 6)  # 18 dB per octave
    return np.asarray(resonant * frequency / (frequency + 60.0) * roll_off)


def _envelope(size: int, note_s: float) -> Array:
    """Attack to 1, then, from the note's end, an exponential release."""
    t = np.arange(size) / SAMPLE_RATE
    return np.asarray(np.minimum(t / _ATTACK_S, 1.0) * np.exp(-np.maximum(t - note_s, 0.0) / (_RELEASE_S / 3.0)))


def _smooth_noise(size: int, width_s: float, rng: np.random.Generator) -> Array:
    """Noise of unit standard deviation that changes over about `width_s`."""
    knots = rng.standard_normal(int(size / SAMPLE_RATE / width_s) + 2)
    return np.asarray(np.interp(np.arange(size) / SAMPLE_RATE / width_s, np.arange(knots.size), knots))


def _bowed_note(frequency: float, note_s: float, rng: np.random.Generator) -> Array:
    size = round((note_s + _RELEASE_S) * SAMPLE_RATE)
    t = np.arange(size) / SAMPLE_RATE
    vibrato = 2.0 ** (6.0 / 1200.0 * np.sin(2.0 * np.pi * (5.6 * t + rng.uniform())))
    phase = 2.0 * np.pi * frequency * np.cumsum(vibrato) / SAMPLE_RATE
    k = np.arange(1, int(min(0.45 * SAMPLE_RATE, 9000.0) / frequency) + 1)
    amplitude = _body(k * frequency) / k * rng.uniform(0.75, 1.25, k.size)
    amplitude *= np.sqrt(np.abs(np.sin(0.13 * np.pi * k)))  # where the bow touches the string
    offset = rng.uniform(0.0, 2.0 * np.pi, k.size)
    note = np.zeros(size)
    for harmonic, strength, shift in zip(k, amplitude, offset, strict=True):
        note += strength * np.sin(harmonic * phase + shift)
    note *= 1.0 + 0.1 * _smooth_noise(size, 0.05, rng)
    note += 0.02 * np.abs(note).max() * lfilter([0.2], [1.0, -0.9], rng.standard_normal(size))  # the bow's hiss
    return np.asarray(note * _envelope(size, note_s))


def _plucked_note(frequency: float, note_s: float, rng: np.random.Generator) -> Array:
    size = round((note_s + _RELEASE_S) * SAMPLE_RATE)
    period = round(SAMPLE_RATE / frequency - 0.5)
    burst = np.zeros(size)
    burst[:period] = lfilter([0.4], [1.0, -0.6], rng.uniform(-1.0, 1.0, period))
    loop = np.zeros(period + 2)
    loop[0], loop[-2:] = 1.0, -0.498  # the mean of two neighbours, with a little loss
    return np.asarray(lfilter([1.0], loop, burst) * _envelope(size, note_s))


def _reverberate(dry: Array, rng: np.random.Generator) -> Array:
    """A quarter of a room whose echo is exponentially decaying noise (-60 dB at its end)."""
    t = np.arange(round(_REVERB_S * SAMPLE_RATE)) / SAMPLE_RATE
    echo = rng.standard_normal(t.size) * np.exp(-6.9 * t / _REVERB_S)
    wet = oaconvolve(dry, echo / np.linalg.norm(echo))[: dry.size]
    return np.asarray(0.75 * dry + 0.25 * wet)
