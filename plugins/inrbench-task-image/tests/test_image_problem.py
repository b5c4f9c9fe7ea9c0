import math

import numpy as np
import pytest
import torch
from inrbench_task_image import base, metrics, renderer
from inrbench_task_image.metrics import psnr, psnr_luma, squared_error, ssim, ssim_map
from inrbench_task_image.plugin import ImageSpec, inrbench_tasks
from inrbench_task_image.problem import prepare
from inrbench_task_image.transform_coding import dct_coded
from PIL import Image
from skimage.color import rgb2ycbcr
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from torch import nn

from inrbench_core import SeedStreams, grid_coords

(ENTRY,) = inrbench_tasks()
CPU = torch.device("cpu")


def problem(seed=0, **options):
    return prepare(ImageSpec(**{"size": 24, **options}), device=CPU, seeds=SeedStreams(seed))


class Lookup(nn.Module):
    """A field that knows the picture: values at the nearest pixel."""

    def __init__(self, picture, shift=0.0):
        super().__init__()
        self.register_buffer("values", torch.from_numpy(picture) * 2 - 1 + shift)
        self.size = torch.tensor(picture.shape[:2])

    def forward(self, coords):
        row, column = ((coords + 1) / 2 * (self.size - 1)).round().long().unbind(1)
        return self.values[row, column]


def test_psnr_of_known_errors():
    assert psnr(np.full((4, 4), 0.01)) == pytest.approx(20.0)
    assert psnr(np.zeros((4, 4))) == 200
    assert math.isnan(psnr(np.empty(0)))
    assert math.isnan(psnr(np.array([0.1, math.nan])))


