"""The kernel of one field at one moment: eigenpairs, response by frequency, Adam's scale."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from inrbench_analysis_ntk.jacobian import Jacobian
from inrbench_analysis_ntk.kernel import Kernel, Points, adam_scale, response
from inrbench_analysis_spectrum.grid import make_grid
from torch import nn

# Tests are imported by their files, so what they share is no package.
sys.path.append(str(Path(__file__).parent))
from regression import mean_kernel, network, picture

SIZES = (8, 6)


@pytest.mark.parametrize("exactly", [True, False])
def test_response_is_the_rayleigh_quotient_of_fourier_modes(exactly: bool) -> None:
    problem, model = picture(), network()
    grid = make_grid(problem, rings=5, spacing="geometric")
    kernel = mean_kernel(model, problem.points)
    j, k = np.meshgrid(*(np.arange(size) for size in SIZES), indexing="ij")
    wanted = np.zeros(len(grid.frequency))
    count = np.zeros(len(grid.frequency))
    for a in range(SIZES[0]):
        for b in range(SIZES[1]):
            wave = np.exp(2j * np.pi * (a * j / SIZES[0] + b * k / SIZES[1])).ravel()
            wanted[grid.ring[a, b]] += (wave.conj() @ kernel @ wave).real / len(wave) ** 2
            count[grid.ring[a, b]] += 1
    jacobian = Jacobian(model, problem.points)
    if exactly:
        found = response(jacobian, grid, 4, matrix=jacobian.gram())
        np.testing.assert_allclose(found, wanted / count, rtol=1e-4)
    else:
        # All modes of each ring; of a pair k, -k one is drawn, and those that are their own opposite count as much.
        found = response(jacobian, grid, 100)
        halves = [
            np.mean([_quotient(kernel, mode) for mode in grid.modes(ring)]) for ring in range(len(grid.frequency))
        ]
        np.testing.assert_allclose(found, halves, rtol=1e-4)


def _quotient(kernel: np.ndarray[Any, Any], mode: np.ndarray[Any, Any]) -> float:
    j, k = np.meshgrid(*(np.arange(size) for size in SIZES), indexing="ij")
    wave = np.exp(2j * np.pi * (mode[0] * j / SIZES[0] + mode[1] * k / SIZES[1])).ravel()
    return float((wave.conj() @ kernel @ wave).real / len(wave) ** 2)


def test_a_kernel_too_large_for_all_eigenvalues_is_estimated(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    model, coords = network(1, 64), 2.0 * torch.rand(900, 2) - 1.0
    trained = np.arange(900) % 4 != 0
    points = Points(900, 1, trained, "mean")
    exact = Kernel(Jacobian(model, coords), points, top=20, seed=0)
    monkeypatch.setattr("inrbench_analysis_ntk.kernel.DENSE_ROWS", 100)
    found = Kernel(Jacobian(model, coords), points, top=20, seed=0)
    assert exact.exact
    assert found.matrix is None
    assert len(found.eigenvalues) == 20
    np.testing.assert_allclose(found.eigenvalues[:10], exact.eigenvalues[:10], rtol=1e-3)
    for name in ("participation_ratio", "eigenvalue_mean", "leading_count", "entropy_rank"):
        assert found.figures[name] == pytest.approx(exact.figures[name], rel=0.02), name
    assert found.norm == pytest.approx(exact.norm, rel=0.01)
    np.testing.assert_allclose(found.diagonal(), exact.diagonal(), rtol=1e-3)
    vectors = np.random.default_rng(0).normal(size=(900, 2))
    np.testing.assert_allclose(found.product(vectors), exact.product(vectors), rtol=1e-3, atol=1e-2 * exact.norm / 900)


@pytest.mark.parametrize("optimizer", [torch.optim.Adam, torch.optim.AdamW])
def test_adams_first_step_changes_the_values_as_its_kernel_says(optimizer: Any) -> None:
    problem, model = picture(1), network(1).double()
    coords, values = problem.points.double(), problem.values.double()
    start = network(1).double()
    # The bias of the last layer would be moved by a rate of its own, were there no groups.
    groups = [{"params": list(model[:4].parameters())}, {"params": list(model[4:].parameters()), "lr": 2e-9}]
    adam = optimizer(groups, lr=1e-9, weight_decay=0.0, eps=1e-3)
    loss = (model(coords) - values).square().mean()
    loss.backward()
    before = model(coords).detach()
    adam.step()
    # At the first step v / (1 - beta2) is the squared gradient, and Adam's step is S times the gradient.
    scale = adam_scale(adam, model)
    assert scale is not None
    kernel = Jacobian(start.eval(), coords).gram(scale=scale)
    predicted = -1e-9 * 2.0 / len(coords) * kernel @ (before - values)
    torch.testing.assert_close(model(coords).detach() - before, predicted, rtol=1e-5, atol=1e-16)


def test_optimisers_without_second_moments_have_no_such_kernel() -> None:
    model = network()
    assert adam_scale(None, model) is None
    assert adam_scale(torch.optim.SGD(model.parameters(), lr=1.0), model) is None
    assert adam_scale(torch.optim.Adam(model.parameters()), model) is None


def test_a_parameter_without_a_gradient_counts_as_one_that_adam_does_not_move() -> None:
    model = network(1)
    unused = nn.Linear(2, 2)
    both = nn.ModuleDict({"used": model, "unused": unused})
    adam = torch.optim.Adam(both.parameters())
    model(torch.rand(5, 2)).sum().backward()
    adam.step()
    scale = adam_scale(adam, both)
    assert scale is not None
    assert scale["unused.weight"].eq(0).all()
    assert scale["used.4.bias"].gt(0).all()
