import math

import numpy as np
import pytest
import torch
from inrbench_task_denoising.filters import total_variation
from inrbench_task_denoising.noise import add_noise
from inrbench_task_denoising.plugin import DenoisingSpec, inrbench_tasks
from inrbench_task_denoising.problem import prepare
from pydantic import ValidationError
from torch import nn

from inrbench_core import SeedStreams
from inrbench_core.api.problem import from_field

(ENTRY,) = inrbench_tasks()


def problem(seed=0, **options):
    return prepare(DenoisingSpec(size=32, **options), device=torch.device("cpu"), seeds=SeedStreams(seed))


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
    assert metrics["psnr_noisy"] == pytest.approx(20, abs=0.3)
    assert list(metrics) == [metric.name for metric in ENTRY.metrics]


def test_the_oracle_remembers_the_best_of_each_model():
    task = problem()
    # The picture's own mean is the best constant; the further off, the worse.
    mean = float(task.picture.mean() * 2 - 1)
    model, other = Constant(mean + 0.5, 3), Constant(mean + 0.4, 3)
    first = task.evaluate(model, full=False).metrics["psnr"]
    with torch.no_grad():
        model.value.fill_(mean)
    best = task.evaluate(model, full=False).metrics["psnr"]
    with torch.no_grad():
        model.value.fill_(mean + 0.3)
    final = task.evaluate(model).metrics
    assert first < final["psnr"] < best == final["psnr_best_oracle"]
    another = task.evaluate(other).metrics
    assert another["psnr_best_oracle"] == another["psnr"] < final["psnr"]


def test_the_oracle_passes_over_what_is_not_a_number():
    task = problem()
    model = Constant(math.nan, 3)
    assert math.isnan(task.evaluate(model, full=False).metrics["psnr_best_oracle"])
    with torch.no_grad():
        model.value.fill_(0.0)
    assert math.isfinite(task.evaluate(model, full=False).metrics["psnr_best_oracle"])


def test_filters_denoise():
    task = problem(level=0.1, crop=[100, 100, 96, 96])
    scores = {name: task.baseline(name).metrics["psnr"] for name in ENTRY.baselines}
    assert scores["noisy"] == pytest.approx(20, abs=0.5)
    assert scores["total_variation"] > scores["noisy"] + 3
    assert scores["non_local_means"] > scores["noisy"] + 3
    salted = problem(noise="salt_pepper", crop=[100, 100, 96, 96])
    assert salted.baseline("median").metrics["psnr"] > salted.baseline("total_variation").metrics["psnr"] + 3


def test_total_variation_leaves_alone_what_has_no_noise():
    picture = np.zeros((8, 8, 1))
    np.testing.assert_array_equal(total_variation(picture, 0.0), picture)


def test_filters_keep_the_shape_of_grey_pictures():
    task = problem(source="camera")
    for name in ENTRY.baselines:
        assert task.baseline(name).outputs["reconstruction"].shape == (32, 32, 1)


def test_total_variation_takes_away_what_the_noise_brought():
    noisy = noise_on(0.5, shape=(48, 48, 1), level=0.1)
    smooth = total_variation(noisy, 0.09)
    assert np.sqrt(np.square(smooth - noisy).mean()) == pytest.approx(0.09, rel=0.02)


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
