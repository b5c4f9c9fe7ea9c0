import math
from pathlib import Path

import numpy as np
import pytest
import torch
from inrbench_task_ct.plugin import CtSpec, inrbench_tasks
from inrbench_task_ct.problem import prepare

from inrbench_core import SeedStreams
from inrbench_core.api.problem import from_field

CPU = torch.device("cpu")
(ENTRY,) = inrbench_tasks()


def problem(seed=0, **options):
    return prepare(CtSpec(**{"size": 32, "views": 8, "noise": 0.0, **options}), device=CPU, seeds=SeedStreams(seed))


def test_the_slice_itself_is_the_answer(pixel_field):
    task = problem(samples=64)
    perfect = pixel_field(task.picture[..., 0])
    evaluation = task.evaluate(perfect)
    assert evaluation.metrics["psnr"] > 100
    assert evaluation.metrics["ssim"] == pytest.approx(1.0, abs=1e-6)
    assert np.array_equal(evaluation.preview, task.truth())
    assert task.loss(perfect, task.batch(slice(0, task.elements))).max().item() < 1e-8
    assert task.evaluate(perfect, full=False).metrics["psnr"] > 100


def test_loss_is_the_squared_error_of_each_bin(pixel_field):
    task = problem()
    air = pixel_field(np.zeros((32, 32)))
    batch = task.batch(torch.tensor([16, 40, 200]))
    torch.testing.assert_close(task.loss(air, batch), batch["values"].square())
    assert batch["values"].tolist() == task.sinogram.reshape(-1)[[16, 40, 200]].tolist()


@pytest.mark.parametrize("index", [slice(20, 60), torch.arange(20, 60)])
def test_batches_hold_rays_and_not_their_points(index):
    batch = problem().batch(index)
    assert {name: tuple(part.shape) for name, part in batch.items()} == {
        "angle": (40,),
        "offset": (40,),
        "values": (40,),
    }


def test_parts_of_a_batch_add_up(pixel_field):
    task = problem()
    field = pixel_field(np.random.default_rng(0).uniform(size=(32, 32)))
    whole = task.loss(field, task.batch(slice(0, 100)))
    parts = [task.loss(field, task.batch(slice(start, start + 25))) for start in range(0, 100, 25)]
    torch.testing.assert_close(torch.cat(parts), whole)


def test_bins_and_points_are_counted():
    task = problem(views=5, samples=20)
    assert (task.elements, task.points_per_element) == (5 * 32, 20)
    assert problem().points_per_element == 32


def test_outside_the_disc_there_is_air(stored_renderer, pixel_field):
    task = problem(size=33)
    corner = (slice(0, 3), slice(0, 3))
    white = task.evaluate(pixel_field(np.ones((33, 33)))).outputs["reconstruction"]
    assert not white[corner].any()
    assert white[16, 16] == 1
    assert not task.truth()[corner].any()
    for size in (None, 50):
        assert not stored_renderer(ENTRY, task).render(pixel_field(np.ones((33, 33))), size).preview[corner].any()


def test_metrics_are_means_over_the_disc():
    task = problem(size=33)
    wrong = task.picture[..., 0] + np.where(task.picture[..., 0] < 0.5, 0.1, -0.1)
    metrics = task.measure(wrong[..., None])
    assert metrics["psnr"] == pytest.approx(20.0, abs=1e-4)
    wrong[~task.disc] += 0.7
    assert task.measure(wrong[..., None])["psnr"] == pytest.approx(20.0, abs=1e-4)


def test_noise_is_of_the_strength_asked_for_and_the_seeds_own():
    clean = problem(views=40)
    noisy, again, other = (problem(seed, views=40, noise=0.05) for seed in (0, 0, 1))
    noise = noisy.sinogram - clean.sinogram
    assert noise.std() == pytest.approx(0.05 * clean.sinogram.max(), rel=0.05)
    assert abs(noise.mean()) < 4 * noise.std() / math.sqrt(noise.size)
    assert np.array_equal(noisy.sinogram, again.sinogram)
    assert not np.array_equal(noisy.sinogram, other.sinogram)


def test_there_is_noise_unless_asked_otherwise():
    assert CtSpec().noise == 0.01


def test_more_views_make_back_projection_better_and_it_beats_a_constant():
    few, many = (problem(size=64, views=views).baseline("fbp").metrics["psnr"] for views in (10, 100))
    constant = problem(size=64).baseline("constant").metrics["psnr"]
    assert constant < few < many
    assert many > 25


def test_with_noise_total_variation_is_the_best_of_the_baselines():
    task = problem(size=48, views=24, noise=0.01)
    scores = {name: task.baseline(name).metrics["psnr"] for name in ENTRY.baselines}
    assert max(scores, key=scores.get) == "total_variation"
    assert min(scores, key=scores.get) == "constant"
    assert scores["total_variation"] > scores["fbp"] + 1


def test_what_a_program_drew_is_called_synthetic(tmp_path):
    np.save(tmp_path / "a.npy", np.random.default_rng(0).uniform(size=(20, 20)))
    assert problem().record["synthetic"] is True
    assert problem(source=str(tmp_path / "a.npy")).record["synthetic"] is False


