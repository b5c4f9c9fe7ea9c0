"""The kernel of one field at one moment, on a signal's points: its eigenpairs, exact or leading, and what follows."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from inrbench_analysis_spectrum.grid import Grid
from scipy.linalg import eigh
from torch import Tensor

from inrbench_analysis_ntk.estimates import hutchpp, leading_pairs, spectral_density
from inrbench_analysis_ntk.jacobian import Channels, Jacobian
from inrbench_analysis_ntk.measures import (
    decay_exponent,
    eigenvalue_mean,
    eigenvalue_variance,
    entropy_rank,
    leading_count,
    participation_ratio,
)
from inrbench_analysis_ntk.parts import Tangents, real

Array = np.ndarray[Any, Any]

# Up to this many rows the whole kernel is computed, with all eigenvalues.
DENSE_ROWS = 4_096
# Of the estimates for larger kernels.
PROBES, LANCZOS_STEPS, TRACE_QUERIES = 4, 40, 48
DRIFT_PROBES = 16


@dataclass(frozen=True)
class Points:
    """Which rows of a kernel are trained on.

    Args:
        count: points N.
        outputs: values at each point C.
        trained: (N,), bool.
        channels: of the kernel; "full" has a row for each value of each point.
    """

    count: int
    outputs: int
    trained: Array
    channels: Channels

    @property
    def rows(self) -> int:
        """Rows of the kernel."""
        return self.count * (self.outputs if self.channels == "full" else 1)

    def mask(self) -> Array:
        """Of the kernel's rows those that are trained on, bool."""
        return np.repeat(self.trained, self.outputs) if self.channels == "full" else self.trained

    def as_rows(self, values: Array) -> Array:
        """Values (N, C) as columns of the kernel's rows: (rows, C), or (rows, 1)."""
        return values.reshape(-1, 1) if self.channels == "full" else values


class Kernel:
    """Eigenpairs of the kernel among the rows that are trained on.

    Args:
        jacobian: at all points.
        points: which of them are trained on.
        top: how many leading pairs, where the kernel is too large for all.
        seed: of the estimates.
        scale: of the parameters, see `Part.rows`; with it, channels have to be the mean.

    Attributes:
        matrix: the whole kernel, (rows, rows), float32 or as the model, or None where it is too large.
        exact: whether all eigenpairs are known.
        eigenvalues: float64 (m,), descending; negative rounding is 0.
        vectors: float64 (n, m), orthonormal, n rows trained on.
        curve: float64 (n,): the eigenvalues, those that are not known estimated.
        figures: of the spectrum, by the names of the analysis's metrics.
        norm: Frobenius norm.
    """

    def __init__(
        self, jacobian: Jacobian, points: Points, *, top: int, seed: int, scale: Tangents | None = None
    ) -> None:
        self.jacobian, self.points, self.scale = jacobian, points, scale
        self.mask = points.mask()
        self.size = int(self.mask.sum())
        self.matrix: Tensor | None = None
        self.exact = points.rows <= DENSE_ROWS
        if self.exact:
            self._decompose()
        else:
            self._estimate(top, seed)

    def _decompose(self) -> None:
        self.matrix = self.jacobian.gram(self.points.channels, self.scale)
        chosen = torch.from_numpy(np.flatnonzero(self.mask)).to(self.matrix.device)
        # In place, since a kernel of 4,096 rows has 128 MiB in float64.
        values, vectors = eigh(self.matrix[chosen][:, chosen].double().cpu().numpy().T, overwrite_a=True)
        self.eigenvalues = self.curve = np.maximum(values[::-1], 0.0)
        self.vectors = vectors[:, ::-1]
        self.norm = float(np.sqrt(np.square(self.curve).sum()))
        self.figures = {
            "participation_ratio": participation_ratio(self.curve),
            "entropy_rank": entropy_rank(self.curve),
            "leading_count": leading_count(self.curve),
            **self._common_figures(),
        }

    def _estimate(self, top: int, seed: int) -> None:
        count = min(top, self.size - 1)
        pairs = leading_pairs(self._product, self.size, count, seed)
        self.eigenvalues, self.vectors = np.maximum(pairs.values, 0.0), pairs.vectors
        density = spectral_density(
            self._product, self.size, probes=PROBES, steps=LANCZOS_STEPS, seed=seed, leading=pairs
        )
        self.curve = density.quantiles()
        traces = hutchpp(self._product, self.size, TRACE_QUERIES, seed)
        self.norm = math.sqrt(traces.square)
        trace, largest = traces.trace, float(self.eigenvalues[0])
        self.figures = {
            "participation_ratio": trace**2 / traces.square if traces.square > 0 else math.nan,
            "entropy_rank": entropy_rank(self.curve),
            "leading_count": density.sum(lambda values: (values > 0.1 * largest).astype(float)),
            **self._common_figures(),
        }

    def _common_figures(self) -> dict[str, float]:
        return {
            "decay_exponent": decay_exponent(self.curve),
            "eigenvalue_mean": eigenvalue_mean(self.curve),
            "eigenvalue_variance": eigenvalue_variance(self.curve),
        }

    def _product(self, vectors: Array) -> Array:
        """The kernel among the rows that are trained on, times vectors (n, B)."""
        padded = np.zeros((len(self.mask), vectors.shape[1]))
        padded[self.mask] = vectors
        return self.product(padded)[self.mask]

    def product(self, vectors: Array) -> Array:
        """The kernel of all rows, times vectors (rows, B), float64."""
        if self.matrix is not None:
            return (self.matrix @ torch.from_numpy(vectors).to(self.matrix)).double().cpu().numpy()
        like = self.jacobian.values
        found = self.jacobian.product(torch.from_numpy(vectors).to(like), self.points.channels, self.scale)
        return found.double().cpu().numpy()

    def applied(self, count: int | None = None) -> Array:
        """The kernel of all rows times the leading eigenvectors, (rows, m): K_ht V where a row is held out."""
        padded = np.zeros((len(self.mask), self.vectors[:, :count].shape[1]))
        padded[self.mask] = self.vectors[:, :count]
        return self.product(padded)

    def extended_vectors(self, count: int) -> Array:
        """The leading eigenvectors at all points, by Nystrom's extension to those held out: (N, count).

        With the kernel of all values together, the first value of each point.
        """
        applied = self.applied(count)
        values = self.eigenvalues[: applied.shape[1]]
        with np.errstate(divide="ignore", invalid="ignore"):
            extended = np.where(values > 0, applied / values, 0.0)
        return extended.reshape(self.points.count, -1, applied.shape[1])[:, 0]

    def diagonal(self) -> Array:
        """K(x, x) of every point, the mean over channels, (N,)."""
        if self.matrix is None:
            return self.jacobian.diagonal().double().cpu().numpy()
        return self.matrix.diagonal().double().cpu().numpy().reshape(self.points.count, -1).mean(axis=1)

    def drift_sample(self) -> Array:
        """What the drift is measured by: the whole kernel, or its products with fixed random signs."""
        if self.matrix is not None:
            return self.matrix.cpu().numpy()
        signs = np.random.default_rng(0).integers(0, 2, (self.points.rows, DRIFT_PROBES)) * 2.0 - 1.0
        return self.product(signs)


