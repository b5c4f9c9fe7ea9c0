"""Reconstructions without a network: least squares, and total variation as in compressed sensing.

Both know what fields know, and that the picture is real; and besides the noise level. They minimise over pictures
|A x - d|^2, written x H x - 2 x b + d d with H = A' A and b = A' d, so that one product with H, two Fourier
transforms, is what an iteration takes.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

LEAST_SQUARES_ITERATIONS = 200
# Alternating direction method of multipliers: iterations, conjugate gradients in each, and the largest difference
# between neighbouring pixels that one iteration takes away, as a share of white. They decide how fast it converges and
# not to what.
ADMM_ITERATIONS, ADMM_GRADIENTS, ADMM_STEP = 1000, 2, 0.05
# See `minimise_variation`.
TOLERANCE = 1e-5
# Weights that are compared, as multiples of the noise's standard deviation, or of this share of white if it is less.
WEIGHTS = tuple(0.5**power for power in range(7))
LEAST_NOISE = 1e-3
# Of the noise level: a difference quotient needs a step in which the answer is nearly linear, and total variation
# answers another full level of noise differently.
PROBE_STEP = 0.1


@dataclass(frozen=True)
class NormalEquations:
    """The squared error of pictures, N x N: x H x - 2 x b + power.

    Args:
        spectrum: of H, see `KSpace.spectrum`.
        target: b, (N, N).
        power: sum of squared samples, real and imaginary parts apart.
        count: how many such numbers there are.
        noise: standard deviation of the noise on each of them.
        probe: A' of white noise of unit variance, (N, N), drawn anew.
    """

    spectrum: Array
    target: Array
    power: float
    count: int
    noise: float
    probe: Array

    def product(self, picture: Array) -> Array:
        """H x."""
        side, size = len(self.spectrum), len(picture)
        transformed = np.fft.rfft2(picture, (side, side)) * self.spectrum[:, : side // 2 + 1]
        return np.fft.irfft2(transformed, (side, side))[:size, :size]

    def squared_error(self, picture: Array) -> float:
        """|A x - d|^2."""
        return float((picture * (self.product(picture) - 2.0 * self.target)).sum()) + self.power

    def probed(self) -> NormalEquations:
        """The same with the probe's noise on the samples, too, of `PROBE_STEP` times the standard deviation."""
        return replace(self, target=self.target + PROBE_STEP * self.noise * self.probe)

    def circulant(self) -> Array:
        """Eigenvalues of the circulant matrix nearest to H (T. Chan 1988), (N, N): of numpy's fft2."""
        side, size = len(self.spectrum), len(self.target)
        if side == size:
            return self.spectrum
        kernel = np.fft.ifft2(self.spectrum).real
        # The differences of places d and d - N come together, each with the share of the pairs of pixels that have it.
        share = np.arange(size) / size
        for _ in range(2):
            kernel = kernel[:size].T * (1.0 - share) + kernel[size:].T * share
        return np.fft.fft2(kernel).real.clip(0.0)


def least_squares(equations: NormalEquations) -> Array:
    """The picture of least norm among those of least squared error, or one before it (Pruessmann et al. 2001).

    Conjugate gradients from 0, ended by the discrepancy principle: as soon as the squared error is what the noise alone
    is expected to make it, or after 200 iterations.
    """
    allowed = equations.count * equations.noise**2
    return _conjugate_gradients(
        equations.product,
        equations.target,
        np.zeros_like(equations.target),
        LEAST_SQUARES_ITERATIONS,
        finished=lambda picture: equations.squared_error(picture) <= allowed,
    )


def least_total_variation(equations: NormalEquations) -> Array:
    """The picture of least squared error and total variation (Lustig et al. 2007), weighted without the truth.

    The weight is that of the least risk, see `predicted_risk`, among multiples of the noise level by powers of 1/2,
    from 1 down to where the risk grows again.
    """
    level = max(equations.noise, LEAST_NOISE)
    answer = picture = probed = equations.target
    # Without noise the probe has none either, and one solution is enough.
    with_more_noise = equations.probed() if equations.noise else None
    least = math.inf
    for multiple in WEIGHTS:
        picture = minimise_variation(equations, level * multiple, picture, TOLERANCE)
        probed = (
            minimise_variation(with_more_noise, level * multiple, probed, TOLERANCE) if with_more_noise else picture
        )
        risk = predicted_risk(equations, picture, probed)
        if risk >= least:
            break
        answer, least = picture, risk
    return answer


