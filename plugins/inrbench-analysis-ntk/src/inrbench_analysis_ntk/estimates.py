"""Spectrum and traces of a kernel that is known only through its products with blocks of vectors.

A `product` maps (n, b) float64 to K times it, (n, b), of any floating type, for a symmetric positive semidefinite K. It
may round as float32 does. All draws come from `seed`: the same product and seed give the same result. Costs are counted
in vectors: K times (n, b) is b products.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh_tridiagonal, qr

Array = NDArray[np.float64]
Product = Callable[[Array], NDArray[np.floating]]

# Vectors in a block of `leading_pairs`: eigenvalues of up to this multiplicity are found with all their copies. On a
# square grid a kernel that depends on the distance has multiplicities of 8 and 12.
BLOCK = 16
# A Ritz pair counts as converged if its residual is below this share of max(eigenvalue, 1e-3 of the largest).
TOLERANCE = 1e-3


class Pairs(NamedTuple):
    """Leading eigenpairs: values (k,) descending, vectors (n, k) orthonormal, residuals |K v - value v| (k,)."""

    values: Array
    vectors: Array
    residuals: Array


class Traces(NamedTuple):
    """Estimates of Tr K and Tr K^2."""

    trace: float
    square: float


def _apply(product: Product, vectors: Array) -> Array:
    return np.asarray(product(vectors), dtype=np.float64)


def _outside(basis: Array, vectors: Array) -> Array:
    """The part of vectors (n, b) orthogonal to the orthonormal columns of basis (n, m)."""
    return vectors - basis @ (basis.T @ vectors)


def _orthonormal(vectors: Array) -> tuple[Array, Array]:
    return qr(vectors, mode="economic", check_finite=False)


def _dense(product: Product, n: int) -> Array:
    kernel = np.concatenate([_apply(product, block.T) for block in np.array_split(np.eye(n), -(-n // 64))], axis=1)
    return (kernel + kernel.T) / 2


def leading_pairs(product: Product, n: int, count: int, seed: int) -> Pairs:
    """The `count` largest eigenvalues with their eigenvectors, by a block Krylov space and Rayleigh and Ritz.

    A block method, because the kernels of fields have equal eigenvalues (cosine and sine of one frequency, directions
    on a grid): `scipy.sparse.linalg.eigsh`, with one start vector, misses copies of them. The space grows by 16
    products at a time until all pairs have converged (residual at most 1e-3 of the value, or 1e-6 of the largest), or
    has 4 count + 160 dimensions. What has not converged by then is returned as it is: such values are lower bounds, and
    the residuals say how far off they can be. Where that space would fill a quarter of R^n, all of K is computed
    instead, by n products.

    Memory: about 8 n (4 count + 160) bytes besides that of the products.

    Source: Musco and Musco 2015, arXiv:1504.05477.

    Raises:
        ValueError: if count is not between 1 and n.
    """
    if not 1 <= count <= n:
        raise ValueError(f"{count} eigenpairs of a kernel of {n} points")
    limit = 4 * count + 10 * BLOCK
    if n <= 4 * limit:
        values, vectors = np.linalg.eigh(_dense(product, n))
        return Pairs(np.maximum(values[::-1][:count], 0.0), vectors[:, ::-1][:, :count], np.zeros(count))
    space = np.empty((n, limit), order="F")
    projected = np.zeros((limit, limit))
    rng = np.random.default_rng(seed)
    block, _ = _orthonormal(rng.standard_normal((n, BLOCK)))
    for size in range(BLOCK, limit + 1, BLOCK):
        new = slice(size - BLOCK, size)
        space[:, new] = block
        basis = space[:, :size]
        image = _apply(product, block)
        projected[:size, new] = basis.T @ image
        projected[new, :size] = projected[:size, new].T
        block, coupling = _orthonormal(_outside(basis, image))
        if size >= count + BLOCK or size + BLOCK > limit:
            values, ritz = np.linalg.eigh(projected[:size, :size])
            values, ritz = values[::-1][:count], ritz[:, ::-1][:, :count]
            residuals = np.linalg.norm(coupling @ ritz[-BLOCK:], axis=0)
            if np.all(residuals <= TOLERANCE * np.maximum(values, 1e-3 * values[0])):
                break
        # Projected twice, before and after the QR: once is not enough where little of the image is left. Where it has
        # lost rank, its QR completes the block by directions that may lie in the space.
        lost = np.abs(np.diag(coupling)) <= 1e-12 * np.abs(projected[:size, :size]).max()
        block[:, lost] = rng.standard_normal((n, int(lost.sum())))
        block, _ = _orthonormal(_outside(basis, block))
    return Pairs(np.maximum(values, 0.0), basis @ ritz, residuals)


@dataclass(frozen=True)
class Density:
    """A spectrum of n eigenvalues as point masses: nodes (k,) descending, not negative; weights (k,), sum 1."""

    nodes: Array
    weights: Array
    n: int

    def sum(self, function: Callable[[Array], Array]) -> float:
        """Sum over all n eigenvalues of function(eigenvalue); `function` maps an array to an array."""
        return float(self.n * (self.weights @ function(self.nodes)))

    def quantiles(self) -> Array:
        """A curve of n eigenvalues (n,), descending: the means of n equal parts of the mass. Its sum is the trace.

        The large eigenvalues and sums are close; the tail is a staircase, whose number of treads is the number of
        Lanczos steps, so that its decay exponent is too small. More steps make it finer, more probes do not.
        """
        mass = np.concatenate([[0.0], np.cumsum(self.weights)])
        moment = np.concatenate([[0.0], np.cumsum(self.weights * self.nodes)])
        parts = self.n * np.diff(np.interp(np.linspace(0, mass[-1], self.n + 1), mass, moment))
        return np.minimum.accumulate(np.maximum(parts, 0.0))  # differences of sums round


def spectral_density(
    product: Product, n: int, *, probes: int, steps: int, seed: int, leading: Pairs | None = None
) -> Density:
    """The density of the eigenvalues, by stochastic Lanczos quadrature with full reorthogonalisation.

    Each probe is a random vector of signs; the Ritz values of its Krylov space are the nodes, and the squared first
    components of the Ritz vectors the weights. The densities of the probes are averaged.

    Args:
        probes: number of random vectors.
        steps: Lanczos steps of each. The cost is probes * steps products.
        leading: known leading pairs. They enter exactly, and the probes see only what is orthogonal to them. Give them
            where there are any: of a single large eigenvalue the probes alone know the weight only within
            sqrt(2 / probes).

    Memory: 8 n probes steps bytes besides that of the products.

    Source: Ubaru, Chen and Saad 2017, doi:10.1137/16M1104974; Ghorbani et al. 2019, arXiv:1901.10159.
    """
    known = 0 if leading is None else len(leading.values)
    nodes, weights = ([], []) if leading is None else ([leading.values], [np.full(known, 1 / n)])
    if known < n:
        draws = np.random.default_rng(seed).integers(0, 2, (n, probes)) * 2.0 - 1.0
        steps = min(steps, n - known)
        diagonals, sides = _lanczos(product, draws, steps, np.zeros((n, 0)) if leading is None else leading.vectors)
        for diagonal, side in zip(diagonals, sides, strict=True):
            ritz, vectors = eigh_tridiagonal(diagonal, side)
            nodes.append(np.maximum(ritz, 0.0))
            weights.append(np.square(vectors[0]) * (n - known) / (n * probes))
    all_nodes, all_weights = np.concatenate(nodes), np.concatenate(weights)
    order = np.argsort(-all_nodes, kind="stable")
    return Density(all_nodes[order], all_weights[order], n)


def _lanczos(product: Product, start: Array, steps: int, known: Array) -> tuple[Array, Array]:
    """Diagonals (b, steps) and side diagonals (b, steps - 1) of b recurrences, orthogonal to the columns of `known`.

    A recurrence whose space is exhausted goes on with zeros or rounding, which have no weight in its quadrature.
    """
    n, count = start.shape
    diagonals, sides = np.zeros((count, steps)), np.zeros((count, steps))
    spaces = np.zeros((count, steps, n))
    block = _outside(known, start).T
    block = block / np.maximum(np.linalg.norm(block, axis=1, keepdims=True), np.finfo(float).tiny)
    for step in range(steps):
        spaces[:, step] = block
        image = _apply(product, np.ascontiguousarray(block.T))
        diagonals[:, step] = (block * image.T).sum(1)
        image = _outside(known, image).T[:, :, None]
        seen = spaces[:, : step + 1]
        for _ in range(2):
            image = image - seen.transpose(0, 2, 1) @ (seen @ image)
        norms = np.linalg.norm(image[:, :, 0], axis=1)
        sides[:, step] = norms
        block = image[:, :, 0] / np.maximum(norms, np.finfo(float).tiny)[:, None]
    return diagonals, sides[:, :-1]


def hutchpp(product: Product, n: int, queries: int, seed: int) -> Traces:
    """Tr K and Tr K^2 by Hutch++, both from the same `queries` products.

    With Q an orthonormal basis of K times a third of the random sign vectors, P = 1 - Q Q^T, and g the last third:

        Tr K   = Tr Q^T K Q + E g^T P K P g
        Tr K^2 = 2 |K Q|^2 - |Q^T K Q|^2 + E |P K P g|^2

    Only the expectations E over g are estimated. Hutch++ applied to K^2 would estimate |Q^T K P|^2 as well, which is
    known here, and would take twice the products. From n queries on, K itself is computed.

    Source: Meyer et al. 2021, arXiv:2010.09649.

    Raises:
        ValueError: for fewer than 3 queries.
    """
    if queries < 3:
        raise ValueError(f"{queries} queries: at least 3 are needed")
    if queries >= n:
        kernel = _dense(product, n)
        return Traces(float(np.trace(kernel)), float(np.square(kernel).sum()))
    third = queries // 3
    draws = np.random.default_rng(seed).integers(0, 2, (n, queries - third)) * 2.0 - 1.0
    basis, _ = _orthonormal(_apply(product, draws[:, :third]))
    rest = _outside(basis, draws[:, third:])
    image, rest_image = _apply(product, basis), _apply(product, rest)
    inner = basis.T @ image
    trace = np.trace(inner) + (rest * rest_image).sum(0).mean()
    square = 2 * np.square(image).sum() - np.square(inner).sum()
    square += np.square(_outside(basis, rest_image)).sum(0).mean()
    return Traces(float(trace), float(square))
