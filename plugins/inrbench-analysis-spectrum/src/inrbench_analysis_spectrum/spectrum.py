"""The error of a model by frequency: in rings of |k|, and for recordings in octave bands."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from torch import nn

from inrbench_analysis_spectrum.bands import octave_bands
from inrbench_analysis_spectrum.grid import Grid, equal_rings, has_grid, make_grid, mode_energy, sum_by_ring
from inrbench_analysis_spectrum.plugin import SpectrumSpec
from inrbench_core import Analysis, Moment, Observation, Problem, UnsupportedError, predict

Array = np.ndarray[Any, Any]
# A ring with less than this share of the target's energy holds nothing but rounding.
NEGLIGIBLE = 1e-10
UNSUPPORTED = "spectrum needs a signal on a grid whose true values are known, and this task has none"


class Spectrum(Analysis):
    """Energy of the residual, model - target, by frequency; over all rings it sums to the mean squared residual.

    curves, of R rings: `frequency` (their middles, cycles over the longest axis), `error` and `target` (energies, the
    latter without its mean), and `relative` (their quotient, NaN where the target has no energy). Where the only
    coordinate is a time in s: `frequency_hz`, and of B octave bands `band_hz` (nominal mid-band frequencies),
    `band_error` (energies, with the same sum) and `band_relative`. All are float64.

    metrics: `low_error` and `high_error`, the quotient over the frequencies below a third and above two thirds of the
    highest, and `half_frequency`, the middle of the lowest ring in which it is 0.5 or more.

    A problem may have several fields with a grid and a known truth: the metrics are of the first, and names of curves
    of the others begin with "FIELD.".
    """

    moments = frozenset({"evaluation", "end"})

    def __init__(self, spec: SpectrumSpec) -> None:
        super().__init__(spec)
        self._grid = partial(make_grid, rings=spec.rings, points=spec.points, spacing=spec.spacing)
        self._fields: list[KnownField] = []

    def observe(self, model: nn.Module, problem: Problem, moment: Moment) -> Observation:
        """Evaluate the model on the grids; raises UnsupportedError if no field has one and a known truth."""
        if not self._fields:
            grids = [self._grid(problem, name) for name in problem.shapes if has_grid(problem, name)]
            self._fields = [KnownField(grid) for grid in grids if grid.target is not None]
        if not self._fields:
            raise UnsupportedError(UNSUPPORTED)
        metrics: dict[str, float] = {}
        curves: dict[str, Array] = {}
        for field in self._fields:
            name = field.grid.field
            seen = field.measure(model[name] if isinstance(model, nn.ModuleDict) else model)
            prefix = f"{name}." if metrics else ""
            metrics = metrics or dict(seen.metrics)
            curves.update({f"{prefix}{curve}": values for curve, values in seen.curves.items()})
        return Observation(metrics, curves)


@dataclass(frozen=True)
class Parts:
    """The frequencies of a grid in some parts.

    Args:
        index: number of the part of each frequency, int64, shape sizes.
        energy: of the target in each part, its mean left out.
        total: the target's energy.
    """

    index: Array
    energy: Array
    total: float

    def measure(self, modes: Array) -> tuple[Array, Array]:
        """A residual's energy in each part, given that of its modes, and its quotient with the target's.

        The quotient is NaN where the target has no energy in comparison with its total.
        """
        error = sum_by_ring(modes, self.index, len(self.energy))
        known = self.energy > NEGLIGIBLE * self.total
        return error, np.where(known, error / np.where(known, self.energy, 1.0), math.nan)


class KnownField:
    """What does not change along a fit of a field whose truth is known.

    Args:
        grid: of the field; its target is not None.
    """

    def __init__(self, grid: Grid) -> None:
        assert grid.target is not None
        self.grid, self.target = grid, grid.target
        modes = mode_energy(self.target - self.target.mean(axis=tuple(range(len(grid.sizes)))))

        def parts(index: Array, count: int) -> Parts:
            return Parts(index, sum_by_ring(modes, index, count), float(modes.sum()))

        self.rings = parts(grid.ring, len(grid.frequency))
        self.thirds = parts(equal_rings(grid.radius, 3), 3)
        bands = None if grid.hertz is None else octave_bands(grid.hertz * grid.radius)
        self.bands = None if bands is None else (bands[0], parts(bands[1], len(bands[0])))

    def measure(self, model: nn.Module) -> Observation:
        """Metrics and curves of a model of this field."""
        grid = self.grid
        modes = mode_energy(predict(model, grid.coords).double().cpu().numpy().reshape(self.target.shape) - self.target)
        error, relative = self.rings.measure(modes)
        _, (low, _, high) = self.thirds.measure(modes)
        missing = np.flatnonzero(relative >= 0.5)
        half = grid.frequency[missing[0]] if len(missing) else math.nan
        metrics = {"low_error": float(low), "high_error": float(high), "half_frequency": float(half)}
        curves = {"frequency": grid.frequency, "error": error, "target": self.rings.energy, "relative": relative}
        if grid.hertz is not None:
            curves["frequency_hz"] = grid.hertz * grid.frequency
        if self.bands is not None:
            curves["band_hz"], parts = self.bands
            curves["band_error"], curves["band_relative"] = parts.measure(modes)
        return Observation(metrics, curves)