def test_metrics_agree_with_scikit_image():
    rng = np.random.default_rng(0)
    truth, answer = rng.random((2, 20, 30, 3))
    assert psnr(squared_error(truth, answer)) == pytest.approx(peak_signal_noise_ratio(truth, answer, data_range=1))
    settings = {"data_range": 1, "gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
    assert ssim(truth, answer) == pytest.approx(structural_similarity(truth, answer, channel_axis=-1, **settings))
    assert ssim(truth, truth) == pytest.approx(1.0)
    assert math.isnan(ssim(truth[:10], answer[:10]))


def test_luma_is_that_of_matlab():
    rng = np.random.default_rng(0)
    truth, answer = rng.random((2, 20, 30, 3))
    # scikit-image's is MATLAB's, from 16 to 235.
    expected = [rgb2ycbcr(picture)[..., 0] / 255 for picture in (truth, answer)]
    assert psnr_luma(truth, answer) == pytest.approx(peak_signal_noise_ratio(*expected, data_range=1))
    grey = truth[..., :1], answer[..., :1]
    assert psnr_luma(*grey) == psnr(squared_error(*grey))


@pytest.mark.parametrize("rows", [7, 1000])
def test_the_map_of_similarity_agrees_with_scikit_image_up_to_the_borders(rows, monkeypatch):
    rng = np.random.default_rng(0)
    truth, answer = rng.random((2, 20, 30, 3))
    monkeypatch.setattr(metrics, "_CPU_PIXELS", 30 * rows)
    settings = {"data_range": 1, "gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "full": True}
    _, expected = structural_similarity(truth, answer, channel_axis=-1, **settings)
    np.testing.assert_allclose(ssim_map(truth, answer).numpy(), expected.mean(axis=-1), rtol=0, atol=1e-10)
    single = ssim_map(*(torch.from_numpy(picture.astype(np.float32)) for picture in (truth, answer))).numpy()
    np.testing.assert_allclose(single, expected.mean(axis=-1), rtol=0, atol=1e-6)
    assert np.isnan(ssim_map(truth[:10], answer[:10]).numpy()).all()


def test_a_perfect_field_is_perfect():
    task = problem()
    evaluation = task.evaluate(Lookup(task.picture))
    assert evaluation.metrics["psnr"] > 120
    assert evaluation.metrics["ssim"] == pytest.approx(1.0)
    assert evaluation.outputs["reconstruction"].dtype == np.float32
    assert evaluation.outputs["error"].shape == (24, 24)
    np.testing.assert_array_equal(evaluation.preview, task.truth())


def test_metrics_are_those_of_the_entry():
    task = problem()
    names = [metric.name for metric in ENTRY.metrics]
    assert list(task.evaluate(Lookup(task.picture)).metrics) == names
    assert list(task.evaluate(Lookup(task.picture), full=False).metrics) == names[:1]
    for name in ENTRY.baselines:
        assert list(task.baseline(name).metrics) == names


def test_answers_are_clamped():
    task = problem()
    white = task.evaluate(Lookup(np.ones_like(task.picture), shift=9.0))
    expected = -10 * math.log10(np.square(1 - task.picture.astype(float)).mean())
    assert white.metrics["psnr"] == pytest.approx(expected, abs=1e-4)


def test_an_answer_that_is_not_a_number_is_not_a_number():
    task = problem()
    evaluation = task.evaluate(Lookup(task.picture, shift=math.nan))
    assert math.isnan(evaluation.metrics["psnr"])
    assert evaluation.preview.max() == 0


def test_coordinates_are_those_of_the_grid():
    task = problem(source="chelsea", held_out=0)
    coords = task.batch(slice(None))["coords"]
    assert torch.equal(coords, grid_coords((16, 24)))
    values = task.batch(slice(None))["values"]
    np.testing.assert_allclose(values.reshape(16, 24, 3), task.picture * 2 - 1, atol=1e-6)


def test_loss_is_the_squared_error_of_each_pixel():
    task = problem()
    batch = task.batch(torch.tensor([5, 0, 7]))
    losses = task.loss(lambda coords: torch.zeros(len(coords), 3), batch)
    torch.testing.assert_close(losses, batch["values"].square().mean(dim=1))


def test_held_out_pixels_are_never_trained_on():
    task = problem(held_out=0.3)
    assert task.held_out.sum() == round(0.3 * 576) == 576 - task.elements
    trained = ((task.batch(slice(0, task.elements))["coords"] + 1) / 2 * 23).round().long()
    assert not task.held_out[trained[:, 0], trained[:, 1]].any()
    assert len(trained.unique(dim=0)) == task.elements


@pytest.mark.parametrize("held_out", [0, 0.3])
def test_the_pixels_of_batches_are_trained_and_all_others_are_not(held_out):
    task = problem(source="chelsea", held_out=held_out)
    grid = task.coords(10**6, SeedStreams(0))
    row, column = ((task.batch(slice(None))["coords"] + 1) / 2 * torch.tensor([15, 23])).round().long().T
    expected = torch.zeros(16, 24, dtype=torch.bool).index_put((row, column), torch.tensor(True))
    assert torch.equal(task.is_trained(grid), expected.flatten())
    # Up to half a pixel from it a place counts as the pixel.
    assert torch.equal(task.is_trained(grid - 0.4 * 2 / 23), expected.flatten())


def test_the_mask_follows_the_seed():
    assert (problem(1).held_out == problem(1).held_out).all()
    assert (problem(1).held_out != problem(2).held_out).any()


def test_held_out_and_training_quality_are_told_apart():
    task = problem(held_out=0.5)
    wrong = np.where(task.held_out[..., None], np.clip(task.picture + 0.1, 0, 1), task.picture).astype(np.float32)
    metrics = task.measure(wrong)
    assert metrics["psnr_train"] == 200
    assert 20 <= metrics["psnr_held_out"] < 21
    assert math.isnan(problem(held_out=0).evaluate(Lookup(task.picture)).metrics["psnr_held_out"])


def test_constant_is_the_mean_of_the_training_pixels():
    task = problem(held_out=0.5)
    constant = task.baseline("constant").outputs["reconstruction"]
    np.testing.assert_allclose(constant[3, 4], 255 * task.picture[~task.held_out].mean(axis=0), atol=1e-3)


@pytest.mark.parametrize("name", ["linear", "biharmonic", "thin_plate"])
def test_fillings_are_only_measured_where_they_guess(name):
    task = problem(held_out=0.1)
    metrics = task.baseline(name).metrics
    assert [key for key, value in metrics.items() if not math.isnan(value)] == ["psnr_held_out"]
    assert metrics["psnr_held_out"] > task.baseline("constant").metrics["psnr_held_out"] + 3
    assert math.isnan(problem(held_out=0).baseline(name).metrics["psnr_held_out"])


@pytest.mark.parametrize(("name", "counted"), [("dct", False), ("dct_counted", True)])
def test_transform_coding_is_measured_on_all_that_it_codes(name, counted):
    task = problem(values_per_parameter=8)
    evaluation = task.baseline(name)
    assert evaluation.parameters == 24 * 24 * 3 / 8
    coded = dct_coded(task.picture, evaluation.parameters, counted=counted).clip(0, 1)
    np.testing.assert_allclose(evaluation.outputs["reconstruction"], 255 * coded, atol=1e-3)
    expected = peak_signal_noise_ratio(task.picture, coded, data_range=1)
    assert evaluation.metrics["psnr"] == pytest.approx(expected, abs=1e-4)
    assert [key for key, value in evaluation.metrics.items() if math.isnan(value)] == ["psnr_held_out"]
    assert task.baseline("constant").parameters is None


def test_more_numbers_are_worth_more():
    scores = [problem(values_per_parameter=values).baseline("dct").metrics["psnr"] for values in (16, 4, 2, 1)]
    assert scores == sorted(scores)
    assert scores[-1] > 120


@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (5, 1), (2, 2)])
def test_tiny_pictures(tmp_path, shape, stored_renderer):
    Image.fromarray(np.full(shape, 100, np.uint8)).save(tmp_path / "tiny.png")
    task = problem(source=str(tmp_path / "tiny.png"), size=None, held_out=0.9)
    assert task.elements >= 1
    evaluation = task.evaluate(nn.Linear(2, 1))
    assert math.isfinite(evaluation.metrics["psnr"])
    assert math.isnan(evaluation.metrics["ssim"])
    for name in ENTRY.baselines:
        task.baseline(name)
    assert max(stored_renderer(ENTRY, task).render(nn.Linear(2, 1), 3).preview.shape) == 3


