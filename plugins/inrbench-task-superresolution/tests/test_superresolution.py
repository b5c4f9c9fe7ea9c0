import numpy as np
import pytest
import torch
from inrbench_task_superresolution import upsampling
from inrbench_task_superresolution.downsampling import Downsampling
from inrbench_task_superresolution.plugin import SuperresolutionSpec, inrbench_tasks
from inrbench_task_superresolution.problem import prepare
from inrbench_task_superresolution.upsampling import TOLERANCE, back_projection, bicubic, lanczos
from PIL import Image
from scipy.ndimage import uniform_filter
from skimage.transform import downscale_local_mean
from torch import nn
from torch.nn import functional

from inrbench_core import DataError, SeedStreams
from inrbench_core.api.problem import from_field

(ENTRY,) = inrbench_tasks()
FACTORS = [2, 3, 4]


def problem(seed=0, **options):
    spec = SuperresolutionSpec(**{"size": 50, "source": "chelsea", **options})
    return prepare(spec, device=torch.device("cpu"), seeds=SeedStreams(seed))


class Lookup(nn.Module):
    """A field that equals a picture at its pixels."""

    def __init__(self, picture):
        super().__init__()
        self.register_buffer("values", torch.from_numpy(picture) * 2 - 1)
        self.size = torch.tensor(picture.shape[:2])

    def forward(self, coords):
        row, column = ((coords + 1) / 2 * (self.size - 1)).round().long().unbind(1)
        return self.values[row, column]


def keys(t):
    t, a = abs(t), -0.5
    if t < 1:
        return (a + 2) * t**3 - (a + 3) * t**2 + 1
    return a * (t**3 - 5 * t**2 + 8 * t - 4) if t < 2 else 0.0


