import itertools
import math

import numpy as np
import pytest
import torch
from inrbench_task_image.pictures import Picture
from inrbench_task_poisson.alignment import Alignment, moments
from inrbench_task_poisson.derivatives import gradients, laplacians
from inrbench_task_poisson.differences import divergence, gradient, laplacian, solve
from inrbench_task_poisson.plugin import PoissonSpec, inrbench_tasks
from inrbench_task_poisson.problem import GradientProblem, LaplacianProblem, prepare
from scipy.ndimage import laplace
from torch import nn

from inrbench_core import DataError, SeedStreams, grid_coords
from inrbench_core.api.problem import from_field

(ENTRY,) = inrbench_tasks()
CPU = torch.device("cpu")
GIVEN = ["gradient", "laplacian"]


def problem(given="gradient", **options):
    spec = PoissonSpec(**{"size": 24, "source": "chelsea", **options}, given=given)
    return prepare(spec, device=CPU, seeds=SeedStreams(0))


class Waves(nn.Module):
    """An analytic field of two channels, in values of [-1, 1]."""

    def forward(self, coords):
        row, column = coords.unbind(1)
        return torch.stack([torch.sin(3 * row) * torch.cos(2 * column), torch.exp(row - column) / 10], dim=1)


def sampled(field, height, width):
    """The field as a picture in [0, 1], float64."""
    rows, columns = (torch.linspace(-1, 1, size, dtype=torch.float64) for size in (height, width))
    return (field(torch.cartesian_prod(rows, columns)).reshape(height, width, -1).numpy() + 1) / 2


def test_derivatives_agree_with_finite_differences():
    coords = torch.rand(50, 2, dtype=torch.float64) * 2 - 1
    scale = torch.tensor([0.5, 2.0], dtype=torch.float64)
    step = 1e-4
    field = Waves()
    shifts = torch.eye(2, dtype=torch.float64) * step
    ahead, behind = ([field(coords + sign * shift) for shift in shifts] for sign in (1, -1))
    first = torch.stack([(a - b) / (2 * step) for a, b in zip(ahead, behind, strict=True)], dim=2)
    torch.testing.assert_close(gradients(field, coords)[1], first, rtol=1e-6, atol=1e-6)
    second = [(a + b - 2 * field(coords)) / step**2 for a, b in zip(ahead, behind, strict=True)]
    torch.testing.assert_close(
        laplacians(field, coords, scale), 0.25 * second[0] + 4.0 * second[1], rtol=1e-5, atol=1e-5
    )


@pytest.mark.parametrize("kind", [GradientProblem, LaplacianProblem])
def test_the_loss_of_the_true_field_falls_with_the_pixel_size(kind):
    # Differences approach derivatives with the square of the pixel size: half of it, a sixteenth of the squared error.
    losses = []
    for height, width in ((17, 25), (33, 49)):
        task = kind(Picture(sampled(Waves(), height, width), {}), device=CPU, seeds=SeedStreams(0))
        task.spacing = task.spacing.double()
        task._rows, task._columns = task._rows.double(), task._columns.double()
        losses.append(task.loss(Waves(), task.batch(slice(0, task.elements))).mean().item())
    assert losses[0] < 1e-3
    assert losses[0] / losses[1] == pytest.approx(16, rel=0.15)


@pytest.mark.parametrize("kind", [GradientProblem, LaplacianProblem])
def test_the_loss_of_a_constant_is_one_and_elements_are_independent(kind):
    task = kind(Picture(sampled(Waves(), 9, 12).astype(np.float32), {}), device=CPU, seeds=SeedStreams(0))
    flat = nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 2))
    with torch.no_grad():
        flat[2].weight.zero_()
    losses = task.loss(flat, task.batch(slice(0, task.elements)))
    assert losses.shape == (task.elements,)
    assert losses.mean().item() == pytest.approx(1.0, rel=1e-5)
    index = torch.randperm(task.elements)[:7]
    field = nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 2))
    whole = task.loss(field, task.batch(slice(0, task.elements)))
    torch.testing.assert_close(task.loss(field, task.batch(index)), whole[index])


@pytest.mark.parametrize("kind", [GradientProblem, LaplacianProblem])
def test_gradients_reach_the_parameters(kind):
    task = kind(Picture(sampled(Waves(), 9, 12).astype(np.float32), {}), device=CPU, seeds=SeedStreams(0))
    field = nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 2))
    task.loss(field, task.batch(slice(0, 10))).sum().backward()
    assert field[0].weight.grad.abs().sum() > 0


def test_pairs_lie_half_way_between_their_pixels():
    task = problem()  # 16 x 24
    batch = task.batch(slice(0, task.elements))
    pixel = (batch["coords"].double() / task.spacing + (torch.tensor([16, 24]) - 1) / 2).numpy()
    down = batch["axis"].numpy() == 0
    assert down.sum() == 15 * 24
    assert task.elements == 15 * 24 + 16 * 23
    for chosen, axis in ((down, 0), (~down, 1)):
        first = np.rint(pixel[chosen] - np.eye(2)[axis] / 2).astype(int)
        second = first + np.eye(2, dtype=int)[axis]
        np.testing.assert_allclose((first + second) / 2, pixel[chosen], atol=1e-4)
        difference = task.picture[tuple(second.T)] - task.picture[tuple(first.T)]
        np.testing.assert_allclose(batch["values"][torch.from_numpy(chosen)], 2 * difference, atol=1e-6)


