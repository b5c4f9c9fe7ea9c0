"""Kernels of components whose spectrum is known, and the learning that a kernel predicts against gradient descent."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from inrbench_core.api.components import FieldShape
from inrbench_core.api.problem import Evaluation, Problem, SeedStreams, grid_coords
from inrbench_core.fit import fit
from inrbench_core.plugins.catalog import Catalog
from inrbench_core.plugins.loading import load_catalog
from inrbench_core.testing.small_runs import make_training

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


class Samples(Problem):
    """A smooth signal of one or two values at 40 samples, every fourth of which is not trained on."""

    def __init__(self, outputs: int) -> None:
        self.points = grid_coords((40,))
        x = self.points
        self.values = torch.cat([torch.sin(3.0 * x) + 0.4 * torch.cos(8.0 * x), 0.5 * x**2 - x][:outputs], dim=1)
        self.trained = torch.arange(40) % 4 != 1
        self.index = torch.nonzero(self.trained).squeeze(1)
        self.shapes = {"field": FieldShape(1, outputs, (40,))}
        self.elements, self.record = len(self.index), {}

    def _nearest(self, coords: Tensor) -> Tensor:
        return ((coords[:, 0] + 1.0) / 2.0 * 39).round().long()

    def target(self, coords: Tensor, field: str = "") -> Tensor:
        return self.values[self._nearest(coords)]

    def is_trained(self, coords: Tensor, field: str = "") -> Tensor:
        return self.trained[self._nearest(coords)]

    def batch(self, index: Any) -> dict[str, Tensor]:
        chosen = self.index[index]
        return {"coords": self.points[chosen], "values": self.values[chosen]}

    def loss(self, model: nn.Module, batch: Any) -> Tensor:
        return (model(batch["coords"]) - batch["values"]).square().mean(dim=1)

    def evaluate(self, model: nn.Module, *, full: bool = True) -> Evaluation:
        return Evaluation({"mse": float(self.loss(model, self.batch(slice(None))).mean())})

    def baseline(self, name: str) -> Evaluation:
        raise NotImplementedError

    def truth(self) -> np.ndarray[Any, Any]:
        raise NotImplementedError


class Wide(nn.Module):
    """Two layers in the scaling in which a wide network stays close to its linearisation."""

    def __init__(self, outputs: int, width: int = 16_384) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first, self.last = nn.Linear(1, width), nn.Linear(width, outputs, bias=False)
        nn.init.normal_(self.first.weight, 0.0, 3.0)
        nn.init.normal_(self.last.weight)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(torch.tanh(self.first(x))) / math.sqrt(self.last.in_features)


@pytest.mark.parametrize(("outputs", "channels"), [(1, "mean"), (2, "full")])
@pytest.mark.parametrize("schedule", ["constant", "cosine"])
def test_full_batch_gradient_descent_follows_the_linearised_curve(outputs: int, channels: str, schedule: str) -> None:
    problem, model = Samples(outputs), Wide(outputs)
    largest = np.linalg.eigvalsh(kernel(model, problem.points[problem.trained]))[-1]
    # A fifth of the largest stable rate; the engine's loss is the mean square, of which a rate counts double.
    lr = 0.2 * problem.elements * outputs / (2.0 * largest)
    training = make_training(
        CATALOG,
        optimizer={"name": "sgd", "momentum": 0},
        lr=lr,
        steps=40,
        batch="full",
        schedule=schedule,
        evaluate_every=1,
    )
    options = {"name": "ntk", "points": 40, "channels": channels, "preview": False}
    analysis = CATALOG.resolve("analysis", options).build()
    result = fit(problem, model, training, seeds=SeedStreams(0), analyses={"ntk": analysis}).analyses["ntk"]
    assert result.error == ""
    start, *_, end = result.observations
    assert end.metrics["drift"] < 1e-3
    measured = {step: seen.metrics for step, seen in zip(result.steps, result.observations, strict=True)}
    for name, metric in (("linearised_fit", "fit_error"), ("linearised_held_out", "held_out_error")):
        for step, predicted in zip(start.curves["linearised_steps"], start.curves[name], strict=True):
            assert measured[int(step)][metric] == pytest.approx(predicted, rel=0.01)
    assert measured[40]["fit_error"] < 0.9 * measured[0]["fit_error"]
    assert end.metrics["linearised_error"] == pytest.approx(measured[40]["fit_error"], rel=0.01)
