"""Observations as the analysis makes them, of a kernel whose eigenvectors are Fourier modes: all in closed form."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from inrbench_analysis_ntk.seen import Seen

EVERY = 100


def observations(
    sizes: tuple[int, ...] = (32, 32),
    *,
    decay: float = 2.0,
    corner: float = 3.0,
    steps: int = 1000,
    seed: int = 0,
    held_out: bool = True,
    adam: bool = False,
    hz: bool = False,
) -> list[Seen]:
    """What is seen of gradient descent on a random signal with energy 1/k^2, by a kernel 1 / (1 + (k / corner)^decay).

    Args:
        sizes: of the grid.
        decay: of the kernel's eigenvalues.
        corner: frequency from which they fall.
        steps: of the fit; 0: only the start and the end, which are the same moment.
        seed: of the signal and of the noise on what is measured.
        held_out: whether points are held out.
        adam: whether there are curves with Adam's rates.
        hz: whether the rings have frequencies in Hz.
    """
    rng = np.random.default_rng(seed)
    axes = np.meshgrid(*[np.fft.fftfreq(size) * max(sizes) for size in sizes], indexing="ij")
    k = np.sqrt(sum(axis**2 for axis in axes)).ravel()
    edges = np.concatenate([[0.0, 0.5], np.geomspace(0.5, k.max(), 13)[1:]])
    ring = np.clip(np.searchsorted(edges, k, side="right") - 1, 0, 12)
    known = np.unique(ring)
    middles = np.array([0.0 if r == 0 else k[ring == r].mean() for r in known])
    energy = np.where(k > 0, 1 / np.maximum(k, 1) ** 2, 0.2) * rng.gamma(2, 0.5, k.size)
    energy /= energy.sum()

    def by_ring(values: Any, of: Any = np.mean) -> np.ndarray:
        return np.array([of(values[ring == r]) for r in known])

    seen = []
    for step in dict.fromkeys([0, *range(EVERY, steps, EVERY), steps]) if steps else (0, 0):
        moment = step in (0, steps)
        grown = 1 + 0.8 * step / max(steps, 1)
        eigenvalues = grown / (1 + (k / (corner * grown)) ** decay)
        first = 1 / (1 + (k / corner) ** decay)
        # What is measured is faster than what the kernel at the start predicts.
        left = energy * (1 - 0.9 * np.minimum(1, first * 1.6)) ** (2 * step)
        metrics = {"output_share": 0.4 if step else 0.01, "fit_error": left.sum(), "held_out_error": math.nan}
        if held_out:
            metrics["held_out_error"] = min(1.0, 0.08 + left.sum())
        arrays: dict[str, np.ndarray] = {
            "frequency": middles,
            "ring_error": by_ring(left, np.sum),
            "ring_target": by_ring(energy, np.sum),
        }
        if hz:
            arrays["frequency_hz"] = middles * 40
        if moment:
            order = np.argsort(-eigenvalues)
            spectrum = eigenvalues[order] / eigenvalues.sum()
            cumulative = np.cumsum(energy[order])
            metrics |= {
                "participation_ratio": 1 / (spectrum**2).sum(),
                "entropy_rank": math.exp(-(spectrum * np.log(spectrum)).sum()),
                "decay_exponent": decay / len(sizes),
                "target_energy_1": cumulative[0],
                "target_energy_10": cumulative[9],
                "target_energy_100": cumulative[min(99, k.size - 1)],
                "silent_share": energy[eigenvalues < 1e-3 * eigenvalues.max()].sum(),
                "drift": 0.3 * step / max(steps, 1),
                "linearised_error": (energy * (1 - 0.9 * first) ** (2 * steps)).sum(),
                "linearised_held_out_error": 0.11 if held_out else math.nan,
                "ring_agreement": 0.93 if step else math.nan,
            }
            response = by_ring(eigenvalues)
            arrays |= {
                "eigenvalues": spectrum,
                "target_energy": cumulative,
                "response": response,
                "predicted_steps": math.log(10) / (0.9 * response / eigenvalues.max()),
                "eigenvectors": _modes(sizes, order, seed).astype(np.float32),
                "diagonal": (1 + 0.4 * np.prod([np.abs(a) for a in _coords(sizes)], axis=0) * grown).astype(np.float32),
            }
        if step == 0 and steps:
            when = np.concatenate([[0], np.geomspace(1, steps, 40)])
            fit = np.array([(energy * (1 - 0.9 * first) ** (2 * t)).sum() for t in when])
            arrays |= {"linearised_steps": when, "linearised_fit": fit}
            arrays["linearised_held_out"] = np.minimum(1, 0.11 + fit) if held_out else np.full(len(when), np.nan)
        if step == steps and steps:
            measured = math.log(10) / (0.9 * np.minimum(1, by_ring(first) * 1.6))
            measured = np.ceil(measured * np.exp(0.2 * rng.normal(size=len(known))) / EVERY) * EVERY
            arrays["measured_steps"] = np.where(measured <= steps, measured, np.nan)
            if adam:
                arrays |= {
                    "adam_eigenvalues": np.sqrt(arrays["eigenvalues"]) / np.sqrt(arrays["eigenvalues"]).sum(),
                    "adam_response": np.sqrt(arrays["response"]),
                    "adam_predicted_steps": np.sqrt(arrays["predicted_steps"]) * 3,
                }
        seen.append(Seen(step, metrics, arrays))
    return seen


def kept(by_part: dict[str, list[Seen]]) -> dict[str, np.ndarray]:
    """The same as a run's file keeps it."""
    arrays: dict[str, np.ndarray] = {}
    for part, seen in by_part.items():
        prefix = f"{part}." if part else ""
        arrays["steps"] = np.array([one.step for one in seen])
        for name in sorted({name for one in seen for name in one.metrics}):
            arrays[f"metrics/{prefix}{name}"] = np.array([one.metric(name) for one in seen])
        for number, one in enumerate(seen):
            arrays |= {f"{prefix}{name}/{number}": array for name, array in one.arrays.items()}
    return arrays


def _coords(sizes: tuple[int, ...]) -> list[np.ndarray]:
    return np.meshgrid(*[(np.arange(size) + 0.5) * 2 / size - 1 for size in sizes], indexing="ij")


def _modes(sizes: tuple[int, ...], order: np.ndarray, seed: int) -> np.ndarray:
    """The first eight Fourier modes, real, (*sizes, 8)."""
    modes = []
    for number, index in enumerate(order[:8]):
        waves = np.fft.ifftn(np.eye(1, math.prod(sizes), index).reshape(sizes))
        modes.append(waves.real if number % 2 else waves.real + waves.imag)
    return np.stack(modes, axis=-1)
