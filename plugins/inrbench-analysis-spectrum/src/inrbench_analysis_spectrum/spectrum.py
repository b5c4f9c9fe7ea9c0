"""The error of a model by rings of spatial frequency."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from inrbench_analysis_spectrum.plugin import SpectrumSpec
from inrbench_core import Analysis, Moment, Observation, Problem, SeedStreams, UnsupportedError, grid_coords, predict

Array = np.ndarray[Any, Any]
# A ring with less than this share of the target's energy holds nothing but rounding.
NEGLIGIBLE = 1e-10


@dataclass(frozen=True)
class Grid:
    """What does not change along a fit.

    Args:
        field: name of the field.
        coords: of the points, shape (n, D).
        target: true values, float64, shape (*sizes, C).
        ring: of each frequency of the FFT, int64, shape sizes.
        frequency: middle of each ring, in cycles over the signal's longest axis.
        energy: the target's energy in each ring, its mean left out.
    """

    field: str
    coords: Tensor
    target: Array
    ring: Array
    frequency: Array
    energy: Array


class Spectrum(Analysis):
    """Energy of the residual, model - target, in each ring of |k|; over all rings it sums to the mean squared residual.

    curves: `frequency` (ring middles, cycles over the longest axis), `error` and `target` (energies), and `relative`
    (their quotient, NaN where the target has no energy). metrics: `low_error` and `high_error`, the quotient in the
    lowest and in the highest third of the rings, and `half_frequency`, the lowest frequency at which it is 0.5 or more.
    """

    moments = frozenset({"evaluation", "end"})

    def __init__(self, spec: SpectrumSpec) -> None:
        super().__init__(spec)
        self.rings, self.points = spec.rings, spec.points
        self._grid: Grid | None = None

    def observe(self, model: nn.Module, problem: Problem, moment: Moment) -> Observation:
        """Evaluate the model on the grid; raises UnsupportedError if no field of the problem has one."""
        self._grid = grid = self._grid or make_grid(problem, self.rings, self.points)
        part = model[grid.field] if isinstance(model, nn.ModuleDict) else model
        values = predict(part, grid.coords).double().cpu().numpy().reshape(grid.target.shape)
        error = ring_energy(values - grid.target, grid.ring, self.rings)
        relative = quotient(error, grid.energy, grid.energy.sum())
        third = self.rings // 3
        low, high = (
            quotient(error[part].sum(), grid.energy[part].sum(), grid.energy.sum())
            for part in (slice(third), slice(-third, None))
        )
        missing = np.flatnonzero(relative >= 0.5)
        half = grid.frequency[missing[0]] if len(missing) else math.nan
        return Observation(
            {"low_error": float(low), "high_error": float(high), "half_frequency": float(half)},
            {"frequency": grid.frequency, "error": error, "target": grid.energy, "relative": relative},
        )


def make_grid(problem: Problem, rings: int, points: int) -> Grid:
    """The grid of the first field whose signal has one and is known, its samples thinned out evenly to `points`.

    Raises:
        UnsupportedError: if there is no such field.
    """
    for field, shape in problem.shapes.items():
        if shape.resolution is None:
            continue
        device = problem.coords(1, SeedStreams(0), field).device
        stride = 1
        while math.prod(math.ceil(size / stride) for size in shape.resolution) > points:
            stride += 1
        # Points between the samples would have the values of their neighbours, which is an error of its own.
        axes = [grid_coords((size,), device).squeeze(1)[::stride] for size in shape.resolution]
        coords = torch.stack(torch.meshgrid(*axes, indexing="ij"), dim=-1).reshape(-1, len(axes))
        target = problem.target(coords, field)
        if target is None:
            continue
        sizes = [len(axis) for axis in axes]
        values = target.double().cpu().numpy().reshape(*sizes, -1)
        frequencies = np.meshgrid(*(np.fft.fftfreq(size, stride) for size in sizes), indexing="ij")
        radius = max(shape.resolution) * np.sqrt(sum(axis**2 for axis in frequencies))
        width = radius.max() / rings or 1.0
        ring = np.minimum(radius / width, rings - 1).astype(np.int64)
        energy = ring_energy(values - values.mean(axis=tuple(range(len(sizes)))), ring, rings)
        return Grid(field, coords, values, ring, (np.arange(rings) + 0.5) * width, energy)
    raise UnsupportedError("spectrum needs a signal on a grid whose true values are known, and this task has none")


def ring_energy(values: Array, ring: Array, rings: int) -> Array:
    """Energy in each ring, of values (*sizes, C), as the mean over channels: its sum is the mean square."""
    spectrum = np.fft.fftn(values, axes=range(ring.ndim))
    energy = np.square(np.abs(spectrum)).mean(axis=-1) / ring.size**2
    return np.bincount(ring.ravel(), weights=energy.ravel(), minlength=rings)


def quotient(error: Any, energy: Any, total: float) -> Any:
    """error / energy, NaN where the energy is nothing in comparison with the total."""
    known = energy > NEGLIGIBLE * total
    return np.where(known, error / np.where(known, energy, 1.0), math.nan)
