import numpy as np
import pytest
import torch
from inrbench_task_superresolution.downsampling import bicubic, downsample, footprint
from inrbench_task_superresolution.plugin import SuperresolutionSpec, inrbench_tasks
from inrbench_task_superresolution.problem import prepare
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


@pytest.mark.parametrize("factor", FACTORS)
def test_downsampling_agrees_with_others(factor):
    picture = np.random.default_rng(0).random((12, 24, 3), np.float32)
    ours = downsample(picture, factor)
    np.testing.assert_allclose(ours, downscale_local_mean(picture, (factor, factor, 1)), atol=1e-6)
    # scipy's box filter, sampled at the middle of each block.
    middle = factor // 2
    blurred = uniform_filter(picture, (factor, factor, 0), origin=0)[middle::factor, middle::factor]
    np.testing.assert_allclose(ours, blurred, atol=1e-6)


@pytest.mark.parametrize("factor", FACTORS)
def test_the_loss_sees_exactly_the_downsampled_field(factor):
    task = problem(factor=factor)
    other = np.random.default_rng(1).random(task.picture.shape, np.float32)
    index = torch.randperm(task.elements)[:40]
    losses = task.loss(Lookup(other), task.batch(index))
    difference = 2 * (downscale_local_mean(other, (factor, factor, 1)) - task.coarse)
    expected = np.square(difference).mean(axis=-1).ravel()[index]
    np.testing.assert_allclose(losses, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("factor", FACTORS)
def test_the_picture_itself_has_no_loss(factor):
    task = problem(factor=factor)
    losses = task.loss(Lookup(task.picture), task.batch(slice(0, task.elements)))
    assert losses.shape == (task.elements,)
    assert losses.max() < 1e-11


@pytest.mark.parametrize("factor", FACTORS)
def test_footprints_cover_every_fine_pixel_once(factor):
    task = problem(factor=factor)
    fine = footprint(torch.arange(task.elements), factor, task.width // factor)
    assert fine.shape == (task.elements, task.points_per_element)
    assert torch.equal(fine.flatten().sort().values, torch.arange(task.pixels))


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

    def keys(t):
        t, a = abs(t), -0.5
        if t < 1:
            return (a + 2) * t**3 - (a + 3) * t**2 + 1
        return a * (t**3 - 5 * t**2 + 8 * t - 4) if t < 2 else 0.0

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
    assert scores["bicubic"] > task.measure(nearest)["psnr"] > scores["constant"]


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
