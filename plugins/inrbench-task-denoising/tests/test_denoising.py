import math
import sys

import numpy as np
import pytest
import torch
from inrbench_task_denoising.filters import FILTERS, TUNED, bm3d, least_risk, non_local_means, total_variation, wavelets
from inrbench_task_denoising.noise import add_noise, denoised, impulse_std
from inrbench_task_denoising.plugin import DenoisingSpec, inrbench_tasks
from inrbench_task_denoising.problem import LEAST_EVALUATIONS, prepare
from inrbench_task_denoising.stabilisation import mean_photons, stabilised
from pydantic import ValidationError
from torch import nn

from inrbench_core import DataError, SeedStreams
from inrbench_core.api.problem import from_field

(ENTRY,) = inrbench_tasks()


def problem(seed=0, **options):
    return prepare(DenoisingSpec(**{"size": 32, **options}), device=torch.device("cpu"), seeds=SeedStreams(seed))


class Constant(nn.Module):
    """A field of one value everywhere, so that its quality is set by hand."""

    def __init__(self, value, channels):
        super().__init__()
        self.value = nn.Parameter(torch.full((channels,), value))

    def forward(self, coords):
        return self.value.expand(len(coords), -1)


def noise_on(level_of_picture, shape=(200, 200, 1), **options):
    picture = np.full(shape, level_of_picture, np.float32)
    return add_noise(picture, DenoisingSpec(**options), np.random.default_rng(0))


def test_gaussian_noise_has_its_standard_deviation():
    noisy = noise_on(0.98, noise="gaussian", level=0.2)
    assert noisy.mean() == pytest.approx(0.98, abs=0.2 / 200 * 4)
    assert noisy.std() == pytest.approx(0.2, rel=4 / math.sqrt(2 * 40_000))


def test_poisson_noise_has_the_variance_of_photons():
    noisy = noise_on(0.3, noise="poisson", level=50)
    assert noisy.mean() == pytest.approx(0.3, abs=4 * math.sqrt(0.3 / 50) / 200)
    assert noisy.var() == pytest.approx(0.3 / 50, rel=0.04)
    np.testing.assert_allclose(noisy * 50, np.rint(noisy * 50), atol=1e-4)


def test_readout_noise_is_added_to_the_photons():
    noisy = noise_on(0.3, noise="poisson", level=40, readout=3)
    assert noisy.mean() == pytest.approx(0.3, abs=4 * math.sqrt(0.3 / 40 + (3 / 40) ** 2) / 200)
    assert noisy.var() == pytest.approx(0.3 / 40 + (3 / 40) ** 2, rel=0.04)
    with pytest.raises(ValidationError, match="readout noise is that of photon counts"):
        DenoisingSpec(readout=2)


def test_salt_and_pepper_are_equally_frequent():
    noisy = noise_on(0.5, noise="salt_pepper", level=0.2)
    for value in (0.0, 1.0):
        assert (noisy == value).mean() == pytest.approx(0.1, abs=4 * math.sqrt(0.1 * 0.9 / 40_000))
    assert set(np.unique(noisy)) == {0.0, 0.5, 1.0}


def test_noise_follows_the_seed_and_nothing_else():
    torch.manual_seed(1)
    one = problem(3).noisy
    torch.manual_seed(2)
    np.testing.assert_array_equal(problem(3).noisy, one)
    assert (problem(4).noisy != one).any()


def test_levels_have_defaults_and_bounds():
    assert DenoisingSpec(noise="poisson").strength == 30
    assert DenoisingSpec(level=0.3).strength == 0.3
    with pytest.raises(ValidationError, match="at most 1; got 2"):
        DenoisingSpec(noise="salt_pepper", level=2)


def test_only_noisy_values_are_trained_on():
    task = problem()
    batch = task.batch(slice(0, task.elements))
    np.testing.assert_allclose(batch["values"].reshape(task.noisy.shape), task.noisy * 2 - 1, atol=1e-6)
    losses = task.loss(lambda coords: torch.zeros(len(coords), 3), batch)
    torch.testing.assert_close(losses, batch["values"].square().mean(dim=1))


def test_psnr_is_to_the_clean_picture_and_psnr_noisy_to_the_data():
    task = problem(level=0.1)
    metrics = task.measure(task.picture)
    assert metrics["psnr"] == 200
    assert metrics["psnr_luma"] == 200
    assert metrics["psnr_noisy"] == pytest.approx(20, abs=0.3)
    assert list(metrics) == [metric.name for metric in ENTRY.metrics]


def set_value(model, value):
    with torch.no_grad():
        model.value.fill_(value)