def test_the_curve_of_a_large_picture_is_sampled(monkeypatch):
    monkeypatch.setattr(base, "CURVE_PIXELS", 200)
    task = problem()
    assert task.record["curve_pixels"] == 200
    dark = Lookup(np.zeros_like(task.picture))
    sampled, whole = (task.evaluate(dark, full=full).metrics["psnr"] for full in (False, True))
    assert sampled != whole
    assert sampled == pytest.approx(whole, abs=1.0)


def test_prediction_in_blocks_of_rows_is_the_same(monkeypatch):
    task = problem(source="chelsea")
    field = nn.Linear(2, 3)
    whole = task.evaluate(field).outputs["reconstruction"]
    monkeypatch.setattr(renderer, "PIXELS_AT_A_TIME", 50)
    np.testing.assert_allclose(task.evaluate(field).outputs["reconstruction"], whole, atol=1e-3)


def test_neither_a_fit_nor_its_measuring_changes_a_problem():
    used, fresh = problem(), problem()
    first, second = nn.Linear(2, 3), nn.Linear(2, 3)
    optimizer = torch.optim.SGD(first.parameters(), lr=0.1)
    for full in (False, True):
        used.loss(first, used.batch(slice(0, 50))).mean().backward()
        optimizer.step()
        used.evaluate(first, full=full)
        used.baseline("linear")
    for name, values in fresh.batch(slice(None)).items():
        assert torch.equal(used.batch(slice(None))[name], values)
    assert used.evaluate(second).metrics == fresh.evaluate(second).metrics
    assert used.frame == fresh.frame
