import math

import numpy as np
import pytest
import torch
from inrbench_analysis_spectrum.grid import make_grid
from inrbench_analysis_spectrum.plugin import inrbench_analyses
from torch import nn

from inrbench_core import (
    Evaluation,
    FieldShape,
    Frame,
    Problem,
    SeedStreams,
    UnsupportedError,
    grid_coords,
    linear_frame,
)
from inrbench_core.fit import fit
from inrbench_core.plugins.loading import load_catalog
from inrbench_core.spec.training import TrainingSpec
from inrbench_core.testing import parametrize_with_checks

(ENTRY,) = inrbench_analyses()


class Known(Problem):
    """A signal (*sizes, C), known at its samples; with a rate its only axis is a time in s that begins at 3 s."""

    def __init__(self, values, known=True, on_grid=True, rate=None, unit="s"):
        self.values, self.known, self.rate, self.unit = torch.as_tensor(values), known, rate, unit
        self.sizes = self.values.shape[:-1]
        shape = FieldShape(len(self.sizes), self.values.shape[-1], tuple(self.sizes) if on_grid else None)
        self.shapes, self.elements, self.record = {"field": shape}, self.values[..., 0].numel(), {}
        self.points = grid_coords(tuple(self.sizes))

    @property
    def frame(self):
        if self.rate is None:
            return super().frame
        time = (self.unit, 3.0, 3.0 + (self.elements - 1) / self.rate)
        return Frame({"field": linear_frame({"time": time}, {"amplitude": ("", -1.0, 1.0)})})

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
        index = (coords.double() + 1) / 2 * last
        assert (index - index.round()).abs().max() < 0.05
        return self.values[tuple(index.round().long().T)]


def mode(sizes, cycles, amplitude=1.0, phase=0.3):
    """amplitude * cos(2 pi cycles . i / sizes + phase), shape (*sizes, 1)."""
    places = np.meshgrid(*(np.arange(size) / size for size in sizes), indexing="ij")
    return amplitude * np.cos(2 * np.pi * sum(c * x for c, x in zip(cycles, places, strict=True)) + phase)[..., None]


def tone(size, rate, hertz, amplitude=1.0):
    return amplitude * np.sin(2 * np.pi * hertz * np.arange(size) / rate + 0.3)[:, None]


def observe(target, answer, rate=None, unit="s", **options):
    problem = Known(target, rate=rate, unit=unit)
    return ENTRY.load()(ENTRY.spec(**options)).observe(Sampled(answer), problem, "end")


RNG = np.random.default_rng(0)

# Sizes, cycles along each axis, |k| and the highest |k| there is in cycles over the longest axis, options.
MODES = [
    ((64,), (10,), 10, 32, {}),
    ((64,), (10,), 10, 16, {"points": 32}),
    ((60,), (5,), 5, 10, {"points": 25}),
    # Geometric rings are an octave wide here, and 4 lies on an edge.
    ((64,), (4,), 4, 32, {"rings": 7}),
    ((32, 32), (3, 4), 5, 16 * math.sqrt(2), {}),
    ((32, 32), (3, -4), 5, 8 * math.sqrt(2), {"points": 300}),
    ((64, 32), (6, 4), 10, 32 * math.sqrt(2), {"rings": 50}),
    ((16, 24, 24), (2, 0, 0), 3, 12 * math.sqrt(3), {"rings": 9}),
    ((16, 16, 16), (2, 3, 6), 7, 8 * math.sqrt(3), {}),
]


@pytest.mark.parametrize(("sizes", "cycles", "frequency", "highest", "options"), MODES)
@pytest.mark.parametrize("spacing", ["linear", "geometric"])
def test_a_residual_of_one_mode_lies_in_its_ring_with_its_energy(sizes, cycles, frequency, highest, options, spacing):
    target = RNG.normal(size=(*sizes, 1))
    seen = observe(target, target + mode(sizes, cycles, 0.2), spacing=spacing, **options)
    rings, middles = options.get("rings", 32), seen.curves["frequency"]
    if spacing == "linear":
        edges = np.linspace(0, highest, rings + 1)
    else:
        edges = np.array([0, *np.geomspace(0.5, highest, rings)])
    edges[1:] -= 1e-6
    places = np.searchsorted(edges, middles, side="right")
    # Each ring has its own place between the edges, in order.
    assert (np.diff(places) > 0).all()
    ring = np.flatnonzero(places == np.searchsorted(edges, frequency, side="right"))
    assert len(ring) == 1
    expected = np.zeros(len(middles))
    expected[ring] = 0.2**2 / 2
    np.testing.assert_allclose(seen.curves["error"], expected, atol=1e-12)