def test_the_oracle_remembers_the_best_of_each_model():
    task = problem()
    # The picture's own mean is the best constant; the further off, the worse.
    mean = float(task.picture.mean() * 2 - 1)
    model, other = Constant(mean + 0.5, 3), Constant(mean + 0.4, 3)
    scores = [task.evaluate(other, full=False).metrics["psnr"]]
    for off in (0.5, 0.2, 0.0, *[0.1] * (LEAST_EVALUATIONS - 3)):
        set_value(model, mean + off)
        scores.append(task.evaluate(model, full=False).metrics["psnr"])
    set_value(model, mean + 0.3)
    final = task.evaluate(model).metrics
    assert final["psnr_best_oracle"] == max(scores) == scores[3]
    assert final["oracle_gap"] == pytest.approx(scores[3] - final["psnr"])
    assert final["oracle_gap"] > 0.1


def test_a_model_that_never_changes_has_no_gap_whatever_pixels_the_curve_takes(monkeypatch):
    monkeypatch.setattr("inrbench_task_image.base.CURVE_PIXELS", 10)
    task, model = problem(), Constant(0.0, 3)
    for _ in range(LEAST_EVALUATIONS):
        on_curve = task.evaluate(model, full=False).metrics
    final = task.evaluate(model).metrics
    assert final["oracle_gap"] == 0.0
    assert final["psnr_best_oracle"] == on_curve["psnr"] != final["psnr"]


def test_few_evaluations_have_no_best():
    task, model = problem(), Constant(0.0, 3)
    told = [task.evaluate(model, full=False).metrics for _ in range(LEAST_EVALUATIONS)]
    for metrics in told[:-1]:
        assert math.isnan(metrics["psnr_best_oracle"])
        assert math.isnan(metrics["oracle_gap"])
    assert told[-1]["psnr_best_oracle"] == told[-1]["psnr"]
    assert told[-1]["oracle_gap"] == 0


def test_the_oracle_passes_over_what_is_not_a_number():
    task, model = problem(), Constant(math.nan, 3)
    task.evaluate(model, full=False)
    set_value(model, 0.0)
    for _ in range(LEAST_EVALUATIONS):
        metrics = task.evaluate(model, full=False).metrics
    assert metrics["psnr_best_oracle"] == metrics["psnr"]


def test_filters_denoise():
    task = problem(level=0.1, crop=[100, 100, 96, 96])
    scores = {name: task.baseline(name).metrics["psnr"] for name in ENTRY.baselines}
    assert scores["noisy"] == pytest.approx(20, abs=0.5)
    for name in FILTERS:
        assert scores[name] > scores["noisy"] + 3
    assert max(scores, key=scores.get) == "bm3d"
    salted = problem(noise="salt_pepper", crop=[100, 100, 96, 96])
    assert salted.baseline("median").metrics["psnr"] > salted.baseline("total_variation").metrics["psnr"] + 3


@pytest.mark.parametrize(("denoise", "strengths"), [(total_variation, (0.3, 1.6)), (non_local_means, (0.3, 1.0))])
def test_a_strength_of_least_risk_is_better_than_the_ends(denoise, strengths, monkeypatch):
    task = problem(source="camera", size=64)
    scores = [task.measure(denoise(task.noisy.astype(float), 0.1))["psnr"]]
    for strength in strengths:
        monkeypatch.setattr("inrbench_task_denoising.filters.TV_WEIGHTS", (strength,))
        monkeypatch.setattr("inrbench_task_denoising.filters.NLM_STRENGTHS", (strength,))
        scores.append(task.measure(denoise(task.noisy.astype(float), 0.1))["psnr"])
    assert scores[0] > max(scores[1:]) + 0.1


def test_the_least_risk_of_shrinkage_is_that_of_wiener():
    """Of c y, with y = x + n and x of variance 1, the least mean squared error is at c = 1 / (1 + std^2)."""
    rng = np.random.default_rng(0)
    clean = rng.standard_normal((300, 300, 1))
    noisy = clean + 0.5 * rng.standard_normal(clean.shape)
    shares = np.linspace(0.5, 1.0, 26)
    answer = least_risk(lambda picture, strength: picture * strength * 2.0, noisy, 0.5, shares)
    assert answer.flat[0] / noisy.flat[0] == pytest.approx(1 / 1.25, abs=0.02)


def test_wavelets_do_not_depend_on_where_the_picture_begins():
    noisy = problem(source="camera").noisy.astype(float)
    turned = np.roll(wavelets(np.roll(noisy, (4, 8), (0, 1)), 0.1), (-4, -8), (0, 1))
    np.testing.assert_allclose(turned, wavelets(noisy, 0.1), atol=1e-9)


@pytest.mark.parametrize("readout", [0.0, 2.0])
def test_photons_are_stabilised_and_brought_back_without_bias(readout):
    rng = np.random.default_rng(0)
    for mean in (3.0, 10.0, 40.0):
        photons = rng.poisson(mean, 400_000) + rng.normal(0.0, readout, 400_000)
        values = stabilised(photons, readout)
        assert values.std() == pytest.approx(1.0, abs=0.1)
        assert mean_photons(values.mean(), readout) == pytest.approx(mean, abs=0.05)
    assert mean_photons(np.zeros(1), readout) == 0