def test_the_laplacian_is_scipys():
    picture = np.random.default_rng(0).random((7, 9, 3))
    expected = np.stack([laplace(picture[..., channel]) for channel in range(3)], axis=-1)[1:-1, 1:-1]
    np.testing.assert_allclose(laplacian(picture), expected)
    # scipy's "nearest" repeats the border: nothing flows through it.
    whole = np.stack([laplace(picture[..., channel], mode="nearest") for channel in range(3)], axis=-1)
    np.testing.assert_allclose(divergence(*gradient(picture)), whole, atol=1e-12)


def test_the_solver_inverts_the_laplacian():
    picture = np.random.default_rng(0).random((7, 10, 2))
    picture -= picture.mean(axis=(0, 1))
    np.testing.assert_allclose(solve(divergence(*gradient(picture))), picture, atol=1e-10)


@pytest.mark.parametrize("given", GIVEN)
def test_what_the_derivatives_leave_open_is_forgiven(given, stored_renderer):
    task = problem(given)
    row = grid_coords((16, 24))[:, 0].reshape(16, 24, 1).numpy()

    class Shifted(nn.Module):
        def __init__(self, slope):
            super().__init__()
            self.slope = slope

        def forward(self, coords):
            pixel = ((coords + 1) / 2 * torch.tensor([15, 23])).round().long()
            values = torch.from_numpy(task.picture)[pixel[:, 0], pixel[:, 1]] * 2 - 1
            return values + 5.0 + self.slope * coords[:, :1]

    for full in (True, False):
        assert task.evaluate(Shifted(0.0), full=full).metrics["psnr"] > 90
        tilted = task.evaluate(Shifted(0.5), full=full).metrics["psnr"]
        if given == "laplacian":
            assert tilted > 90
        else:
            error = np.clip(task.picture + 0.25 * row, 0, 1) - task.picture
            assert tilted == pytest.approx(-10 * math.log10(np.square(error, dtype=float).mean()), abs=1e-3)
    renderer = stored_renderer(ENTRY, task)
    for size in (None, 24):
        rendered = renderer.render(Shifted(0.0), size).outputs["reconstruction"]
        np.testing.assert_allclose(rendered, 255 * task.picture, atol=0.03)


@pytest.mark.parametrize("given", GIVEN)
def test_a_stored_field_is_rendered_as_it_was_measured(given, stored_renderer):
    task, field = problem(given), nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 3))
    evaluation, renderer = task.evaluate(field), stored_renderer(ENTRY, task)
    rendered = renderer.render(field)
    np.testing.assert_allclose(
        rendered.outputs["reconstruction"], evaluation.outputs["reconstruction"], rtol=0, atol=1e-4
    )
    larger = renderer.render(field, 47).outputs["reconstruction"]
    assert larger.shape == (31, 47, 3)
    for corner in itertools.product((0, -1), repeat=2):
        np.testing.assert_allclose(larger[corner], rendered.outputs["reconstruction"][corner], atol=1e-3)


def test_the_alignment_is_that_of_least_squares():
    rng = np.random.default_rng(0)
    coords, answer, truth = rng.uniform(-1, 1, (50, 2)), rng.random((50, 3)), rng.random((50, 3))
    for plane in (False, True):
        aligned = Alignment(answer, moments(truth, coords, plane=plane), coords, plane=plane)(answer, coords)
        design = np.column_stack([np.ones(50), coords]) if plane else np.ones((50, 1))
        expected = answer + design @ np.linalg.lstsq(design, truth - answer, rcond=None)[0]
        np.testing.assert_allclose(aligned, expected, atol=1e-6)


def test_the_true_field_is_the_picture():
    task = problem()
    coords = task.coords(1000, SeedStreams(0))
    np.testing.assert_allclose(task.target(coords).reshape(16, 24, 3), task.picture * 2 - 1, atol=1e-6)
    frame = task.frame.fields["field"]
    np.testing.assert_allclose(from_field(task.target(coords), frame), 255 * task.picture.reshape(-1, 3), atol=1e-3)


@pytest.mark.parametrize("given", GIVEN)
def test_baselines(given):
    task = problem(given, size=64)
    scores = {name: task.baseline(name).metrics for name in ENTRY.baselines}
    assert scores["poisson_solver"]["psnr"] > scores["constant"]["psnr"] + 2
    if given == "gradient":
        assert scores["poisson_solver"]["psnr"] > 100
        deviation = np.square(task.picture - task.picture.mean(axis=(0, 1))).mean()
        assert scores["constant"]["psnr"] == pytest.approx(-10 * math.log10(deviation), abs=1e-3)
    for metrics in scores.values():
        assert list(metrics) == [metric.name for metric in ENTRY.metrics]


def test_a_diverged_field_is_not_a_number():
    task = problem()
    field = nn.Linear(2, 3)
    with torch.no_grad():
        field.bias.fill_(math.nan)
    assert math.isnan(task.evaluate(field).metrics["psnr"])


def test_specs_and_small_pictures():
    assert [PoissonSpec(given=given).required_derivatives() for given in GIVEN] == [1, 2]
    with pytest.raises(DataError, match="too small"):
        problem(size=[2, 9])


def test_a_picture_of_one_colour_has_a_finite_loss():
    task = GradientProblem(Picture(np.full((4, 5, 1), 0.3, np.float32), {}), device=CPU, seeds=SeedStreams(0))
    assert task.loss(nn.Linear(2, 1), task.batch(slice(0, 5))).isfinite().all()
