import math
from pathlib import Path

import numpy as np
import pytest
import torch
from inrbench_task_mri.plugin import MriSpec, inrbench_tasks
from inrbench_task_mri.problem import prepare

from inrbench_core import DataError, SeedStreams
from inrbench_core.api.problem import from_field

CPU = torch.device("cpu")
(ENTRY,) = inrbench_tasks()
TRAJECTORIES = ["cartesian", "radial", "golden_angle"]


def problem(seed=0, **options):
    return prepare(MriSpec(**{"size": 24, **options}), device=CPU, seeds=SeedStreams(seed))


@pytest.fixture
def random_field(pixel_field):
    return pixel_field(np.random.default_rng(0).uniform(size=(24, 24)))


def everything(task):
    return task.batch(slice(0, task.elements))


@pytest.mark.parametrize("trajectory", TRAJECTORIES)
def test_the_slice_itself_is_the_answer(trajectory, pixel_field):
    task = problem(trajectory=trajectory, noise=0)
    perfect = pixel_field(task.picture[..., 0])
    evaluation = task.evaluate(perfect)
    assert evaluation.metrics["psnr"] > 100
    assert evaluation.metrics["ssim"] == pytest.approx(1.0, abs=1e-6)
    assert evaluation.metrics["nmse"] < 1e-10
    assert evaluation.metrics["snr_kspace"] > 100
    assert np.array_equal(evaluation.preview, task.truth())
    assert task.loss(perfect, everything(task)).max().item() < 1e-9
    assert task.evaluate(perfect, full=False).metrics["psnr"] > 100


def test_the_loss_is_the_error_of_the_lines_of_the_fourier_transform(random_field):
    task, field = problem(noise=0), random_field
    truth, answer = (
        np.fft.fft2(np.fft.ifftshift(picture), norm="ortho")[:, task.places]
        for picture in (task.picture[..., 0].astype(np.float64), field.picture.detach().numpy())
    )
    expected = (np.abs(answer - truth) ** 2).mean() / (np.abs(truth) ** 2).mean()
    assert task.loss(field, everything(task)).mean().item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("trajectory", TRAJECTORIES)
def test_a_black_picture_has_a_loss_of_1(trajectory, pixel_field):
    task = problem(trajectory=trajectory)
    black = pixel_field(np.zeros((24, 24)))
    assert task.loss(black, everything(task)).mean().item() == pytest.approx(1.0, rel=1e-5)


def test_rows_are_independent(random_field):
    """The loss of a row depends on the pixels of that row and of no other."""
    task, field = problem(), random_field
    task.loss(field, task.batch(torch.tensor([5, 9]))).sum().backward()
    rows = field.picture.grad.abs().sum(dim=1)
    # Between rows the field rounds.
    assert (rows > 1e-4 * rows.max()).nonzero().flatten().tolist() == [5, 9]


def test_parts_of_a_batch_add_up(random_field):
    task, field = problem(), random_field
    whole = task.loss(field, everything(task))
    parts = [task.loss(field, task.batch(index)) for index in (slice(0, 7), torch.arange(7, 24))]
    torch.testing.assert_close(torch.cat(parts), whole)


@pytest.mark.parametrize("trajectory", TRAJECTORIES)
@pytest.mark.parametrize("regulariser", [None, {"name": "tv", "weight": 0.3}])
def test_points_are_those_that_the_field_is_evaluated_at(trajectory, regulariser, random_field):
    task = problem(trajectory=trajectory, regulariser=regulariser)
    field = random_field
    seen = []
    field.register_forward_pre_hook(lambda _, args: seen.append(len(args[0])))
    task.loss(field, everything(task))
    assert seen == [task.elements * task.points_per_element]
    assert task.elements == (24 if trajectory == "cartesian" else 1)


@pytest.mark.parametrize("trajectory", TRAJECTORIES)
def test_the_regulariser_is_the_mean_total_variation_of_the_picture(trajectory, random_field):
    field = random_field
    picture = field.picture.detach().numpy().astype(np.float64)
    down = np.diff(picture, axis=0, append=picture[-1:])
    right = np.diff(picture, axis=1, append=picture[:, -1:])
    expected = 0.3 * np.hypot(down, right).mean()
    plain, regularised = (
        problem(trajectory=trajectory, regulariser=regulariser) for regulariser in (None, {"name": "tv", "weight": 0.3})
    )
    added = regularised.loss(field, everything(regularised)) - plain.loss(field, everything(plain))
    assert added.mean().item() == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("trajectory", TRAJECTORIES)
def test_noise_is_of_the_strength_asked_for_and_the_seeds_own(trajectory):
    # As many lines with all seeds, but not the same of the grid.
    options = {"trajectory": trajectory, "size": 48, "acceleration": 1}
    clean = problem(**options, noise=0).measured
    noisy, again, other = (problem(seed, **options, noise=0.05).measured for seed in (0, 0, 1))
    noise = noisy - clean
    assert noise[..., 0].std() == pytest.approx(0.05, rel=0.06)
    assert noise[..., 1].std() == pytest.approx(0.05, rel=0.06)
    assert abs(noise.mean()) < 4 * noise.std() / math.sqrt(noise.size)
    assert np.array_equal(noisy, again)
    assert not np.array_equal(noisy, other)


