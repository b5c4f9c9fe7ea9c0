"""The user's units, the truth at any place, and pictures of stored fields."""

import itertools

import numpy as np
import pytest
import tifffile
import torch
from inrbench_task_image import pictures
from inrbench_task_image.plugin import ImageSpec, inrbench_tasks
from inrbench_task_image.problem import prepare
from PIL import Image
from torch import nn

from inrbench_core import SeedStreams, grid_coords
from inrbench_core.api.problem import from_field, to_field

(ENTRY,) = inrbench_tasks()
RNG = np.random.default_rng(0)
FILES = {
    "grey.png": RNG.integers(0, 256, (5, 7), np.uint8),
    "colour.png": RNG.integers(0, 256, (5, 7, 3), np.uint8),
    "deep.tif": RNG.integers(0, 65_536, (5, 7, 3), np.uint16),
    "signed.tif": RNG.integers(-900, 900, (5, 7), np.int16),
    "floats.tif": RNG.uniform(-10, 30, (5, 7)).astype(np.float32),
    "column.png": RNG.integers(0, 256, (6, 1), np.uint8),
    "pixel.png": np.array([[77]], np.uint8),
}


def problem(path, **options):
    return prepare(ImageSpec(source=str(path), **options), device=torch.device("cpu"), seeds=SeedStreams(0))


def write(path):
    raw = FILES[path.name]
    if path.suffix == ".png":
        Image.fromarray(raw).save(path)
    else:
        tifffile.imwrite(path, raw, photometric="rgb" if raw.ndim == 3 else "minisblack")
    return path, raw.reshape(*raw.shape[:2], -1)


@pytest.mark.parametrize("name", FILES)
def test_a_pixel_of_the_true_field_has_the_value_of_the_file(tmp_path, name):
    path, raw = write(tmp_path / name)
    task = problem(path)
    (frame,) = task.frame.fields.values()
    assert [(axis.name, axis.unit, axis.low, axis.high) for axis in frame.coords] == [
        ("row", "px", 0, raw.shape[0] - 1),
        ("column", "px", 0, raw.shape[1] - 1),
    ]
    assert [value.name for value in frame.values] == (["grey"] if raw.shape[2] == 1 else ["red", "green", "blue"])
    pixels = torch.tensor(list(np.ndindex(raw.shape[:2])), dtype=torch.float32)
    values = from_field(task.target(to_field(pixels, frame)), frame)
    spread = max(frame.values[0].high - frame.values[0].low, 1.0)
    np.testing.assert_allclose(values.reshape(raw.shape), raw, atol=1e-6 * spread)


def test_the_facts_say_where_in_the_file_a_pixel_lies(tmp_path):
    # Each pixel holds its own row, which cropping and resizing keep, but at the border.
    tifffile.imwrite(tmp_path / "rows.tif", np.repeat(np.arange(200.0, dtype=np.float32)[:, None], 50, axis=1))
    task = problem(tmp_path / "rows.tif", crop=[40, 10, 100, 40], size=[25, 10])
    facts = task.frame.facts
    assert (facts["file_height"], facts["file_width"], facts["crop_left"], facts["crop_width"]) == (200, 50, 10, 40)
    row = np.arange(25)
    expected = facts["crop_top"] + (row + 0.5) * facts["crop_height"] / 25 - 0.5
    pixels = torch.tensor(np.stack([row, np.full(25, 5)], axis=1), dtype=torch.float32)
    frame = task.frame.fields["field"]
    found = from_field(task.target(to_field(pixels, frame)), frame)[:, 0]
    np.testing.assert_allclose(found[3:-3], expected[3:-3], atol=0.01)


