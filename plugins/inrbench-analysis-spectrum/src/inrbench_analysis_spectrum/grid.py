"""The samples of a signal as a grid, and the rings of spatial frequency of its FFT; for other analyses to use."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from inrbench_core import Problem, SeedStreams, UnsupportedError, grid_coords

Array = np.ndarray[Any, Any]
Spacing = Literal["auto", "linear", "geometric"]

# A line's highest frequencies would be aliases if it were thinned out: enough for 11 s at 44.1 kHz.
LINE_POINTS, POINTS = 524_288, 16_384
MOST_DIMENSIONS = 3
# Geometric rings begin here, in cycles: below every frequency of a grid but 0.
LOWEST_EDGE = 0.5
# In widths of a ring: frequencies on an edge belong to the ring above it, however they are rounded.
ROUNDING = 1e-9


@dataclass(frozen=True, eq=False)
class Grid:
    """A field's samples, thinned out evenly, and the frequencies of their FFT in rings of |k|.

    Args:
        field: name of the field.
        coords: of the points, shape (n, D), float32, on the device of the problem; the last axis varies fastest.
        sizes: points along each axis, D of them; their product is n.
        stride: samples of the signal from one point to the next, along every axis.
        radius: |k| of each frequency of the FFT, float64, shape sizes, in cycles over the signal's longest axis.
        ring: number of the ring of each frequency, int64, shape sizes, from 0 to R - 1; each ring holds one or more.
        frequency: middle of each ring, float64 (R,), increasing, in the unit of `radius`: half-way between the edges
            of linear rings, and the geometric mean of the lowest and the highest |k| in a geometric ring. The first
            geometric ring is the mean, 0.
        target: true values, float64, shape (*sizes, C); None where they are not known.
        hertz: Hz in the unit of `radius`, if the field's only coordinate is a time in s; else None.
    """

    field: str
    coords: Tensor
    sizes: tuple[int, ...]
    stride: int
    radius: Array
    ring: Array
    frequency: Array
    target: Array | None
    hertz: float | None

    @property
    def energy(self) -> Array | None:
        """Energy of the target in each ring, its mean left out, (R,); None where the target is not known."""
        if self.target is None:
            return None
        centred = self.target - self.target.mean(axis=tuple(range(len(self.sizes))))
        return ring_energy(centred, self.ring, len(self.frequency))

    def modes(self, ring: int) -> Array:
        """The wave vectors m of the FFT in a ring, int64 (count, D), one of each pair m, -m.

        The mode of m is exp(2 pi i sum over d of m[d] j[d] / sizes[d]) at the point with indices j; m[d] is from
        -sizes[d] / 2 to sizes[d] / 2.
        """
        sizes = np.array(self.sizes)
        index = np.argwhere(self.ring == ring)
        place, opposite = (np.ravel_multi_index(tuple(item.T), self.sizes) for item in (index, -index % sizes))
        index = index[place <= opposite]
        vectors: Array = np.where(index > (sizes - 1) // 2, index - sizes, index)
        return vectors


def make_grid(
    problem: Problem, field: str = "", *, rings: int = 32, points: int | None = None, spacing: Spacing = "auto"
) -> Grid:
    """The grid of a field's samples.

    Args:
        problem: whose samples they are.
        field: one of `problem.shapes`; "": the first that has a grid.
        rings: how many, 2 at least; those that hold no frequency of the grid are left out.
        points: how many, at most: every 2nd, 3rd, ... sample along each axis is taken of a signal with more, so that
            finer detail counts at the frequency that it is an alias of. Default: 524,288 in one dimension, else 16,384.
        spacing: linear: rings of equal width from 0 to the highest |k|. geometric: the mean alone, then rings whose
            edges go from 0.5 cycles to the highest |k| in equal ratios. auto: geometric in one dimension, else linear.

    Raises:
        UnsupportedError: if the field, or with "" every field, has no grid of one to three dimensions.
    """
    field = field or next((name for name in problem.shapes if has_grid(problem, name)), "")
    if not field or not has_grid(problem, field):
        what = f"the field {field!r} has" if field else "the fields of this task have"
        raise UnsupportedError(f"{what} no grid of at most {MOST_DIMENSIONS} dimensions")
    resolution = problem.shapes[field].resolution
    assert resolution is not None
    device = problem.coords(1, SeedStreams(0), field).device
    stride = _stride(resolution, points or (LINE_POINTS if len(resolution) == 1 else POINTS))
    # Points between the samples would have the values of their neighbours, which is an error of its own.
    axes = [grid_coords((size,), device).squeeze(1)[::stride] for size in resolution]
    coords = torch.stack(torch.meshgrid(*axes, indexing="ij"), dim=-1).reshape(-1, len(axes))
    sizes = tuple(len(axis) for axis in axes)
    frequencies = np.meshgrid(*(np.fft.fftfreq(size, stride) for size in sizes), indexing="ij")
    radius = max(resolution) * np.sqrt(sum(axis**2 for axis in frequencies))
    if spacing == "auto":
        spacing = "geometric" if len(sizes) == 1 else "linear"
    ring, frequency = (_geometric if spacing == "geometric" else _linear)(radius, rings)
    target = problem.target(coords, field)
    values = None if target is None else target.double().cpu().numpy().reshape(*sizes, -1)
    return Grid(field, coords, sizes, stride, radius, ring, frequency, values, _hertz(problem, field, resolution))


def has_grid(problem: Problem, field: str) -> bool:
    """Whether `make_grid` can make one of the field's samples."""
    resolution = problem.shapes[field].resolution
    return resolution is not None and len(resolution) <= MOST_DIMENSIONS