def response(
    jacobian: Jacobian, grid: Grid, modes: int, *, matrix: Tensor | None = None, scale: Tangents | None = None
) -> Array:
    """Response by frequency: the mean over each ring's Fourier modes e of e^H K e / |e|^2, divided by the points.

    Args:
        jacobian: at the points of the grid.
        grid: with its rings.
        modes: how many of each ring; where `matrix` is given, all of them.
        matrix: the kernel at the points of the grid, (N, N).
        scale: of the parameters, see `Part.rows`.

    Returns:
        float64 (R,): in the limit of many points, an eigenvalue of the kernel as an operator on functions.
    """
    if matrix is not None:
        quotients = _mode_quotients(matrix, grid.sizes)
        rings = grid.ring.ravel()
        return np.bincount(rings, quotients) / np.bincount(rings)
    draw = np.random.default_rng(0)
    places = np.stack(np.meshgrid(*(np.arange(size) / size for size in grid.sizes), indexing="ij"), -1)
    places = places.reshape(-1, len(grid.sizes))
    found = []
    for ring in range(len(grid.frequency)):
        vectors = grid.modes(ring)
        chosen = draw.permutation(len(vectors))[:modes]
        phase = 2.0 * np.pi * places @ vectors[chosen].T
        waves = np.concatenate([np.cos(phase), np.sin(phase)], axis=1)
        energies = jacobian.energies(torch.from_numpy(waves).to(jacobian.values), scale)
        found.append(float(energies.double().sum()) / len(chosen) / len(places) ** 2)
    return np.array(found)


def _mode_quotients(matrix: Tensor, sizes: tuple[int, ...]) -> Array:
    """e^H K e / N^2 of every Fourier mode of the grid, float64 (N,)."""
    count = len(matrix)
    axes = len(sizes)
    # F K F^H, whose diagonal it is: a transform of the rows, and the conjugate one of the columns.
    left = torch.fft.fftn(matrix.double().reshape(*sizes, count), dim=tuple(range(axes)))
    both = torch.fft.ifftn(left.reshape(count, *sizes), dim=tuple(range(1, axes + 1)), norm="forward")
    return both.reshape(count, count).diagonal().real.cpu().numpy() / count**2


def adam_scale(optimizer: torch.optim.Optimizer | None, model: torch.nn.Module) -> dict[str, Tensor] | None:
    """What Adam divides gradients by, as factors for the parameters: 1 / (sqrt(v / (1 - beta2^t)) + eps).

    A parameter whose gradient was always 0 has the factor 0: Adam has never moved it.

    Args:
        optimizer: of the fit.
        model: whose trainable parameters are wanted, by name.

    Returns:
        real tensors, of a complex parameter with a last axis of 2, times the quotient of the parameter's own learning
        rate and the first group's; None if the optimiser has no such moments yet.
    """
    if optimizer is None:
        return None
    groups = optimizer.param_groups
    of = {parameter: group for group in groups for parameter in group["params"]}
    scale, moved = {}, False
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        group, state = of.get(parameter), optimizer.state.get(parameter, {})
        if group is None or "betas" not in group:
            return None
        if "exp_avg_sq" not in state:
            scale[name] = torch.zeros_like(real(parameter.detach()))
            continue
        moved = True
        second = real(state.get("max_exp_avg_sq", state["exp_avg_sq"]))
        corrected = second / (1.0 - group["betas"][1] ** float(state["step"]))
        factor = float(group["lr"]) / (float(groups[0]["lr"]) or 1.0) / (corrected.sqrt() + group["eps"])
        scale[name] = torch.where(second > 0, factor, torch.zeros_like(factor))
    return scale if moved else None