def test_a_regulariser_adds_the_total_variation_of_the_slice_to_the_loss(pixel_field):
    plain, regularised = problem(), problem(regulariser={"name": "tv", "weight": 0.5})
    field = pixel_field(np.random.default_rng(0).uniform(size=(32, 32)))
    losses = [task.loss(field, task.batch(slice(0, task.elements))).mean().item() for task in (plain, regularised)]
    picture = field.picture.detach().numpy()
    down, right = (np.diff(picture, axis=axis, append=np.take(picture, [-1], axis)) for axis in (0, 1))
    assert losses[1] - losses[0] == pytest.approx(0.5 * np.hypot(down, right).mean(), rel=1e-4)
    # 1,024 pixels of three points each for 256 bins.
    assert regularised.points_per_element == plain.points_per_element + 12


def test_the_constant_is_the_mean_that_the_bins_tell():
    task = problem(size=65, views=60)
    value = task.baseline("constant").outputs["reconstruction"][32, 32, 0]
    assert value == pytest.approx(task.picture[task.disc].mean(), rel=0.02)


def test_every_baseline_answers():
    task = problem()
    for name in ENTRY.baselines:
        evaluation = task.baseline(name)
        assert evaluation.metrics.keys() == {metric.name for metric in ENTRY.metrics}
        assert evaluation.preview.shape == task.truth().shape == (32, 32, 3)
        assert evaluation.preview.dtype == np.uint8


def test_training_pixels_reconstructs_the_slice(pixel_field):
    """The whole inverse problem, with as many views as pixels: gradient descent through the projector."""
    task = problem(size=20, views=24)
    field = pixel_field(np.full((20, 20), 0.5))
    optimizer = torch.optim.Adam(field.parameters(), lr=0.08)
    for _ in range(50):
        optimizer.zero_grad()
        task.loss(field, task.batch(slice(0, task.elements))).mean().backward()
        optimizer.step()
    assert task.evaluate(field).metrics["psnr"] > 25 > 10 + task.baseline("constant").metrics["psnr"]


def test_a_stored_field_is_rendered_in_hounsfield_units_without_the_file(
    tmp_path, stored_renderer, write_dicom, pixel_field
):
    values = np.random.default_rng(0).integers(-1000, 1800, (20, 24))
    path = write_dicom(tmp_path / "a.dcm", values + 1024)
    task = prepare(CtSpec(source=path, views=8), device=CPU, seeds=SeedStreams(0))
    (frame,) = task.frame.fields.values()
    (value,) = frame.values
    assert (value.name, value.unit, value.low, value.high) == ("attenuation", "HU", -1000, values.max())
    renderer, field = stored_renderer(ENTRY, task), pixel_field(task.picture[..., 0])
    Path(path).unlink()
    rendered = renderer.render(field)
    # Two rows of air above and below make it square; outside the disc there is air.
    squared = np.full((24, 24), -1000)
    squared[2:22] = values
    expected = np.where(task.disc, squared, -1000)
    np.testing.assert_allclose(rendered.outputs["reconstruction"][..., 0], expected, atol=0.01)
    np.testing.assert_array_equal(rendered.preview, task.evaluate(field).preview)
    assert renderer.render(field, 80).preview.shape == (80, 80, 3)
    coords = task.coords(10_000, SeedStreams(0))
    np.testing.assert_allclose(from_field(task.target(coords), frame).reshape(24, 24), expected, atol=0.01)
    facts = task.frame.facts
    assert (facts["crop_top"], facts["crop_left"], facts["crop_height"], facts["file_height"]) == (-2, 0, 24, 20)


def test_outside_the_disc_the_target_is_air():
    task = problem(source="shepp_logan", size=33)
    corners = torch.tensor([[-1.0, -1.0], [1.0, 0.9], [-0.9, 0.9]])
    assert task.target(corners).tolist() == [[-1.0]] * 3


def test_slice_and_sinogram_are_made_once(tmp_path, monkeypatch, empty_cache):
    values = np.random.default_rng(0).uniform(size=(20, 20))
    np.save(tmp_path / "a.npy", values)
    source = str(tmp_path / "a.npy")

    def again(*_):
        raise AssertionError("made again")

    first = problem(source=source, noise=0.1)
    monkeypatch.setattr("inrbench_task_ct.slices.make_slice", again)
    second = problem(source=source, noise=0.1)
    monkeypatch.setattr("inrbench_task_ct.problem._sinogram", again)
    third = problem(source=source, noise=0.1)
    for task in (second, third):
        np.testing.assert_array_equal(first.picture, task.picture)
        np.testing.assert_array_equal(first.sinogram, task.sinogram)
        assert task.record == first.record
    with pytest.raises(AssertionError, match="made again"):
        problem(source=source, views=9)
    np.save(tmp_path / "a.npy", values**2)
    with pytest.raises(AssertionError, match="made again"):
        problem(source=source)