def mode_energy(values: Array) -> Array:
    """|FFT|^2 / n^2 of values (*sizes, C), as the mean over channels, shape sizes: its sum is the mean square."""
    spectrum = np.fft.fftn(values, axes=range(values.ndim - 1))
    energy: Array = (np.square(spectrum.real) + np.square(spectrum.imag)).mean(axis=-1) / spectrum[..., 0].size ** 2
    return energy


def sum_by_ring(energy: Array, ring: Array, rings: int) -> Array:
    """Sums of energy over the frequencies of each ring, (rings,); both of the shape sizes, rings from 0."""
    return np.bincount(ring.ravel(), weights=energy.ravel(), minlength=rings)


def ring_energy(values: Array, ring: Array, rings: int) -> Array:
    """Energy of values (*sizes, C) in each ring, (rings,), as the mean over channels: its sum is the mean square."""
    return sum_by_ring(mode_energy(values), ring, rings)


def equal_rings(radius: Array, rings: int) -> Array:
    """The number of the ring of each |k|, int64, of rings of equal width from 0 to the highest; some may be empty."""
    width = radius.max() / rings or 1.0
    return np.minimum(radius / width + ROUNDING, rings - 1).astype(np.int64)


def without_gaps(ring: Array) -> tuple[Array, Array]:
    """The numbers that occur in ring, increasing, and ring with each replaced by its place among them."""
    there = np.bincount(ring.ravel()) > 0
    return np.flatnonzero(there), (np.cumsum(there) - 1)[ring]


def _stride(resolution: tuple[int, ...], points: int) -> int:
    stride = 1
    while math.prod(math.ceil(size / stride) for size in resolution) > points:
        stride += 1
    return stride


def _linear(radius: Array, rings: int) -> tuple[Array, Array]:
    kept, ring = without_gaps(equal_rings(radius, rings))
    return ring, (kept + 0.5) * radius.max() / rings


def _geometric(radius: Array, rings: int) -> tuple[Array, Array]:
    octaves = np.log(np.maximum(radius, LOWEST_EDGE) / LOWEST_EDGE)
    place = (rings - 1) * octaves / (octaves.max() or 1.0) + ROUNDING
    kept, ring = without_gaps(np.where(radius > 0.0, 1 + np.minimum(place, rings - 2).astype(np.int64), 0))
    low, high = np.full(len(kept), math.inf), np.zeros(len(kept))
    np.minimum.at(low, ring.ravel(), radius.ravel())
    np.maximum.at(high, ring.ravel(), radius.ravel())
    return ring, np.sqrt(low * high)


def _hertz(problem: Problem, field: str, resolution: tuple[int, ...]) -> float | None:
    if len(resolution) > 1 or resolution[0] == 1:
        return None
    (time,) = problem.frame.fields[field].coords
    seconds = abs(time.high - time.low)
    if time.unit != "s" or not seconds:
        return None
    # The first and the last sample lie at the ends, and the FFT's period is one sample longer.
    return (resolution[0] - 1) / resolution[0] / seconds
