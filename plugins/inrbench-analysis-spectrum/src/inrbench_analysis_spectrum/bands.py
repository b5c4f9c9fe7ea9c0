"""Octave bands by IEC 61260-1:2014."""

from __future__ import annotations

from typing import Any

import numpy as np

from inrbench_analysis_spectrum.grid import without_gaps

Array = np.ndarray[Any, Any]

# Nominal mid-band frequencies in Hz (ISO 266). The exact ones are 1000 * 10^(3 x / 10), x from -5 to 4, and a band
# reaches half a step, 10^(3 / 20), to either side.
NOMINAL = (31.5, 63.0, 125.0, 250.0, 500.0, 1_000.0, 2_000.0, 4_000.0, 8_000.0, 16_000.0)
FIRST_STEP = -5


def octave_bands(hertz: Array) -> tuple[Array, Array] | None:
    """Sort frequencies into octave bands; those with a mid-band frequency below the highest of them are used.

    Args:
        hertz: frequencies in Hz, of any shape; what lies below the first band or above the last counts to it.

    Returns:
        The nominal mid-band frequencies (B,) of the bands that hold a frequency, and the number of each frequency's
        band, int64, of the shape of hertz; None if no mid-band frequency is low enough.
    """
    # A mid-band frequency that is the highest frequency but for rounding is not below it.
    nominal = np.array([middle for middle in NOMINAL if middle < hertz.max() * (1.0 - 1e-9)])
    if not len(nominal):
        return None
    edges = 1000.0 * 10.0 ** (0.3 * (FIRST_STEP + 0.5 + np.arange(len(nominal) - 1)))
    kept, band = without_gaps(np.searchsorted(edges, hertz, side="right"))
    return nominal[kept], band