@pytest.mark.parametrize("sizes", [(100,), (31, 20), (9, 10, 11)])
@pytest.mark.parametrize("spacing", ["linear", "geometric"])
def test_rings_sum_to_the_mean_squared_residual(sizes, spacing):
    target, answer = RNG.normal(size=(*sizes, 3)), RNG.normal(size=(*sizes, 3)) + 2
    seen = observe(target, answer, spacing=spacing)
    assert seen.curves["error"].sum() == pytest.approx(np.square(answer - target).mean(), rel=1e-12)
    assert seen.curves["target"].sum() == pytest.approx(target.reshape(-1, 3).var(axis=0).mean(), rel=1e-12)


def test_geometric_rings_are_the_mean_and_then_every_frequency_there_is():
    target = RNG.normal(size=(64, 1))
    seen = observe(target, target + 0.3 + mode((64,), (7,), 0.2), rings=4096)
    np.testing.assert_allclose(seen.curves["frequency"], np.arange(33), atol=1e-12)
    expected = np.zeros(33)
    expected[[0, 7]] = 0.3**2, 0.2**2 / 2
    np.testing.assert_allclose(seen.curves["error"], expected, atol=1e-12)
    # The target's mean has no part in its energy.
    assert np.flatnonzero(np.isnan(seen.curves["relative"])).tolist() == [0]


@pytest.mark.parametrize("sizes", [(1,), (2,), (20,), (1, 1), (5, 1), (7, 6), (4, 5, 6)])
@pytest.mark.parametrize("spacing", ["linear", "geometric"])
def test_no_ring_is_empty(sizes, spacing):
    target = RNG.normal(size=(*sizes, 1))
    grid = make_grid(Known(target), rings=100, spacing=spacing)
    assert (np.bincount(grid.ring.ravel()) > 0).all()
    assert len(grid.frequency) == grid.ring.max() + 1 == len(grid.energy)
    seen = observe(target, target + 1, rings=100, spacing=spacing)
    assert seen.curves["error"].tolist() == pytest.approx([1] + [0] * (len(grid.frequency) - 1))
    np.testing.assert_allclose(grid.energy, seen.curves["target"], atol=1e-15)


@pytest.mark.parametrize(("sizes", "spacing"), [((64,), "geometric"), ((12, 20), "linear"), ((6, 8, 8), "linear")])
def test_rings_are_geometric_in_one_dimension_and_else_linear(sizes, spacing):
    problem = Known(np.zeros((*sizes, 1)))
    np.testing.assert_array_equal(make_grid(problem).ring, make_grid(problem, spacing=spacing).ring)