def test_photons_are_denoised_better_after_stabilisation():
    options = {"noise": "poisson", "level": 10, "readout": 1}
    task = problem(source="camera", size=64, **options)
    one_std = math.sqrt(float(task.noisy.mean()) / 10 + 0.01)
    plain = task.measure(np.clip(wavelets(task.noisy.astype(float), one_std), 0, 1))["psnr"]
    assert task.baseline("wavelets").metrics["psnr"] > plain + 0.2


def test_the_strength_of_impulses_is_told_by_the_noisy_picture():
    picture = np.random.default_rng(1).uniform(0.1, 0.6, (200, 200, 1)).astype(np.float32)
    noisy = add_noise(picture, DenoisingSpec(noise="salt_pepper", level=0.2), np.random.default_rng(0))
    assert impulse_std(noisy, 0.2) == pytest.approx(np.sqrt(np.square(noisy - picture).mean()), rel=0.03)
    assert impulse_std(noisy, 1.0) == 0.5


def test_every_noise_has_an_answer_of_every_filter():
    for options in ({"noise": "poisson", "level": 1}, {"noise": "salt_pepper", "level": 1}, {"level": 1e-6}):
        task = problem(source="camera", **options)
        for name in FILTERS.keys() - {"bm3d"}:
            assert np.isfinite(denoised(name, task.noisy, task.spec)).all()


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 1, 3), (1, 40, 3), (8, 8, 1), (9, 9, 3)])
def test_bm3d_takes_pictures_smaller_than_its_blocks(shape):
    pytest.importorskip("bm3d")
    noisy = 0.5 + 0.1 * np.random.default_rng(0).standard_normal(shape)
    answer = bm3d(noisy, 0.1)
    assert answer.shape == shape
    assert np.square(answer - 0.5).mean() <= np.square(noisy - 0.5).mean()


@pytest.mark.parametrize("name", TUNED)
def test_answers_of_tuned_filters_are_cached_for_their_data_and_options(name, empty_cache, monkeypatch):
    calls = []

    def counting(name, noisy, spec):
        calls.append(name)
        return denoised(name, noisy, spec)

    monkeypatch.setattr("inrbench_task_denoising.problem.denoised", counting)
    first = problem(source="camera", size=16).baseline(name).metrics
    assert problem(source="camera", size=16).baseline(name).metrics == first
    assert calls == [name]
    for other in ({"seed": 1}, {"level": 0.2}, {"noise": "poisson", "level": 0.1}, {"crop": [0, 0, 100, 100]}):
        problem(**{"source": "camera", "size": 16, **other}).baseline(name)
    assert len(calls) == 5


def test_a_missing_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "bm3d", None)
    with pytest.raises(DataError, match=r"pip install 'inrbench-task-denoising\[bm3d\]'"):
        problem().baseline("bm3d")


def test_a_regulariser_adds_the_total_variation_to_the_loss():
    plain, regularised = (problem(source="camera", regulariser=term) for term in (None, {"name": "tv", "weight": 0.5}))

    def ramp(coords):
        return coords[:, :1]

    losses = [task.loss(ramp, task.batch(slice(0, task.elements))).mean().item() for task in (plain, regularised)]
    # 31 of 32 rows have a pixel below that is 1 / 31 brighter.
    assert losses[1] - losses[0] == pytest.approx(0.5 * 31 / 32 / 31, rel=1e-3)
    assert (plain.points_per_element, regularised.points_per_element) == (1, 4)


def test_pictures_are_not_synthetic():
    assert problem().record["synthetic"] is False


def test_filters_keep_the_shape_of_grey_pictures():
    task = problem(source="camera")
    for name in ENTRY.baselines:
        assert task.baseline(name).outputs["reconstruction"].shape == (32, 32, 1)


def test_the_perfect_field_is_the_clean_picture_and_not_the_data():
    task = problem(level=0.3)
    coords = task.coords(10_000, SeedStreams(0))
    np.testing.assert_allclose(task.target(coords).reshape(task.picture.shape), task.picture * 2 - 1, atol=1e-6)
    values = from_field(task.target(coords), task.frame.fields["field"])
    np.testing.assert_allclose(values.reshape(task.picture.shape), 255 * task.picture, atol=1e-3)


def test_a_stored_field_is_rendered_as_it_was_measured(stored_renderer):
    task, field = problem(), nn.Linear(2, 3)
    rendered = stored_renderer(ENTRY, task).render(field)
    expected = task.evaluate(field)
    np.testing.assert_array_equal(rendered.outputs["reconstruction"], expected.outputs["reconstruction"])


def test_a_fit_leaves_nothing_to_the_next():
    used, fresh = problem(), problem()
    good, other = Constant(float(used.picture.mean() * 2 - 1), 3), Constant(0.9, 3)
    used.evaluate(good, full=False)
    del good
    assert used.evaluate(other).metrics == fresh.evaluate(other).metrics
    assert torch.equal(used.batch(slice(0, 9))["values"], fresh.batch(slice(0, 9))["values"])
