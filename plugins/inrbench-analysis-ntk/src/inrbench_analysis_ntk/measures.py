"""Figures of a kernel's spectrum, of a target in its eigenvectors, and of the learning that the kernel predicts.

All functions compute in float64. `eigenvalues` are those of a symmetric positive semidefinite kernel (n, n), in
descending order; values below 0 are rounding and count as 0. A kernel of zeros, and one that holds NaN, gives NaN.
"Leading pairs" are the m <= n largest eigenvalues (m,) with their eigenvectors (n, m).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special, stats

Array = NDArray[np.float64]

# A kernel computed in float32 has eigenvalues that are rounding below about this share of the largest.
ROUNDING = 1e-6
# A correlation of fewer pairs than these says nothing.
LEAST_PAIRS = 4


def _values(eigenvalues: ArrayLike) -> Array:
    return np.maximum(np.asarray(eigenvalues, dtype=np.float64), 0.0)


def _columns(values: ArrayLike) -> Array:
    """(n,) or (n, C) as (n, C)."""
    values = np.asarray(values, dtype=np.float64)
    return values.reshape(len(values), -1)


def _ratio(part: float, whole: float) -> float:
    return float(part / whole) if whole > 0 else float("nan")


def participation_ratio(eigenvalues: ArrayLike) -> float:
    """(Tr K)^2 / Tr K^2, between 1 (one eigenvalue) and n (all equal). Needs all eigenvalues."""
    values = _values(eigenvalues)
    return _ratio(values.sum() ** 2, np.square(values).sum())


def entropy_rank(eigenvalues: ArrayLike) -> float:
    """exp(-sum_j p_j ln p_j) with p = eigenvalues / trace, between 1 and n. Needs all eigenvalues.

    Source: the effective rank of Roy and Vetterli, EUSIPCO 2007.
    """
    values = _values(eigenvalues)
    trace = values.sum()
    return float(np.exp(special.entr(values / trace).sum())) if trace > 0 else float("nan")


def leading_count(eigenvalues: ArrayLike, share: float = 0.1) -> float:
    """How many eigenvalues are above `share` of the largest, the largest included.

    Source: Yuce et al. 2022, arXiv:2112.04645.
    """
    values = _values(eigenvalues)
    return float(np.sum(values > share * values[0])) if values[0] > 0 else float("nan")


def decay_exponent(eigenvalues: ArrayLike, floor: float = ROUNDING) -> float:
    """The a of lambda_j ~ j^-a: the least squares slope of -ln lambda_j against ln j, j = 2, 3, ...

    Counted are the eigenvalues above `floor` times the largest, each with the same weight, so that the slope is mostly
    that of the tail. The first is left out: its eigenvector is close to the constant function, and its size depends on
    the mean of the features and not on the decay. Leading pairs give the slope of what is known. NaN if fewer than 3
    eigenvalues are left.
    """
    values = _values(eigenvalues)
    index = np.flatnonzero(values > floor * values[0])[1:]
    if len(index) < 3:
        return float("nan")
    return float(-np.polynomial.polynomial.polyfit(np.log(index + 1.0), np.log(values[index]), 1)[1])


def eigenvalue_mean(eigenvalues: ArrayLike) -> float:
    """Mean of the eigenvalues, Tr K / n. Needs all eigenvalues. Source: arXiv:2512.15169."""
    return float(_values(eigenvalues).mean())


def eigenvalue_variance(eigenvalues: ArrayLike) -> float:
    """Variance of eigenvalues / mean (the population's), n / participation_ratio - 1. Needs all eigenvalues.

    Source: arXiv:2512.15169.
    """
    values = _values(eigenvalues)
    return _ratio(values.var(), values.mean() ** 2)


def target_energy(eigenvectors: ArrayLike, target: ArrayLike) -> Array:
    """Share of the target's energy in the span of the first 1, 2, ..., m eigenvectors.

    Args:
        eigenvectors: (n, m), orthonormal columns, the leading ones first.
        target: (n,) or (n, C). The energy is the sum of squares over points and channels; a mean is not removed.

    Returns:
        (m,), ascending, up to 1 (within rounding); NaN for a target of zeros.
    """
    target = _columns(target)
    energy = np.square(target).sum()
    parts = np.square(np.asarray(eigenvectors, dtype=np.float64).T @ target).sum(1)
    return np.cumsum(parts) / energy if energy > 0 else np.full(len(parts), np.nan)


def silent_share(eigenvalues: ArrayLike, eigenvectors: ArrayLike, target: ArrayLike, floor: float = 1e-3) -> float:
    """Share of the target's energy outside the span of the eigenvectors with eigenvalues above `floor` of the largest.

    With leading pairs it is exact if the smallest known eigenvalue is not above the floor, and otherwise an upper bound
    (the energy outside the known vectors counts as silent).
    """
    values = _values(eigenvalues)
    if not values[0] > 0:
        return float("nan")
    heard = int(np.sum(values > floor * values[0]))
    return float(np.maximum(1 - target_energy(np.asarray(eigenvectors)[:, :heard], target)[-1], 0.0))


def alignment(target: ArrayLike, image: ArrayLike, norm: float) -> float:
    """Kernel-target alignment y^T K y / (|K|_F |y|^2), between 0 and 1.

    Args:
        target: y, (n,) or (n, C).
        image: K y, of the same shape.
        norm: the Frobenius norm of K, sqrt(Tr K^2).

    Returns:
        The mean over channels, each with the same weight; channels of zeros are left out; NaN if none is left.

    Source: Cristianini et al., On kernel-target alignment, NIPS 2001.
    """
    target, image = _columns(target), _columns(image)
    energy = np.square(target).sum(0)
    there = energy > 0
    if not (there.any() and norm > 0):
        return float("nan")
    return float(np.mean((target * image).sum(0)[there] / energy[there]) / norm)


def drift(first: NDArray[np.floating], second: NDArray[np.floating]) -> float:
    """1 - <K0, Kt> / (|K0| |Kt|): 0 for equal directions, at most 1 for positive semidefinite kernels.

    Args:
        first, second: K0 and Kt (n, n), or K0 Z and Kt Z (n, q) for the same random vectors Z (n, q) with independent
            entries of mean 0 and variance 1: then numerator and norms are Hutchinson's estimates.

    Computed as half of the squared distance of the normalised kernels, which does not cancel for a small drift.
    """
    if first.shape != second.shape:
        raise ValueError(f"kernels of different shapes: {first.shape} and {second.shape}")
    # Not all at once: float64 copies of two kernels of 4,096 points would take 270 MB.
    blocks = [slice(start, start + 512) for start in range(0, len(first), 512)]
    norms = [np.sqrt(sum(np.square(k[rows], dtype=np.float64).sum() for rows in blocks)) for k in (first, second)]
    if not (norms[0] > 0 and norms[1] > 0):
        return float("nan")
    distance = sum(
        np.square(first[rows].astype(np.float64) / norms[0] - second[rows].astype(np.float64) / norms[1]).sum()
        for rows in blocks
    )
    return float(distance / 2)


def largest_stable_rate(eigenvalues: ArrayLike, points: int) -> float:
    """points / lambda_1, the largest rate at which no component of the residual changes its sign.

    From 2 points / lambda_1 on the residual does not converge. The loss is half of the mean square.
    """
    return _ratio(points, _values(eigenvalues)[0])


def _shrinkage(eigenvalues: Array, steps: ArrayLike, rates: ArrayLike, points: int) -> tuple[Array, Array, Array]:
    """ln |P| (T, m), the sign of P (T, m) and the sum of the rates taken / points (T,).

    P is the product of (1 - rates_s lambda / points) over the steps taken.
    """
    steps, rates = np.asarray(steps, dtype=np.int64), np.asarray(rates, dtype=np.float64)
    if steps.ndim != 1 or (len(steps) and steps[0] < 0) or np.any(np.diff(steps) < 0):
        raise ValueError("steps must be one-dimensional, not negative, and not descending")
    last = int(steps[-1]) if len(steps) else 0
    if rates.ndim == 0:
        rates = np.broadcast_to(rates, (last,))
    if len(rates) < last:
        raise ValueError(f"{len(rates)} rates do not reach step {last}")
    total, taken, signs = np.zeros(len(eigenvalues)), 0.0, np.ones(len(eigenvalues))
    logs, all_signs, sums = [], [], []
    for start, stop in zip([0, *steps], steps, strict=False):
        distinct, counts = np.unique(rates[start:stop], return_counts=True)
        for low in range(0, len(distinct), 256):
            number = counts[low : low + 256, None]
            x = np.outer(distinct[low : low + 256], eigenvalues / points)
            with np.errstate(divide="ignore"):
                # |1 - x| is 1 - min(x, 2 - x) on both sides of 1; x = 1 gives ln 0 = -inf, which is meant.
                total = total + (number * np.log1p(-np.minimum(x, 2 - x))).sum(0)
            signs = signs * np.where((number * (x > 1)).sum(0) % 2, -1.0, 1.0)
        taken += float(distinct @ counts) / points
        logs.append(total)
        all_signs.append(signs)
        sums.append(taken)
    shape = (len(steps), len(eigenvalues))
    return np.reshape(logs, shape), np.reshape(all_signs, shape), np.asarray(sums)


def linearised_fit(
    eigenvalues: ArrayLike,
    coefficients: ArrayLike,
    steps: ArrayLike,
    rates: ArrayLike,
    *,
    points: int,
    energy: float | None = None,
) -> Array:
    """Share of the residual's energy left at `steps` on the points trained on, by gradient descent, the kernel fixed.

    After t steps component i of the residual is prod_{s < t} (1 - rates_s lambda_i / points) c_i. The loss is half of
    the mean square, sum_points r^2 / (2 points); for the mean square itself a rate counts double.

    Args:
        eigenvalues: (m,), all or the leading ones.
        coefficients: V^T r(0), (m,) or (m, C): the residual before the first step in the eigenvectors.
        steps: (T,) integers, ascending, from 0.
        rates: one learning rate for all steps, or (S,) with S >= steps[-1]: rates[s] is that of the step after s steps.
        points: n, the number of points trained on.
        energy: |r(0)|^2 over points and channels; needed with leading pairs only. What lies outside of their span
            counts as not learnt.

    Returns:
        (T,); NaN for a residual of zeros.

    Raises:
        ValueError: for fewer eigenvalues than points and no energy; too few rates; steps that descend.
    """
    values, power = _values(eigenvalues), np.square(_columns(coefficients)).sum(1)
    if energy is None:
        if len(values) < points:
            raise ValueError(f"{len(values)} of {points} eigenvalues: the residual's energy is needed")
        energy = float(power.sum())
    logs, _, _ = _shrinkage(values, steps, rates, points)
    if not energy > 0:
        return np.full(len(logs), np.nan)
    there = power > 0  # so that a component of 0 stays 0 where its factor overflows
    with np.errstate(over="ignore"):
        left = np.exp(2 * logs[:, there]) @ power[there]
    return (left + max(energy - power.sum(), 0.0)) / energy


def linearised_held_out(
    eigenvalues: ArrayLike,
    coefficients: ArrayLike,
    cross: ArrayLike,
    residual: ArrayLike,
    steps: ArrayLike,
    rates: ArrayLike,
    *,
    points: int,
) -> Array:
    """Share of the residual's energy left at `steps` on held-out points, by gradient descent, the kernel fixed.

    r_h(t) = r_h(0) - K_ht V diag((1 - P_i(t)) / lambda_i) V^T r_t(0), with the P_i(t) of `linearised_fit`, the product
    of (1 - rates_s lambda_i / points). For lambda_i -> 0 the factor tends to the sum of the rates / points.

    Args:
        eigenvalues, coefficients, steps, rates, points: as in `linearised_fit`. With leading pairs, what the residual
            has outside of their span changes nothing on the held-out points.
        cross: K_ht V, (h, m): the kernel between held-out points and those trained on, times the eigenvectors.
        residual: r_h(0), (h,) or (h, C), before the first step.

    Returns:
        (T,); NaN for a residual of zeros; infinity or NaN where rates that diverge leave float64's range.
    """
    values, parts, residual = _values(eigenvalues), _columns(coefficients), _columns(residual)
    logs, signs, taken = _shrinkage(values, steps, rates, points)
    energy = np.square(residual).sum()
    if not energy > 0:
        return np.full(len(logs), np.nan)
    progress = taken[:, None] * values
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        learnt = np.where(signs > 0, -np.expm1(logs), 1 + np.exp(logs)) / values
        # 1 - P = progress (1 - O(progress)): below 1e-12 the limit is exact to rounding, and division by 0 is avoided.
        factor = np.where(progress > 1e-12, learnt, taken[:, None]).T
        change = np.asarray(cross, dtype=np.float64) @ (factor[:, :, None] * parts[:, None, :]).reshape(len(values), -1)
        left = residual[:, None, :] - change.reshape(len(residual), len(taken), -1)
        return np.square(left).sum((0, 2)) / energy


def steps_to_a_tenth(response: ArrayLike, rate: float) -> Array:
    """ln 10 / (rate * response): steps of gradient descent until an amplitude has fallen to a tenth, for small steps.

    Args:
        response: lambda_k / n, of any shape; 0 (or rounding below it) gives infinity: never.
        rate: learning rate, for half of the mean square as loss.
    """
    with np.errstate(divide="ignore"):
        return np.log(10) / (rate * _values(response))


def measured_steps(steps: ArrayLike, ring_error: ArrayLike) -> Array:
    """First of `steps` at which the amplitude sqrt(ring_error) is at most a tenth of that at the first observation.

    Args:
        steps: (M,) steps of the observations, ascending.
        ring_error: (M, R) energy of the residual in each ring.

    Returns:
        (R,); NaN if never, or if the first observation is NaN. A ring without any error at first gives the first step.
    """
    amplitude = np.sqrt(np.asarray(ring_error, dtype=np.float64))
    learnt = amplitude <= amplitude[0] / 10
    return np.where(learnt.any(0), np.asarray(steps, dtype=np.float64)[learnt.argmax(0)], np.nan)


def _pairs(a: ArrayLike, b: ArrayLike) -> tuple[Array, Array] | None:
    """The usable pairs with NaN as infinity; None if no correlation is defined."""
    a, b = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    usable = ~(np.isnan(a) & np.isnan(b))
    a, b = (np.where(np.isnan(x), np.inf, x)[usable] for x in (a, b))
    return None if len(a) < LEAST_PAIRS or (a == a[0]).all() or (b == b[0]).all() else (a, b)


def _rank_correlation(a: Array, b: Array) -> Array:
    """Spearman's coefficient along the last axis; NaN where one side is constant."""
    a, b = (rank - rank.mean(-1, keepdims=True) for rank in (stats.rankdata(x, axis=-1) for x in (a, b)))
    with np.errstate(invalid="ignore"):
        return (a * b).sum(-1) / np.sqrt(np.square(a).sum(-1) * np.square(b).sum(-1))


def spearman(a: ArrayLike, b: ArrayLike) -> float:
    """Spearman's rank correlation of the pairs (a_i, b_i), for numbers of steps.

    NaN on one side means "never" and ranks above every number, level with infinity; a pair of two NaN is left out.
    Where NaN means "unknown" instead, leave such pairs out before. The result is NaN if fewer than 4 pairs are left,
    and if one side is constant.
    """
    pairs = _pairs(a, b)
    return float("nan") if pairs is None else float(stats.spearmanr(*(stats.rankdata(x) for x in pairs)).statistic)


def spearman_interval(a: ArrayLike, b: ArrayLike, seed: int, resamples: int = 10_000) -> tuple[float, float]:
    """95 % percentile bootstrap interval of `spearman` over pairs, (low, high); NaN where that is NaN.

    Resamples in which one side is constant are left out. Not BCa: its correction is undefined for a correlation of
    exactly 1 or -1, which a few rings often have.
    """
    pairs = _pairs(a, b)
    if pairs is None:
        return float("nan"), float("nan")
    rng, count = np.random.default_rng(seed), len(pairs[0])
    drawn = []
    for start in range(0, resamples, chunk := max(1, 1_000_000 // count)):
        chosen = rng.integers(count, size=(min(chunk, resamples - start), count))
        drawn.append(_rank_correlation(pairs[0][chosen], pairs[1][chosen]))
    low, high = np.nanquantile(np.concatenate(drawn), (0.025, 0.975))
    return float(low), float(high)