def test_between_the_pixels_the_target_is_that_of_the_nearest(tmp_path):
    path, raw = write(tmp_path / "colour.png")
    task = problem(path)
    coords = torch.rand(300, 2, generator=torch.Generator().manual_seed(0)) * 2.2 - 1.1
    centres = grid_coords((5, 7))
    # Nearest in pixels: rows and columns are not equally far apart in coordinates.
    distance = ((coords[:, None] - centres) * torch.tensor([4.0, 6.0])).square().sum(dim=2)
    expected = raw.reshape(-1, 3)[distance.argmin(dim=1)] / 127.5 - 1
    np.testing.assert_allclose(task.target(coords), expected, atol=1e-6)


def test_analyses_get_a_grid_and_its_truth(tmp_path):
    task = problem(write(tmp_path / "colour.png")[0])
    coords = task.coords(1000, SeedStreams(0))
    assert torch.equal(coords, grid_coords((5, 7)))
    np.testing.assert_allclose(task.target(coords).reshape(5, 7, 3), task.picture * 2 - 1, atol=1e-6)
    assert len(task.coords(12, SeedStreams(0))) <= 12


@pytest.mark.parametrize("name", FILES)
def test_a_stored_field_is_rendered_without_the_file(tmp_path, name, stored_renderer):
    path, raw = write(tmp_path / name)
    task, field = problem(path), nn.Linear(2, raw.shape[2])
    (frame,) = task.frame.fields.values()
    evaluation, renderer = task.evaluate(field), stored_renderer(ENTRY, task)
    path.unlink()
    rendered = renderer.render(field)
    values = from_field(field(grid_coords(raw.shape[:2])).detach().clamp(-1, 1), frame).reshape(raw.shape)
    spread = frame.values[0].high - frame.values[0].low
    np.testing.assert_allclose(rendered.outputs["reconstruction"], values, atol=1e-6 * spread)
    np.testing.assert_array_equal(rendered.outputs["reconstruction"], evaluation.outputs["reconstruction"])
    np.testing.assert_array_equal(rendered.preview, evaluation.preview)
    assert [file.name for file in renderer.save(rendered, tmp_path, "it")] == ["it.png", "it.npz"]
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "it.png")), rendered.preview)


def test_render_keeps_the_aspect_and_the_corners(stored_renderer):
    task = problem("chelsea", size=24)
    field, renderer = nn.Linear(2, 3), stored_renderer(ENTRY, task)
    small, large = (renderer.render(field, size).outputs["reconstruction"] for size in (None, 47))
    assert (small.shape, large.shape) == ((16, 24, 3), (31, 47, 3))
    for corner in itertools.product((0, -1), repeat=2):
        np.testing.assert_allclose(small[corner], large[corner], atol=1e-3)


def test_the_error_is_in_the_files_values(tmp_path):
    path, raw = write(tmp_path / "signed.tif")
    task = problem(path)
    outputs = task.evaluate(nn.Linear(2, 1)).outputs
    np.testing.assert_allclose(outputs["error"], np.abs(outputs["reconstruction"] - raw)[..., 0], atol=0.01)


def test_a_picture_is_decoded_once(tmp_path, monkeypatch, empty_cache):
    path, _ = write(tmp_path / "colour.png")
    options = {"crop": "square", "size": 4, "mode": "grey"}
    first = problem(path, **options)

    def decode(*_):
        raise AssertionError("decoded again")

    monkeypatch.setattr(pictures, "read_picture", decode)
    again = problem(path, **options)
    np.testing.assert_array_equal(first.picture, again.picture)
    assert again.record == first.record
    assert again.frame == first.frame
    path.rename(tmp_path / "moved.png")
    assert problem(tmp_path / "moved.png", **options).record["source"].endswith("moved.png")
    for change in ({"crop": [0, 0, 4, 4]}, {"size": 3}, {"mode": "colour"}):
        with pytest.raises(AssertionError, match="decoded again"):
            problem(tmp_path / "moved.png", **{**options, **change})
    Image.fromarray(255 - FILES["colour.png"]).save(tmp_path / "moved.png")
    with pytest.raises(AssertionError, match="decoded again"):
        problem(tmp_path / "moved.png", **options)
