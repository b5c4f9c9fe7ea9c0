"""load_field: a fitted field in the user's units, without the user's file and the task's plugin."""

import os
import subprocess
import sys
import textwrap

import numpy as np
import pytest
import torch
from PIL import Image

import inrbench_core as inr
from inrbench_core.api.errors import InrbenchError

SPEC = {
    "name": "photo",
    "task": {"name": "image", "source": "PHOTO", "held_out": 0.1},
    "fields": [
        {"name": "mlp", "activation": "sine", "width": 16, "depth": 2, "training": {"lr": 5e-3}},
        {"name": "mlp", "activation": "relu", "width": {"parameters": 540}, "label": "budget"},
    ],
    "training": {"steps": 150, "evaluate_every": 0, "compile": "off", "lr": 1e-2},
    "executor": {"name": "local", "jobs": 1},
    "device": "cpu",
}
HEIGHT, WIDTH = 12, 17
ONLY_FIELDS = "inrbench-field-mlp,inrbench-activation-periodic,inrbench-encoding-fourier"


def picture():
    """Smooth colours that use all of 0 to 255, wider than high, so that axes and channels cannot be mixed up."""
    row, column = np.mgrid[0:HEIGHT, 0:WIDTH]
    red, green = 255 * row / (HEIGHT - 1), 255 * column / (WIDTH - 1)
    return np.stack([red, green, 0.5 * (red + green)], axis=-1).round().astype(np.uint8)


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """Fields fitted to a png that is gone afterwards."""
    folder = tmp_path_factory.mktemp("photo")
    photo = folder / "photo.png"
    Image.fromarray(picture()).save(photo)
    spec = {**SPEC, "task": {**SPEC["task"], "source": str(photo)}}
    found = inr.evaluate(spec, out=folder / "out")
    assert {run.status for run in found.runs} == {"ok"}
    photo.unlink()
    return found


@pytest.fixture(scope="module")
def files(results):
    return {run.field: run.path for run in results.runs}


def pixel_coords():
    return np.stack(np.mgrid[0:HEIGHT, 0:WIDTH], axis=-1).reshape(-1, 2)


@pytest.mark.parametrize("label", ["sine", "budget"])
def test_at_the_pixels_it_gives_the_stored_reconstruction_in_the_units_of_the_file(files, label):
    field = inr.load_field(files[label])
    stored = field.record.arrays.outputs["reconstruction"].reshape(-1, 3)
    values = field(pixel_coords())
    assert values.dtype == np.float32
    # What is kept lies within what a png holds.
    np.testing.assert_allclose(np.clip(values, 0, 255), stored, atol=0.02)
    assert stored.max() > 150
    assert np.abs(values - picture().reshape(-1, 3)).mean() < 40
    assert [(axis.name, axis.unit) for axis in field.frame.fields["field"].coords] == [("row", "px"), ("column", "px")]


def test_without_the_tasks_plugin_and_without_the_photo_it_gives_the_same(files):
    expected = inr.load_field(files["sine"])(pixel_coords())
    script = textwrap.dedent(f"""
        import sys
        import numpy as np
        import inrbench_core as inr
        coords = np.stack(np.mgrid[0:{HEIGHT}, 0:{WIDTH}], axis=-1).reshape(-1, 2)
        np.save("values.npy", inr.load_field({str(files["sine"])!r})(coords))
        assert "inrbench_task_image" not in sys.modules
    """)
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=files["sine"].parent,
        # Other tasks' plugins import that of images.
        env={**os.environ, "INRBENCH_PLUGINS": ONLY_FIELDS, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    np.testing.assert_allclose(np.load(files["sine"].parent / "values.npy"), expected, rtol=1e-5, atol=1e-3)


def test_torch_in_gives_torch_out_and_a_point_gives_a_value(files):
    field = inr.load_field(files["sine"])
    coords = pixel_coords()
    as_numpy = field(coords)
    as_torch = field(torch.as_tensor(coords))
    assert isinstance(as_torch, torch.Tensor)
    np.testing.assert_array_equal(as_torch.numpy(), as_numpy)
    np.testing.assert_allclose(field(coords[5]), as_numpy[5], rtol=1e-5, atol=1e-3)
    np.testing.assert_allclose(field(coords[5].tolist()), as_numpy[5], rtol=1e-5, atol=1e-3)
    assert field(np.zeros((0, 2))).shape == (0, 3)


def test_the_model_is_the_module_in_eval_mode_over_minus_one_to_one(files):
    field = inr.load_field(files["sine"])
    assert not field.model.training
    points = np.array([[0, WIDTH - 1], [HEIGHT - 1, 0], [3.5, 4.25]])
    scaled = 2 * points / (HEIGHT - 1, WIDTH - 1) - 1
    with torch.no_grad():
        values = field.model(torch.tensor(scaled, dtype=torch.float32))
    np.testing.assert_allclose((values.numpy() + 1) * 127.5, field(points), atol=1e-2)


def test_wrong_coordinates_are_told_with_the_names_of_the_axes(files):
    field = inr.load_field(files["sine"])
    with pytest.raises(InrbenchError, match=r"expected coordinates \(N, 2\): row, column; got shape \(4, 3\)"):
        field(np.zeros((4, 3)))
    with pytest.raises(InrbenchError, match=r"which field\? Give name=, one of field"):
        field(np.zeros((4, 2)), name="imag")
    assert repr(field) == "<FittedField field(row, column) -> red, green, blue>"


def test_a_run_that_was_copied_elsewhere_under_its_name_is_as_good(files, tmp_path):
    source = files["sine"]
    copy = tmp_path / source.name
    copy.write_bytes(source.read_bytes())
    coords = pixel_coords()[:5]
    np.testing.assert_array_equal(inr.load_field(copy)(coords), inr.load_field(source)(coords))
    other = tmp_path / "mine.h5"
    other.write_bytes(source.read_bytes())
    with pytest.raises(InrbenchError, match=rf"mine\.h5: it holds the run {source.stem}, not the one of its name"):
        inr.load_field(other)


def test_what_is_no_fitted_field_is_one_clear_line(files, tmp_path):
    with pytest.raises(InrbenchError, match=r"is the baseline 'constant': it has no field"):
        inr.load_field(files["constant"])
    with pytest.raises(InrbenchError, match=r"nothing\.h5: no such file"):
        inr.load_field(tmp_path / "nothing.h5")
    (tmp_path / "text.h5").write_text("text")
    with pytest.raises(InrbenchError, match=r"text\.h5: not a run file"):
        inr.load_field(tmp_path / "text.h5")


def test_components_that_are_not_installed_and_code_that_changed_are_told(results, files, monkeypatch):
    monkeypatch.setenv("INRBENCH_DISABLE", "inrbench-activation-periodic")
    with pytest.raises(InrbenchError, match=r"run sine on image: .*inrbench-activation-periodic, which is not loaded"):
        inr.load_field(files["sine"])
    monkeypatch.undo()
    record = inr.load_field(files["sine"]).record
    changed = {**record.run["code"], "inrbench-field-mlp": "0" * 16}
    monkeypatch.setattr("inrbench_core.plugins.fingerprints.Fingerprints.of", lambda self, components: changed)
    # As in a new process.
    monkeypatch.setattr("inrbench_core.plugins.fingerprints._imported", {})
    with pytest.warns(UserWarning, match="the code of inrbench-field-mlp is not what it was when this field was"):
        inr.load_field(files["sine"])
