"""Classical reconstructions of a scan, each as a sequence of answers of which cross-validation chooses one."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import LinearOperator, eigsh
from skimage.transform import iradon, iradon_sart

from inrbench_task_ct.scan import Scan

Array = np.ndarray[Any, Any]

# From the sharpest to the smoothest.
FILTERS = ("ramp", "shepp-logan", "cosine", "hamming", "hann")
MOST_STEPS = 100
# Relative to the squared norm of the projector.
TV_WEIGHTS = tuple(10.0**exponent for exponent in (-2.0, -2.5, -3.0, -3.5, -4.0, -4.5, -5.0))
TV_ITERATIONS = 100
# Of the primal to the dual step: how fast the solution is reached, and not which one it is.
STEP_RATIO = 100.0
# Of cross-validation, and how many steps without an improvement end it.
VIEW_FOLDS, BLOCK_FOLDS, BLOCK = 4, 5, 4
PATIENCE = 4


def filtered_back_projection(scan: Scan) -> Iterator[Array]:
    """Filtered back-projection (Kak and Slaney 1988, section 3.3): an answer, (P,), for each of `FILTERS`."""
    bins, degrees = scan.sinogram()
    for name in FILTERS:
        yield iradon(bins, theta=degrees, filter_name=name, circle=True)[scan.disc]


def sart(scan: Scan) -> Iterator[Array]:
    """Simultaneous algebraic reconstruction (Andersen and Kak 1984) by scikit-image: an answer for each sweep."""
    bins, degrees = scan.sinogram()
    picture = None
    while True:
        picture = iradon_sart(bins, theta=degrees, image=picture)
        yield picture[scan.disc]


def least_squares(scan: Scan) -> Iterator[Array]:
    """Least squares by conjugate gradients from 0 (CGLS; Hestenes and Stiefel 1952): an answer for each step.

    They are those of LSQR (Paige and Saunders 1982) in exact arithmetic; the fewer, the smoother.
    """
    # In float64: float32 loses the conjugacy of the directions in a few steps.
    pixels = np.zeros(scan.matrix.shape[1])
    residual = scan.bins
    gradient = scan.back_project(residual)
    direction, squared = gradient, gradient @ gradient
    while True:
        if squared > 0.0:
            image = scan.project(direction)
            step = squared / (image @ image)
            pixels, residual = pixels + step * direction, residual - step * image
            gradient = scan.back_project(residual)
            before, squared = squared, gradient @ gradient
            direction = gradient + squared / before * direction
        yield pixels


def total_variation(
    scan: Scan, weights: tuple[float, ...] = TV_WEIGHTS, iterations: int = TV_ITERATIONS
) -> Iterator[Array]:
    """The least of |A x - b|^2 / 2 + w |A|^2 TV(x) over x >= 0, by the primal-dual algorithm of Chambolle and Pock.

    (2011, algorithm 1.) TV is isotropic, by forward differences over the whole slice, which is air outside the disc.

    Args:
        scan: A and b.
        weights: w, one after the other: each solution starts at the one before.
        iterations: of each.

    Yields:
        for each weight an answer (P,), float32.
    """
    count = scan.matrix.shape[1]
    normal = LinearOperator((count, count), lambda x: scan.back_project(scan.project(x)), dtype=np.float32)
    norm = np.sqrt(eigsh(normal, k=1, return_eigenvectors=False, v0=np.ones(count, np.float32))[0])
    # Norms are 1: of the projector as of the differences, of which the former norm is below sqrt(8).
    scale = math.sqrt(8.0)
    differences = (forward_differences(scan.disc) / scale).astype(np.float32)
    divergence = differences.T.tocsr()
    bins = (scan.bins / norm).astype(np.float32)
    # Their product times the squared norm of both operators together, 2 at most, has to be below 1.
    primal, dual = (np.float32(0.99 * math.sqrt(0.5 * ratio)) for ratio in (STEP_RATIO, 1.0 / STEP_RATIO))
    pixels = np.zeros(count, np.float32)
    ahead, misfit, slope = pixels, np.zeros_like(bins), np.zeros((2, scan.disc.size), np.float32)
    for weight in weights:
        bound = np.float32(weight * scale)
        for _ in range(iterations):
            misfit = (misfit + dual * (scan.project(ahead) / norm - bins)) / (1.0 + dual)
            slope += dual * (differences @ ahead).reshape(slope.shape)
            slope /= np.maximum(1.0, np.hypot(*slope) / bound)
            moved = (pixels - primal * (scan.back_project(misfit) / norm + divergence @ slope.ravel())).clip(0.0)
            pixels, ahead = moved, 2.0 * moved - pixels
        yield pixels


def forward_differences(disc: Array) -> sparse.csr_matrix:
    """From pixels in the disc, (P,), to differences of all pixels to the one below, then right: (2 N^2, P).

    At the slice's last row and column they are 0.
    """
    pixels = np.arange(disc.size).reshape(disc.shape)
    parts = []
    for here, there in ((pixels[:-1], pixels[1:]), (pixels[:, :-1], pixels[:, 1:])):
        rows = np.concatenate([here.ravel(), here.ravel()])
        columns = np.concatenate([there.ravel(), here.ravel()])
        signs = np.repeat([1.0, -1.0], here.size)
        parts.append(sparse.csr_matrix((signs, (rows, columns)), shape=(disc.size, disc.size)))
    return sparse.vstack(parts, format="csr")[:, disc.ravel()]


def whole_views(scan: Scan) -> list[Array]:
    """Bins to hold out, bool (B,): every fourth view, in four ways; of fewer views each in turn."""
    return [scan.view % VIEW_FOLDS == fold for fold in range(min(VIEW_FOLDS, len(scan.degrees)))]


def blocks_of_bins(scan: Scan) -> list[Array]:
    """Bins to hold out, bool (B,), of whole views: each block of four neighbours in one of five random parts."""
    size = len(scan.disc)
    blocks = (len(scan.bins) // size, -(-size // BLOCK))
    part = np.random.default_rng(0).integers(BLOCK_FOLDS, size=blocks).repeat(BLOCK, axis=1)[:, :size].ravel()
    return [part == fold for fold in range(BLOCK_FOLDS)]


@dataclass(frozen=True)
class Method:
    """A way to reconstruct a slice.

    Args:
        answers: yields answers (P,) of a scan, from which one is to be chosen.
        held_out: what cross-validation holds out. Back-projection and SART need whole views, and whole views tell too
            many steps of least squares best. Total variation fills whole views from few others with the same streaks
            whatever its weight, and single bins from their neighbours as well as the noise allows.
    """

    answers: Callable[[Scan], Iterator[Array]]
    held_out: Callable[[Scan], list[Array]]

    def reconstruct(self, scan: Scan) -> Array:
        """The answer, (N, N), that `best_step` chooses."""
        return scan.picture(next(itertools.islice(self.answers(scan), self.best_step(scan), None)))

    def best_step(self, scan: Scan) -> int:
        """Which answer predicts bins best that were held out: the least sum of squared errors over all parts.

        `PATIENCE` answers without an improvement end the search. A single view has to be its own measure.
        """
        held_out = self.held_out(scan)
        measures = [scan.part(fold) for fold in held_out]
        fitted = [scan.part(~fold) for fold in held_out] if not held_out[0].all() else measures
        best, least = 0, math.inf
        for step, answers in enumerate(itertools.islice(zip(*map(self.answers, fitted), strict=True), MOST_STEPS)):
            error = sum(part.error(answer) for part, answer in zip(measures, answers, strict=True))
            if error < least:
                best, least = step, error
            elif step - best >= PATIENCE:
                break
        return best


METHODS = {
    "fbp": Method(filtered_back_projection, whole_views),
    "sart": Method(sart, whole_views),
    "least_squares": Method(least_squares, whole_views),
    "total_variation": Method(total_variation, blocks_of_bins),
}