@pytest.mark.parametrize(
    ("sizes", "stride"), [((88_200,), 1), ((600_000,), 2), ((128, 128), 1), ((256, 256), 2), ((30, 30, 30), 2)]
)
def test_large_signals_are_thinned_out(sizes, stride):
    grid = make_grid(Known(np.zeros((*sizes, 1), np.float32)))
    assert (grid.stride, grid.sizes) == (stride, tuple(-(-size // stride) for size in sizes))
    assert torch.equal(grid.coords[1, -1], grid_coords(sizes[-1:])[stride, 0])


@pytest.mark.parametrize(("sizes", "points"), [((12,), 12), ((15,), 8), ((6, 9), 54), ((12, 8), 30), ((4, 5, 6), 120)])
@pytest.mark.parametrize("spacing", ["linear", "geometric"])
def test_the_modes_of_all_rings_are_those_of_the_fft_and_each_lies_in_its_ring(sizes, points, spacing):
    grid = make_grid(Known(np.zeros((*sizes, 1))), rings=6, points=points, spacing=spacing)
    indices = np.stack(np.meshgrid(*(np.arange(size) for size in grid.sizes), indexing="ij"), axis=-1)
    seen = []
    for ring in range(len(grid.frequency)):
        for vector in grid.modes(ring):
            wave = np.exp(2j * np.pi * (indices * vector / grid.sizes).sum(axis=-1))
            peak = np.unravel_index(np.abs(np.fft.fftn(wave)).argmax(), grid.sizes)
            assert grid.ring[peak] == ring
            assert (2 * np.abs(vector) <= grid.sizes).all()
            cycles = vector * (max(sizes) / np.array(grid.sizes) / grid.stride)
            assert grid.radius[peak] == pytest.approx(np.linalg.norm(cycles))
            seen += list({tuple(sign * vector % grid.sizes) for sign in (1, -1)})
    assert sorted(seen) == list(np.ndindex(grid.sizes))


def test_a_share_that_is_missing_everywhere_is_that_of_every_ring():
    target = RNG.normal(size=(64, 64, 1))
    target -= target.mean()
    seen = observe(target + 5, 5 + 0.9 * target)
    assert seen.metrics["low_error"] == pytest.approx(0.01)
    assert seen.metrics["high_error"] == pytest.approx(0.01)
    assert math.isnan(seen.metrics["half_frequency"])
    np.testing.assert_allclose(seen.curves["relative"], 0.01)


@pytest.mark.parametrize(("amplitude", "half"), [(0.0, 20), (0.2, 20), (0.4, math.nan), (1.0, math.nan)])
@pytest.mark.parametrize("spacing", ["linear", "geometric"])
def test_half_frequency_is_where_half_of_the_energy_is_missing(amplitude, half, spacing):
    low, high = mode((64,), (3,)), mode((64,), (20,))
    seen = observe(low + high, low + amplitude * high, spacing=spacing)
    assert seen.metrics["half_frequency"] == pytest.approx(half, abs=0.5, nan_ok=True)
    # There is nothing in the highest third, above 21.3 cycles.
    assert (seen.metrics["low_error"], math.isnan(seen.metrics["high_error"])) == (pytest.approx(0, abs=1e-12), True)
    assert (~np.isnan(seen.curves["relative"])).sum() == 2


@pytest.mark.parametrize("spacing", ["linear", "geometric"])
@pytest.mark.parametrize(
    ("cycles", "low", "high"), [(9, 0.25, 0), (16, 0, 0), (31, 0, 0), (32, 0, 0.25), (48, 0, 0.25)]
)
def test_low_and_high_are_thirds_of_the_frequencies_whatever_the_rings(cycles, low, high, spacing):
    # The highest frequency is 48 cycles; each third has one mode, and half of one more is missing.
    target = sum(mode((96,), (c,)) for c in (5, 20, 40))
    wrong = mode((96,), (cycles,), math.sqrt(0.25), phase=0 if cycles < 48 else math.pi / 4)
    seen = observe(target, target + wrong, spacing=spacing, rings=7)
    assert seen.metrics["low_error"] == pytest.approx(low, abs=1e-12)
    assert seen.metrics["high_error"] == pytest.approx(high, abs=1e-12)


# Edges of bands are 1000 * 10^(3 (x + 1/2) / 10) Hz: 44.67, 707.9 and 11,220 Hz among them.
TONES = [(10, 31.5), (44, 31.5), (45, 63), (440, 500), (707, 500), (709, 1000), (1000, 1000), (3000, 4000)]


@pytest.mark.parametrize(("hertz", "band"), [*TONES, (11_200, 8000), (11_240, 16_000), (22_000, 16_000)])
def test_a_tone_of_two_seconds_lies_in_its_octave_band(hertz, band):
    size, rate = 88_200, 44_100
    target = RNG.normal(size=(size, 1))
    seen = observe(target, target + tone(size, rate, hertz, 0.2), rate)
    middles = [31.5, 63, 125, 250, 500, 1000, 2000, 4000, 8000, 16_000]
    assert seen.curves["band_hz"].tolist() == middles
    expected = np.where(seen.curves["band_hz"] == band, 0.02, 0)
    np.testing.assert_allclose(seen.curves["band_error"], expected, atol=1e-10)
    # Rings are a factor of 44,100^(1/31) / 0.5^(1/31) apart.
    assert seen.curves["frequency_hz"][seen.curves["error"].argmax()] == pytest.approx(hertz, rel=0.22)


def test_a_band_that_is_half_missing():
    low, high = tone(4000, 8000, 100), tone(4000, 8000, 1500)
    seen = observe(low + high + 0.5, low + 0.5 * high, 8000)
    # Its highest frequency, 4 kHz, is the middle of the next band.
    assert seen.curves["band_hz"].tolist() == [31.5, 63, 125, 250, 500, 1000, 2000]
    np.testing.assert_allclose(seen.curves["band_error"], [0.25, 0, 0, 0, 0, 0, 0.125], atol=1e-12)
    expected = [math.nan, math.nan, 0, math.nan, math.nan, math.nan, 0.25]
    np.testing.assert_allclose(seen.curves["band_relative"], expected, atol=1e-12)
    assert seen.curves["band_error"].sum() == pytest.approx(seen.curves["error"].sum(), rel=1e-12)


def test_bands_without_a_frequency_are_left_out():
    # A multiple of 110.25 Hz each; the mean is the first.
    seen = observe(np.zeros((400, 1)), RNG.normal(size=(400, 1)), 44_100)
    assert seen.curves["band_hz"].tolist() == [31.5, 125, 250, 500, 1000, 2000, 4000, 8000, 16_000]


def test_frequencies_in_hertz_are_those_of_the_samples_taken():
    target = np.zeros((4000, 1))
    seen = observe(target, tone(4000, 8000, 440, 0.2), 8000, points=2000, spacing="linear", rings=2000)
    assert seen.curves["frequency_hz"][seen.curves["error"].argmax()] == pytest.approx(440, abs=1)
    assert seen.curves["frequency_hz"][-1] == pytest.approx(2000, abs=1)
    assert seen.curves["band_hz"][-1] == 1000


def test_a_slow_line_has_hertz_but_no_bands_and_other_units_have_neither():
    target = RNG.normal(size=(100, 1))
    slow = observe(target, target + 1, 50).curves
    assert slow["frequency_hz"][-1] == pytest.approx(25, rel=0.1)
    assert "band_hz" not in slow
    for other in (observe(target, target, 50, unit="m"), observe(target, target), observe(target[:1], target[:1], 50)):
        assert set(other.curves) == {"frequency", "error", "target", "relative"}


@pytest.mark.parametrize("options", [{"known": False}, {"on_grid": False}])
def test_without_a_grid_or_a_target_there_is_none(options):
    analysis = ENTRY.load()(ENTRY.spec())
    with pytest.raises(UnsupportedError, match="on a grid whose true values are known"):
        analysis.observe(nn.Linear(1, 1), Known(np.zeros((8, 1), np.float32), **options), "end")


def test_a_grid_is_made_without_a_known_truth():
    grid = make_grid(Known(np.zeros((8, 9, 1)), known=False), "field")
    assert (grid.target, grid.energy, grid.sizes) == (None, None, (8, 9))


class Several(Known):
    """Fields on the same grid, whose target is their signal times a factor, or not known."""

    def __init__(self, values, factors):
        super().__init__(values)
        (shape,) = self.shapes.values()
        self.factors, self.shapes = factors, {"scattered": FieldShape(1, 1), **dict.fromkeys(factors, shape)}

    def target(self, coords, field=""):
        factor = self.factors[field]
        return None if factor is None else factor * super().target(coords)


def test_every_field_with_a_grid_and_a_truth_is_analysed():
    target = RNG.normal(size=(32, 1))
    answers = {"scattered": nn.Linear(1, 1), "unknown": nn.Linear(1, 1)}
    answers |= {name: Sampled(factor * target + error) for name, factor, error in [("a", 1, 2), ("b", 3, 4)]}
    problem = Several(target, {"unknown": None, "a": 1, "b": 3})
    seen = ENTRY.load()(ENTRY.spec()).observe(nn.ModuleDict(answers), problem, "end")
    names = ("frequency", "error", "target", "relative")
    assert set(seen.curves) == {*names, *(f"b.{name}" for name in names)}
    assert (seen.curves["error"][0], seen.curves["b.error"][0]) == pytest.approx((4, 16))
    assert seen.curves["b.target"] == pytest.approx(9 * seen.curves["target"])
    assert seen.metrics["low_error"] == pytest.approx(
        4 / seen.curves["target"][seen.curves["frequency"] < 16 / 3].sum()
    )


def test_the_grid_of_a_field_by_name_or_of_the_first_that_has_one():
    problem = Several(np.zeros((8, 1)), {"a": 1, "b": 2})
    assert (make_grid(problem).field, make_grid(problem, "b").field) == ("a", "b")
    with pytest.raises(UnsupportedError, match="the field 'scattered' has no grid of at most 3 dimensions"):
        make_grid(problem, "scattered")
    for none in (Known(np.zeros((8, 1)), on_grid=False), Known(np.zeros((2, 2, 2, 2, 1)))):
        with pytest.raises(UnsupportedError, match="the fields of this task have no grid"):
            make_grid(none)


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
    assert last["half_frequency"] == pytest.approx(50, rel=0.1)
    assert set(last) == {metric.name for metric in ENTRY.metrics}


@parametrize_with_checks("inrbench-analysis-spectrum")
def test_conformance(check):
    check()
