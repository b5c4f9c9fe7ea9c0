import math

import numpy as np
import pytest
import torch
from inrbench_analysis_spectrum.plugin import inrbench_analyses
from torch import nn

from inrbench_core import Evaluation, FieldShape, Problem, SeedStreams, UnsupportedError, grid_coords
from inrbench_core.fit import fit
from inrbench_core.plugins.loading import load_catalog
from inrbench_core.spec.training import TrainingSpec
from inrbench_core.testing import parametrize_with_checks

(ENTRY,) = inrbench_analyses()


class Known(Problem):
    """A signal (*sizes, C), known at its samples."""

    def __init__(self, values, known=True, on_grid=True):
        self.values, self.known = torch.as_tensor(values), known
        self.sizes = self.values.shape[:-1]
        shape = FieldShape(len(self.sizes), self.values.shape[-1], tuple(self.sizes) if on_grid else None)
        self.shapes, self.elements, self.record = {"field": shape}, self.values[..., 0].numel(), {}
        self.points = grid_coords(tuple(self.sizes))

    def target(self, coords, field=""):
        return Sampled(self.values)(coords) if self.known else None

    def batch(self, index):
        return {"coords": self.points[index], "values": self.values.reshape(self.elements, -1)[index]}

    def loss(self, model, batch):
        return (model(batch["coords"]) - batch["values"]).square().mean(1)

    def evaluate(self, model, *, full=True):
        return Evaluation({"mse": self.loss(model, self.batch(slice(None))).mean().item()})

    def baseline(self, name):
        raise NotImplementedError

    def truth(self):
        raise NotImplementedError


class Sampled(nn.Module):
    """A model that has given values at the samples; raises between them."""

    def __init__(self, values):
        super().__init__()
        self.values = torch.as_tensor(values)

    def forward(self, coords):
        last = torch.tensor(self.values.shape[:-1]) - 1
        index = (coords + 1) / 2 * last
        assert (index - index.round()).abs().max() < 1e-3
        return self.values[tuple(index.round().long().T)]


def mode(sizes, cycles, amplitude=1.0, phase=0.3):
    """amplitude * cos(2 pi cycles . i / sizes + phase), shape (*sizes, 1)."""
    places = np.meshgrid(*(np.arange(size) / size for size in sizes), indexing="ij")
    return amplitude * np.cos(2 * np.pi * sum(c * x for c, x in zip(cycles, places, strict=True)) + phase)[..., None]


def observe(target, answer, **options):
    return ENTRY.load()(ENTRY.spec(**options)).observe(Sampled(answer), Known(target), "end")


RNG = np.random.default_rng(0)


@pytest.mark.parametrize(
    ("sizes", "cycles", "frequency", "options"),
    [
        ((64,), (10,), 10, {}),
        ((64,), (10,), 10, {"points": 32}),
        ((60,), (5,), 5, {"points": 25}),
        ((32, 32), (3, 4), 5, {}),
        ((32, 32), (3, -4), 5, {"points": 300}),
        ((64, 32), (6, 4), 10, {"rings": 50}),
        ((16, 24, 24), (2, 0, 0), 3, {"rings": 9}),
        ((16, 16, 16), (2, 3, 6), 7, {}),
    ],
)
def test_a_residual_of_one_mode_lies_in_its_ring_with_its_energy(sizes, cycles, frequency, options):
    target = RNG.normal(size=(*sizes, 1))
    seen = observe(target, target + mode(sizes, cycles, 0.2), **options)
    middles = seen.curves["frequency"]
    half_width = (middles[1] - middles[0]) / 2
    assert len(middles) == options.get("rings", 32)
    ring = np.flatnonzero((middles - half_width <= frequency + 1e-9) & (frequency < middles + half_width))
    assert len(ring) == 1
    expected = np.zeros(len(middles))
    expected[ring] = 0.2**2 / 2
    np.testing.assert_allclose(seen.curves["error"], expected, atol=1e-12)


@pytest.mark.parametrize("sizes", [(100,), (31, 20), (9, 10, 11)])
def test_rings_sum_to_the_mean_squared_residual(sizes):
    target, answer = RNG.normal(size=(*sizes, 3)), RNG.normal(size=(*sizes, 3)) + 2
    seen = observe(target, answer)
    assert seen.curves["error"].sum() == pytest.approx(np.square(answer - target).mean(), rel=1e-12)
    assert seen.curves["target"].sum() == pytest.approx(target.reshape(-1, 3).var(axis=0).mean(), rel=1e-12)


def test_a_share_that_is_missing_everywhere_is_that_of_every_ring():
    target = RNG.normal(size=(64, 64, 1))
    target -= target.mean()
    seen = observe(target + 5, 5 + 0.9 * target)
    assert seen.metrics["low_error"] == pytest.approx(0.01)
    assert seen.metrics["high_error"] == pytest.approx(0.01)
    assert math.isnan(seen.metrics["half_frequency"])
    np.testing.assert_allclose(seen.curves["relative"], 0.01)


@pytest.mark.parametrize(("amplitude", "half"), [(0.0, 20), (0.2, 20), (0.4, math.nan), (1.0, math.nan)])
def test_half_frequency_is_where_half_of_the_energy_is_missing(amplitude, half):
    low, high = mode((64,), (3,)), mode((64,), (20,))
    seen = observe(low + high, low + amplitude * high)
    assert seen.metrics["half_frequency"] == pytest.approx(half, abs=0.5, nan_ok=True)
    # There is nothing in the highest third, above 21.3 cycles.
    assert (seen.metrics["low_error"], math.isnan(seen.metrics["high_error"])) == (pytest.approx(0, abs=1e-12), True)
    assert np.isnan(seen.curves["relative"]).sum() == 30


@pytest.mark.parametrize("options", [{"known": False}, {"on_grid": False}])
def test_without_a_grid_or_a_target_there_is_none(options):
    analysis = ENTRY.load()(ENTRY.spec())
    with pytest.raises(UnsupportedError, match="on a grid whose true values are known"):
        analysis.observe(nn.Linear(1, 1), Known(np.zeros((8, 1), np.float32), **options), "end")


def test_the_first_field_that_has_a_grid_is_taken():
    class Two(Known):
        def __init__(self, values):
            super().__init__(values)
            self.shapes = {"scattered": FieldShape(1, 1), **self.shapes}

    target = RNG.normal(size=(32, 1))
    model = nn.ModuleDict({"scattered": nn.Linear(1, 1), "field": Sampled(target + 1)})
    seen = ENTRY.load()(ENTRY.spec()).observe(model, Two(target), "end")
    assert seen.curves["error"][0] == pytest.approx(1)


def test_low_frequencies_are_learnt_first():
    torch.manual_seed(0)
    values = (mode((128,), (1,)) + mode((128,), (50,))).astype(np.float32)
    model = nn.Sequential(nn.Linear(1, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 1))
    training = TrainingSpec.model_validate({"steps": 300, "lr": 3e-3}, context={"catalog": load_catalog()})
    analyses = {"spectrum": ENTRY.load()(ENTRY.spec())}
    result = fit(Known(values), model, training, seeds=SeedStreams(0), analyses=analyses)
    seen = result.analyses["spectrum"]
    assert (seen.steps, seen.error) == ([100, 200, 300], "")
    last = seen.observations[-1].metrics
    assert last["low_error"] < 0.1
    assert last["high_error"] > 0.9
    assert last["half_frequency"] == pytest.approx(50, abs=1)
    assert set(last) == {metric.name for metric in ENTRY.metrics}


@parametrize_with_checks("inrbench-analysis-spectrum")
def test_conformance(check):
    check()