def test_all_lines_with_noise_leave_that_noise_in_the_slice():
    task = problem(size=64, acceleration=1, noise=0.05)
    answer = task.classical("zero_filled")[..., 0]
    assert (answer - task.picture[..., 0]).std() == pytest.approx(0.05, rel=0.05)


def test_lines_are_drawn_by_the_seed():
    one, again, other = (problem(seed).places.tolist() for seed in (0, 0, 1))
    assert one == again != other
    assert len(one) == len(other) == 6


@pytest.mark.parametrize(("options", "lines"), [({}, 6), ({"acceleration": 2}, 12), ({"spokes": 9}, 9)])
def test_spokes_are_as_many_as_lines_unless_said_otherwise(options, lines):
    task = problem(trajectory="radial", **options)
    assert task.record["lines"] == lines
    assert task.record["samples"] == lines * 24


def test_too_many_spokes_are_told():
    with pytest.raises(
        DataError, match="200 spokes of 512 samples need too much memory; at this size there may be 128"
    ):
        problem(size=512, trajectory="radial", spokes=200)


def test_metrics_are_those_of_their_definitions():
    task = problem()
    wrong = task.picture + np.where(task.picture < 0.5, 0.1, -0.1).astype(np.float32)
    metrics = task.measure(wrong)
    assert metrics["psnr"] == pytest.approx(20.0, abs=1e-4)
    assert metrics["nmse"] == pytest.approx(0.01 * task.picture.size / (task.picture**2).sum(), rel=1e-4)
    assert task.measure(np.zeros_like(task.picture))["snr_kspace"] == pytest.approx(0.0, abs=1e-4)


@pytest.mark.parametrize("trajectory", TRAJECTORIES)
def test_baselines_are_better_the_more_they_know(trajectory):
    task = problem(size=48, trajectory=trajectory)
    names = ("constant", "zero_filled", "least_squares", "total_variation")
    scores = [task.baseline(name).metrics["psnr"] for name in names]
    assert scores == sorted(scores)
    assert scores[-1] > scores[-2] + 1.0


def test_without_noise_and_with_all_lines_every_answer_is_the_slice():
    task = problem(noise=0, acceleration=1)
    for name in ("zero_filled", "least_squares", "total_variation"):
        np.testing.assert_allclose(task.classical(name), task.picture, atol=1e-4)


@pytest.mark.parametrize("trajectory", TRAJECTORIES)
def test_every_baseline_answers(trajectory):
    task = problem(trajectory=trajectory)
    for name in ENTRY.baselines:
        evaluation = task.baseline(name)
        assert evaluation.metrics.keys() == {metric.name for metric in ENTRY.metrics}
        assert evaluation.preview.shape == task.truth().shape == (24, 24, 3)
    assert task.classical("constant").mean() == pytest.approx(task.picture.mean(), abs=0.02)


def test_the_total_variation_is_solved_once(monkeypatch, empty_cache):
    first = problem().baseline("total_variation")
    monkeypatch.setattr("inrbench_task_mri.problem.least_total_variation", lambda _: pytest.fail("solved again"))
    assert problem().baseline("total_variation").metrics == first.metrics
    with pytest.raises(pytest.fail.Exception, match="solved again"):
        problem(seed=1).baseline("total_variation")


@pytest.mark.parametrize("trajectory", ["cartesian", "radial"])
def test_training_pixels_reconstructs_the_slice(trajectory, pixel_field):
    """The whole inverse problem, sampled densely: gradient descent through the operator."""
    task = problem(noise=0, acceleration=1, trajectory=trajectory, spokes=38)
    field = pixel_field(np.full((24, 24), 0.5))
    optimizer = torch.optim.Adam(field.parameters(), lr=0.05)
    for _ in range(100):
        optimizer.zero_grad()
        task.loss(field, everything(task)).mean().backward()
        optimizer.step()
    assert task.evaluate(field).metrics["psnr"] > 25 > 8 + task.baseline("constant").metrics["psnr"]


def test_a_stored_field_is_rendered_in_the_files_values_without_the_file(tmp_path, stored_renderer, pixel_field):
    values = np.random.default_rng(0).uniform(0, 300, (20, 24))
    np.save(tmp_path / "a.npy", values)
    task = problem(source=str(tmp_path / "a.npy"))
    (frame,) = task.frame.fields.values()
    assert (frame.values[0].name, frame.values[0].low) == ("magnitude", 0.0)
    renderer, field = stored_renderer(ENTRY, task), pixel_field(task.picture[..., 0])
    Path(tmp_path / "a.npy").unlink()
    rendered = renderer.render(field)
    squared = np.zeros((24, 24))
    squared[2:22] = values
    np.testing.assert_allclose(rendered.outputs["reconstruction"][..., 0], squared, atol=0.01)
    np.testing.assert_array_equal(rendered.preview, task.evaluate(field).preview)
    assert renderer.render(field, 80).preview.shape == (80, 80, 3)
    coords = task.coords(10_000, SeedStreams(0))
    np.testing.assert_allclose(from_field(task.target(coords), frame).reshape(24, 24), squared, atol=0.01)


def test_the_record_says_whether_the_slice_is_drawn(tmp_path):
    np.save(tmp_path / "a.npy", np.ones((20, 20)))
    assert problem().record["synthetic"] is True
    assert problem(source=str(tmp_path / "a.npy")).record["synthetic"] is False