def predicted_risk(equations: NormalEquations, picture: Array, probed: Array) -> float:
    """Stein's estimate of the sum of squared errors of A x beside the samples without noise (Ramani et al. 2012).

    It is |A x - d|^2 - count noise^2 + 2 noise^2 div, with the divergence of A x by d from a difference quotient along
    white noise of a tenth of the samples' own.

    Args:
        equations: of the samples.
        picture: x, a solution for them.
        probed: the solution for `equations.probed()`.
    """
    divergence_times_noise = float((equations.probe * (probed - picture)).sum()) / PROBE_STEP
    variance = equations.noise**2
    return (
        equations.squared_error(picture) - equations.count * variance + 2.0 * equations.noise * divergence_times_noise
    )


def minimise_variation(equations: NormalEquations, weight: float, start: Array, tolerance: float) -> Array:
    """The picture that minimises |A x - d|^2 / 2 + weight TV(x), by split Bregman (Goldstein and Osher 2009).

    TV is the sum over pixels of the length of the forward differences, 0 beyond the last row and column.

    Args:
        equations: of the squared error.
        weight: above 0.
        start: where the iteration starts, (N, N).
        tolerance: it ends when an iteration changes pixels by less, root mean square, and their differences obey the
            constraint so far, or after 1,000.
    """
    stiffness = weight / ADMM_STEP
    size = len(start)
    bend = 2.0 - 2.0 * np.cos(2.0 * np.pi * np.arange(size) / size)
    eigenvalues = equations.circulant() + stiffness * (bend[:, None] + bend)
    # A flat picture has no variation, and may lie outside of what is measured.
    eigenvalues = np.maximum(eigenvalues, 1e-6 * eigenvalues.max())[:, : size // 2 + 1]

    def system(picture: Array) -> Array:
        return equations.product(picture) - stiffness * divergence(gradient(picture))

    def precondition(residual: Array) -> Array:
        return np.fft.irfft2(np.fft.rfft2(residual) / eigenvalues, residual.shape)

    picture, split = start, gradient(start)
    multiplier = np.zeros_like(split)
    for _ in range(ADMM_ITERATIONS):
        before = picture
        right = equations.target - stiffness * divergence(split - multiplier)
        picture = _conjugate_gradients(system, right, picture, ADMM_GRADIENTS, precondition)
        wanted = gradient(picture) + multiplier
        length = np.sqrt((wanted**2).sum(axis=0))
        split = wanted * np.maximum(1.0 - ADMM_STEP / np.maximum(length, ADMM_STEP), 0.0)
        # How far the picture's differences are from those that were shrunk, and how far the picture has moved.
        gap, multiplier = wanted - split - multiplier, wanted - split
        if max(_spread(gap), _spread(picture - before)) < tolerance:
            break
    return picture


def _spread(values: Array) -> float:
    """Root mean square."""
    return math.sqrt((values**2).mean())


def gradient(picture: Array) -> Array:
    """Forward differences along rows' and columns' axes, (2, H, W); 0 beyond the last one."""
    return np.stack([np.diff(picture, axis=axis, append=picture.take([-1], axis)) for axis in (0, 1)])


def divergence(vectors: Array) -> Array:
    """The negative transpose of `gradient`: (2, H, W) to (H, W)."""
    down, right = vectors[0].copy(), vectors[1].copy()
    down[-1], right[:, -1] = 0.0, 0.0
    return np.diff(down, axis=0, prepend=0.0) + np.diff(right, axis=1, prepend=0.0)


def _conjugate_gradients(
    matrix: Callable[[Array], Array],
    right: Array,
    start: Array,
    iterations: int,
    precondition: Callable[[Array], Array] = lambda residual: residual,
    finished: Callable[[Array], bool] = lambda picture: False,
) -> Array:
    """Solve `matrix(x) = right` from a start on, as far as so many iterations go or until it is finished."""
    picture = start
    residual = right - matrix(picture)
    step = direction = precondition(residual)
    power = float((residual * step).sum())
    for _ in range(iterations):
        # Zero but for rounding: another step would be noise.
        if finished(picture) or power <= 1e-24 * float((right * right).sum()):
            break
        image = matrix(direction)
        length = power / float((direction * image).sum())
        picture = picture + length * direction
        residual = residual - length * image
        step = precondition(residual)
        power, before = float((residual * step).sum()), power
        direction = step + (power / before) * direction
    return picture