def imresize_matrix(size, factor):
    """MATLAB's imresize along one axis, antialiased, written out from its definition."""
    matrix = np.zeros((size // factor, size))
    for coarse in range(size // factor):
        middle = (coarse + 0.5) * factor - 0.5
        weights = {place: keys((place - middle) / factor) for place in range(-4 * size, 5 * size)}
        for place, weight in weights.items():
            mirrored = np.pad(np.arange(size), 4 * size, mode="symmetric")[place + 4 * size]
            matrix[coarse, mirrored] += weight / sum(weights.values())
    return matrix


@pytest.mark.parametrize("factor", FACTORS)
def test_the_mean_agrees_with_others(factor):
    picture = np.random.default_rng(0).random((12, 24, 3), np.float32)
    ours = Downsampling(factor, "mean")(picture)
    np.testing.assert_allclose(ours, downscale_local_mean(picture, (factor, factor, 1)), atol=1e-6)
    # scipy's box filter, sampled at the middle of each block.
    middle = factor // 2
    blurred = uniform_filter(picture, (factor, factor, 0), origin=0)[middle::factor, middle::factor]
    np.testing.assert_allclose(ours, blurred, atol=1e-6)


@pytest.mark.parametrize("factor", FACTORS)
def test_bicubic_downsampling_is_imresize(factor):
    picture = np.random.default_rng(0).random((12, 24, 3), np.float32)
    rows, columns = imresize_matrix(12, factor), imresize_matrix(24, factor)
    expected = np.einsum("ai,bj,ijc->abc", rows, columns, picture)
    np.testing.assert_allclose(Downsampling(factor, "bicubic")(picture), expected, atol=1e-6)


@pytest.mark.parametrize("factor", FACTORS)
def test_bicubic_downsampling_is_that_of_pillow_within_the_picture(factor):
    plane = np.random.default_rng(0).random((48, 96), np.float32)
    expected = np.asarray(Image.fromarray(plane).resize((96 // factor, 48 // factor), Image.Resampling.BICUBIC))
    ours = Downsampling(factor, "bicubic")(plane[..., None])[..., 0]
    np.testing.assert_allclose(ours[2:-2, 2:-2], expected[2:-2, 2:-2], atol=1e-6)


@pytest.mark.parametrize("factor", FACTORS)
@pytest.mark.parametrize("operator", ["mean", "bicubic"])
def test_the_loss_sees_exactly_the_downsampled_field(factor, operator):
    task = problem(factor=factor, operator=operator, size=20)
    other = np.random.default_rng(1).random(task.picture.shape, np.float32)
    index = torch.randperm(task.elements)[:20]
    losses = task.loss(Lookup(other), task.batch(index))
    rows, columns = (
        imresize_matrix(size, factor)
        if operator == "bicubic"
        else np.kron(np.eye(size // factor), np.ones(factor) / factor)
        for size in (task.height, task.width)
    )
    difference = 2 * (np.einsum("ai,bj,ijc->abc", rows, columns, other) - task.coarse)
    expected = np.square(difference).mean(axis=-1).ravel()[index]
    np.testing.assert_allclose(losses, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("factor", FACTORS)
@pytest.mark.parametrize("operator", ["mean", "bicubic"])
def test_the_picture_itself_has_no_loss(factor, operator):
    task = problem(factor=factor, operator=operator)
    losses = task.loss(Lookup(task.picture), task.batch(slice(0, task.elements)))
    assert losses.shape == (task.elements,)
    assert losses.max() < 1e-11


@pytest.mark.parametrize("factor", FACTORS)
def test_without_an_operator_the_field_is_fitted_at_the_middle_of_coarse_pixels(factor):
    task = problem(factor=factor, operator="none", source="camera")
    batch = task.batch(slice(0, task.elements))
    row, column = ((batch["coords"].squeeze(1) + 1) / 2 * torch.tensor([task.height - 1, task.width - 1])).unbind(1)
    middles = np.stack(np.mgrid[: task.height // factor, : task.width // factor], -1).reshape(-1, 2) * factor
    expected = middles + (factor - 1) / 2
    np.testing.assert_allclose(torch.stack([row, column], 1), expected, atol=1e-3)
    np.testing.assert_array_equal(task.coarse, problem(factor=factor, source="camera").coarse)
    field = nn.Linear(2, 1)
    squared = (field(batch["coords"].squeeze(1)) - batch["values"]).square().mean(dim=1)
    torch.testing.assert_close(task.loss(field, batch), squared)


@pytest.mark.parametrize(
    ("operator", "factor", "points"),
    [
        ("mean", 2, 4),
        ("mean", 3, 9),
        ("mean", 4, 16),
        ("bicubic", 2, 64),
        ("bicubic", 3, 121),
        ("bicubic", 4, 256),
        ("none", 4, 1),
    ],
)
def test_points_of_an_element(operator, factor, points):
    task = problem(operator=operator, factor=factor)
    assert task.points_per_element == points
    assert task.batch(slice(0, 2))["coords"].shape == (2, points, 2)
    # One coarse pixel stands for factor^2 pixels of the regulariser, too.
    regular = problem(operator=operator, factor=factor, regulariser={"name": "tv", "weight": 1.0})
    assert regular.points_per_element == points + 3 * factor**2


@pytest.mark.parametrize("factor", FACTORS)
def test_footprints_of_the_mean_cover_every_fine_pixel_once(factor):
    task = problem(factor=factor)
    fine = task.downsampling.footprint(torch.arange(task.elements), task.height, task.width)
    assert torch.equal(fine.flatten().sort().values, torch.arange(task.pixels))


def test_the_regulariser_adds_the_total_variation_of_the_fine_picture():
    weight = 0.5
    task = problem(source="camera", size=16, regulariser={"name": "tv", "weight": weight})
    down, right = np.zeros((2, 16, 16))
    down[:-1], right[:, :-1] = np.diff(task.picture[..., 0], axis=0), np.diff(task.picture[..., 0], axis=1)
    loss = task.loss(Lookup(task.picture), task.batch(slice(0, task.elements))).mean().item()
    assert loss == pytest.approx(weight * np.hypot(down, right).mean(), rel=1e-3)


def test_no_fine_pixel_is_in_a_batch():
    task = problem()
    assert set(task.batch(slice(0, 3))) == {"coords", "values"}
    np.testing.assert_allclose(task.batch(slice(0, 3))["values"], task.coarse[0, :3] * 2 - 1, atol=1e-6)


def test_what_is_over_a_multiple_of_the_factor_is_cut_off():
    task = problem(factor=4)  # 33 x 50
    assert task.picture.shape == (32, 48, 3)
    assert (task.record["height"], task.record["width"]) == (32, 48)
    with pytest.raises(DataError, match="smaller than factor 4"):
        problem(size=3)


@pytest.mark.parametrize("factor", FACTORS)
def test_bicubic_is_keys_kernel_with_areas_aligned(factor):
    # Against the definition, in plain loops on one row.
    coarse = np.random.default_rng(0).random(9).astype(np.float32)

    fine = bicubic(np.repeat(coarse[None, :, None], 9, axis=0), factor)[4 * factor, :, 0]
    for position in range(3 * factor, 6 * factor):
        place = (position + 0.5) / factor - 0.5
        expected = sum(keys(place - sample) * coarse[sample] for sample in range(9))
        assert fine[position] == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("source", ["chelsea", "camera"])
def test_bicubic_beats_the_mean_and_nearest(source):
    task = problem(size=96, factor=2, source=source)
    scores = {name: task.baseline(name).metrics["psnr"] for name in ENTRY.baselines}
    coarse = torch.from_numpy(task.coarse).permute(2, 0, 1)[None]
    nearest = functional.interpolate(coarse, scale_factor=2)[0].permute(1, 2, 0).numpy()
    assert scores["back_projection"] > scores["lanczos"] > scores["bicubic"]
    assert scores["bicubic"] > task.measure(nearest)["psnr"] > scores["constant"]


@pytest.mark.parametrize("factor", FACTORS)
def test_lanczos_is_its_kernel_with_areas_aligned(factor):
    coarse = np.random.default_rng(0).random(13).astype(np.float32)
    fine = lanczos(np.repeat(coarse[None, :, None], 13, axis=0), factor)[6 * factor, :, 0]
    for position in range(5 * factor, 8 * factor):
        distance = (position + 0.5) / factor - 0.5 - np.arange(13)
        weights = np.where(np.abs(distance) < 3, np.sinc(distance) * np.sinc(distance / 3), 0.0)
        assert fine[position] == pytest.approx(weights @ coarse / weights.sum(), abs=1e-5)


@pytest.mark.parametrize("operator", ["mean", "bicubic"])
@pytest.mark.parametrize("factor", FACTORS)
def test_back_projection_gives_the_coarse_pixels_again(factor, operator):
    task = problem(factor=factor, operator=operator)
    fine = task.classical("back_projection")
    assert 0 <= fine.min() <= fine.max() <= 1
    assert np.abs(task.downsampling(fine) - task.coarse).max() <= TOLERANCE
    assert np.abs(task.downsampling(task.classical("bicubic")) - task.coarse).max() > 5 * TOLERANCE


def test_back_projection_converges_to_the_solution_of_its_equations(monkeypatch):
    # Nothing is cut off here, so that it ends at bicubic(c), c solving downsampling(bicubic(c)) = coarse.
    coarse = np.random.default_rng(0).uniform(0.4, 0.6, (4, 5, 1)).astype(np.float32)
    mean = Downsampling(4, "mean")
    units = np.eye(20, dtype=np.float32).reshape(20, 4, 5, 1)
    columns = np.stack([mean(bicubic(unit, 4)).ravel() for unit in units], axis=1)
    solution = np.linalg.solve(columns.astype(float), coarse.ravel()).astype(np.float32)
    monkeypatch.setattr(upsampling, "TOLERANCE", 1e-6)
    expected = bicubic(solution.reshape(4, 5, 1), 4)
    np.testing.assert_allclose(back_projection(coarse, mean), expected, atol=1e-5)


def test_back_projection_ends():
    # No picture in [0, 1] has these coarse pixels.
    fine = back_projection(np.full((3, 3, 1), 1.5, np.float32), Downsampling(2, "mean"))
    np.testing.assert_array_equal(fine, np.ones((6, 6, 1)))


def test_metrics_are_those_of_the_entry():
    task = problem()
    metrics = task.evaluate(Lookup(task.picture)).metrics
    assert list(metrics) == [metric.name for metric in ENTRY.metrics]
    assert min(metrics["psnr"], metrics["psnr_coarse"]) > 120


def test_the_perfect_field_is_the_fine_picture():
    task = problem(factor=4)
    coords = task.coords(10_000, SeedStreams(0))
    assert len(coords) == 32 * 48
    np.testing.assert_allclose(task.target(coords).reshape(task.picture.shape), task.picture * 2 - 1, atol=1e-6)
    values = from_field(task.target(coords), task.frame.fields["field"])
    np.testing.assert_allclose(values.reshape(task.picture.shape), 255 * task.picture, atol=1e-3)


def test_what_is_cut_off_is_missing_in_the_frame_too():
    # The picture of 300 x 451 is resized to 33 x 50, and 1 row and 2 columns of these are cut off.
    facts = problem(factor=4).frame.facts
    assert (facts["file_height"], facts["file_width"]) == (300, 451)
    assert (facts["crop_top"], facts["crop_left"]) == (0, 0)
    assert (facts["crop_height"], facts["crop_width"]) == pytest.approx((300 * 32 / 33, 451 * 48 / 50))


def test_a_stored_field_is_rendered_as_it_was_measured(stored_renderer):
    task, field = problem(), nn.Linear(2, 3)
    rendered = stored_renderer(ENTRY, task).render(field)
    expected = task.evaluate(field)
    np.testing.assert_array_equal(rendered.outputs["reconstruction"], expected.outputs["reconstruction"])
