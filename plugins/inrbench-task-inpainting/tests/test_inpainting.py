import math

import numpy as np
import pytest
import torch
from inrbench_task_image.pictures import Picture
from inrbench_task_inpainting.masks import missing_pixels
from inrbench_task_inpainting.plugin import InpaintingSpec, inrbench_tasks
from inrbench_task_inpainting.problem import InpaintingProblem, prepare
from pydantic import ValidationError
from torch import nn

from inrbench_core import DataError, SeedStreams
from inrbench_core.api.problem import from_field

(ENTRY,) = inrbench_tasks()
CPU = torch.device("cpu")
MASKS = ["random", "box", "text"]


def problem(seed=0, **options):
    return prepare(InpaintingSpec(**{"size": 48, **options}), device=CPU, seeds=SeedStreams(seed))


def trained_pixels(task):
    coords = torch.cat([task.batch(slice(start, start + 100))["coords"] for start in range(0, task.elements, 100)])
    sizes = torch.tensor([task.height, task.width])
    return ((coords + 1) / 2 * (sizes - 1)).round().long()


@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("source", ["astronaut", "chelsea"])
def test_exactly_the_known_pixels_are_trained_on(mask, source):
    task = problem(mask=mask, source=source)
    row, column = trained_pixels(task).unbind(1)
    trained = np.zeros_like(task.missing)
    trained[row, column] = True
    np.testing.assert_array_equal(trained, ~task.missing)
    assert task.elements == (~task.missing).sum()
    values = task.batch(slice(0, task.elements))["values"]
    np.testing.assert_allclose(values, task.picture[row, column] * 2 - 1, atol=1e-6)


@pytest.mark.parametrize("mask", MASKS)
def test_the_pixels_of_batches_are_trained_and_all_others_are_not(mask):
    task = problem(mask=mask, source="chelsea")
    expected = torch.zeros(task.height, task.width, dtype=torch.bool)
    expected[trained_pixels(task).unbind(1)] = True
    assert torch.equal(task.is_trained(task.coords(10**6, SeedStreams(0))), expected.flatten())


@pytest.mark.parametrize("mask", MASKS)
def test_no_missing_value_reaches_training_or_baselines(mask):
    whole = problem(mask=mask)
    altered = np.where(whole.missing[..., None], 1 - whole.picture, whole.picture)
    other = InpaintingProblem(Picture(altered, {}), whole.missing, device=CPU, seeds=SeedStreams(0))
    everything = slice(0, whole.elements)
    assert torch.equal(whole.batch(everything)["values"], other.batch(everything)["values"])
    for name in ENTRY.baselines:
        np.testing.assert_array_equal(whole.classical(name), other.classical(name))


def test_shares():
    assert problem(share=0.7).missing.sum() == round(0.7 * 48 * 48)
    box = problem(mask="box", share=0.25).missing
    assert box.sum() == 24 * 24
    rows, columns = np.flatnonzero(box.any(axis=1)), np.flatnonzero(box.any(axis=0))
    assert np.ptp(rows) == np.ptp(columns) == 23
    assert 0.05 < problem(mask="text", size=256).missing.mean() < 0.35
    with pytest.raises(ValidationError, match="share has no meaning with mask: text"):
        InpaintingSpec(mask="text", share=0.5)


@pytest.mark.parametrize("mask", ["random", "box"])
def test_the_mask_follows_the_seed(mask):
    np.testing.assert_array_equal(problem(5, mask=mask).missing, problem(5, mask=mask).missing)
    assert (problem(5, mask=mask).missing != problem(6, mask=mask).missing).any()


@pytest.mark.parametrize("mask", MASKS)
def test_a_picture_too_small_for_its_mask_is_refused(mask):
    with pytest.raises(DataError, match="the picture is too small"):
        missing_pixels(InpaintingSpec(mask=mask), 1, 1, np.random.default_rng(0))


def test_the_missing_region_is_measured_apart():
    task = problem()
    shifted = task.picture + np.where(task.picture > 0.5, -0.1, 0.1).astype(np.float32)
    metrics = task.measure(np.where(task.missing[..., None], shifted, task.picture))
    assert metrics["psnr_missing"] == pytest.approx(20, abs=1e-3)
    assert metrics["psnr_known"] == 200
    assert metrics["psnr"] == pytest.approx(20 + 10 * math.log10(2), abs=1e-3)
    assert metrics["ssim_missing"] < 1
    assert list(metrics) == [metric.name for metric in ENTRY.metrics]


def test_the_curve_is_over_the_missing_region():
    task = problem()
    field = nn.Linear(2, 3)
    along = task.evaluate(field, full=False).metrics
    final = task.evaluate(field)
    assert along == {"psnr_missing": pytest.approx(final.metrics["psnr_missing"])}
    np.testing.assert_array_equal(final.outputs["missing"], task.missing)


@pytest.mark.parametrize(("mask", "source"), [("random", "astronaut"), ("text", "camera")])
def test_classical_fillings_beat_the_mean(mask, source):
    task = problem(mask=mask, source=source, size=96)
    scores = {name: task.baseline(name).metrics["psnr_missing"] for name in ENTRY.baselines}
    assert min(scores["linear"], scores["biharmonic"], scores["thin_plate"]) > scores["constant"] + 5


def test_the_perfect_field_is_the_whole_picture():
    task = problem(mask="box")
    coords = task.coords(10_000, SeedStreams(0))
    np.testing.assert_allclose(task.target(coords).reshape(task.picture.shape), task.picture * 2 - 1, atol=1e-6)
    values = from_field(task.target(coords), task.frame.fields["field"])
    np.testing.assert_allclose(values.reshape(task.picture.shape), 255 * task.picture, atol=1e-3)


def test_a_stored_field_is_rendered_as_it_was_measured(stored_renderer):
    task, field = problem(), nn.Linear(2, 3)
    rendered = stored_renderer(ENTRY, task).render(field)
    expected = task.evaluate(field)
    np.testing.assert_array_equal(rendered.outputs["reconstruction"], expected.outputs["reconstruction"])


class Waves(nn.Module):
    """A sum of given waves, up to the Nyquist frequency of 16 pixels."""

    def __init__(self, count):
        super().__init__()
        self.frequencies = 12.0 * torch.randn(2, count, generator=torch.Generator().manual_seed(0))
        self.amplitudes = nn.Parameter(torch.zeros(2 * count, 1))

    def forward(self, coords):
        phases = coords @ self.frequencies
        return torch.cat([phases.sin(), phases.cos()], dim=1) @ self.amplitudes


def fitted(weight):
    options = {"name": "tv", "weight": weight} if weight else None
    task = problem(size=16, mode="grey", regulariser=options)
    field = Waves(64)
    optimizer = torch.optim.Adam(field.parameters(), lr=3e-2)
    for _ in range(100):
        optimizer.zero_grad()
        task.loss(field, task.batch(slice(0, task.elements))).mean().backward()
        optimizer.step()
    picture = task.evaluate(field).outputs["reconstruction"][..., 0]
    return task, np.hypot(np.diff(picture, axis=0)[:, :-1], np.diff(picture, axis=1)[:-1]).mean()


def test_a_regulariser_lowers_the_total_variation_of_a_fit():
    (plain, without), (task, with_it) = fitted(None), fitted(0.3)
    assert with_it < 0.8 * without
    assert (plain.points_per_element, task.points_per_element) == (1, 1 + 3 * 2)
    assert task.is_trained(task.coords(9, SeedStreams(0))) is None
