"""Kernels of components whose spectrum is known."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from inrbench_core.plugins.catalog import Catalog
from inrbench_core.plugins.loading import load_catalog

CATALOG: Catalog = load_catalog()


def kernel(model: nn.Module, coords: Tensor) -> np.ndarray[Any, Any]:
    from inrbench_analysis_ntk.jacobian import Jacobian

    return Jacobian(model, coords).gram().numpy()


def test_a_fourier_layer_has_a_flat_spectrum_up_to_its_grid_and_none_beyond() -> None:
    grid, count = 6, 32
    basis = CATALOG.resolve("basis", {"name": "fourier", "grid": grid, "bias": False}).build()
    layer = basis.layer(1, 1, position="first").double()
    # Over a whole period, without the point that would be there twice.
    coords = (2.0 * math.pi * torch.arange(count, dtype=torch.float64) / count - math.pi).unsqueeze(1)
    values, vectors = np.linalg.eigh(kernel(layer, coords))
    expected = np.r_[np.zeros(count - 2 * grid), np.full(2 * grid, count / 2)]
    np.testing.assert_allclose(values, expected, atol=1e-10)
    # The leading eigenvectors span the sines and cosines of frequencies 1 to 6.
    waves = np.stack([f(k * coords[:, 0].numpy()) for k in range(1, grid + 1) for f in (np.cos, np.sin)], axis=1)
    waves /= np.linalg.norm(waves, axis=0)
    projector = vectors[:, -2 * grid :] @ vectors[:, -2 * grid :].T
    np.testing.assert_allclose(projector @ waves, waves, atol=1e-10)


def test_a_translation_invariant_kernel_on_a_periodic_grid_is_circulant() -> None:
    count = 24
    encoding = CATALOG.resolve("encoding", {"name": "rff", "frequencies": 64, "sigma": 3}).build(1)
    # Frequencies of whole cycles over the interval of length 2 make the kernel periodic.
    encoding.directions = torch.round(2.0 * encoding.directions.double()) / 2.0
    model = nn.Sequential(encoding, nn.Linear(encoding.out_features, 1, bias=False)).double()
    coords = (2.0 * torch.arange(count, dtype=torch.float64) / count - 1.0).unsqueeze(1)
    found = kernel(model, coords)
    np.testing.assert_allclose(found[3], np.roll(found[0], 3), atol=1e-9)
    np.testing.assert_allclose(np.sort(np.fft.fft(found[0]).real), np.linalg.eigvalsh(found), atol=1e-8)
    # Each frequency counts as often as it was drawn, n / 2 for its cosine and as much for its sine.
    cycles = (2.0 * encoding.directions.abs()).round().long().reshape(-1) % count
    cycles = torch.minimum(cycles, count - cycles)
    drawn = torch.bincount(cycles, minlength=count // 2 + 1).double().numpy()
    expected = np.concatenate([[count * drawn[0]], np.repeat(count / 2 * drawn[1:-1], 2), [count * drawn[-1]]])
    np.testing.assert_allclose(np.sort(np.linalg.eigvalsh(found)), np.sort(expected), atol=1e-8)
