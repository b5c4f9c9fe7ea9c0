"""`inrbench render` on pictures, fitted for a few steps: without the user's file, and without the task's plugin."""

import json

import h5py
import numpy as np
import pytest
from PIL import Image

from inrbench_core.runs.runfile import encode, read_file
from inrbench_core.runs.store import replace_file

SPEC = """
name: tiny
task: {name: image, source: camera, size: 24}
fields: [{name: mlp, activation: [relu, sine], width: 16}]
training: {steps: 10, compile: off}
seeds: [3]
executor: {name: local, jobs: 1}
"""
PHOTO_SPEC = SPEC.replace("source: camera, size: 24", "source: photo.png").replace("tiny", "photo")
ONLY_FIELDS = "inrbench-field-mlp,inrbench-activation-periodic,inrbench-activation-classic,inrbench-encoding-fourier"


@pytest.fixture(scope="module")
def results(tmp_path_factory, run_cli):
    folder = tmp_path_factory.mktemp("render")
    (folder / "tiny.yaml").write_text(SPEC)
    done = run_cli("eval", "--spec", folder / "tiny.yaml", "--out", folder / "out", "--json")
    assert done.returncode == 0, done.stderr
    return folder / "out", json.loads(done.stdout)


@pytest.fixture(scope="module")
def photo(tmp_path_factory, run_cli):
    """The file of a field that was fitted to a png of 12 x 20 pixels, which is gone."""
    folder = tmp_path_factory.mktemp("photo")
    (folder / "photo.yaml").write_text(PHOTO_SPEC)
    pixels = np.random.default_rng(0).integers(0, 256, (12, 20, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(folder / "photo.png")
    done = run_cli("eval", "--spec", "photo.yaml", "--json", cwd=folder)
    assert done.returncode == 0, done.stderr
    (folder / "photo.png").unlink()
    return file_of(folder / "results/photo", json.loads(done.stdout), "sine")


def file_of(folder, data, label):
    row = next(row for row in data["tasks"][0]["rows"] if row["field"] == label)
    return folder / "runs" / f"{row['runs'][0]}.h5"


def test_the_best_field_of_a_folder_scores_what_the_table_says(results, run_cli, tmp_path):
    folder, data = results
    done = run_cli("render", folder, "--out", tmp_path)
    assert done.returncode == 0, done.stderr
    (best,) = [row for row in data["tasks"][0]["rows"] if row["rank"] == 1]
    title = f"image / camera / {best['field']} / seed3: "
    (line,) = [line for line in done.stdout.splitlines() if line.startswith(title)]
    assert f"psnr {best['metrics']['psnr']['mean']:.6g}" in line
    assert f"psnr_held_out {best['metrics']['psnr_held_out']['mean']:.6g}" in line
    with h5py.File(file_of(folder, data, best["field"])) as file:
        stored = file["outputs/reconstruction"][()]
    (arrays,) = tmp_path.glob("*.npz")
    assert np.allclose(np.load(arrays)["reconstruction"], stored, atol=1e-3)


def test_a_field_without_a_rank_is_not_the_best_one(run_cli, tmp_path):
    """Of two seeds of the better field one is missing."""
    (tmp_path / "two.yaml").write_text(SPEC.replace("[3]", "[3, 4]"))
    done = run_cli("eval", "--spec", "two.yaml", "--out", "two", "--json", cwd=tmp_path)
    rows = {row["rank"]: row for row in json.loads(done.stdout)["tasks"][0]["rows"]}
    (tmp_path / "two" / "runs" / f"{rows[1]['runs'][1]}.h5").unlink()
    shown = json.loads(run_cli("results", "two", "--json", cwd=tmp_path).stdout)["tasks"][0]["rows"]
    assert [row["field"] for row in shown if row["rank"] == 1] == [rows[2]["field"]]
    done = run_cli("render", "two", "--json", cwd=tmp_path)
    (rendered,) = json.loads(done.stdout)["rendered"]
    assert f" / {rows[2]['field']} / " in rendered["title"]


def test_another_size_passes_through_the_same_corners(results, run_cli):
    folder, data = results
    file = file_of(folder, data, "sine")
    done = run_cli("render", file, "--size", 70)
    assert done.returncode == 0, done.stderr
    with Image.open(folder / "renders" / "image-camera-sine-seed3-70.png") as picture:
        assert picture.size == (70, 70)
    large = np.load(folder / "renders" / "image-camera-sine-seed3-70.npz")["reconstruction"]
    with h5py.File(file) as opened:
        small = opened["outputs/reconstruction"][()]
    assert np.allclose(large[[0, 0, -1, -1], [0, -1, 0, -1]], small[[0, 0, -1, -1], [0, -1, 0, -1]], atol=1e-2)


def test_a_run_is_rendered_wherever_its_file_lies(results, run_cli, tmp_path):
    folder, data = results
    file = file_of(folder, data, "sine")
    moved = tmp_path / file.name
    moved.write_bytes(file.read_bytes())
    done = run_cli("render", moved, "--json")
    assert done.returncode == 0, done.stderr
    (rendered,) = json.loads(done.stdout)["rendered"]
    row = next(row for row in data["tasks"][0]["rows"] if row["field"] == "sine")
    assert rendered["metrics"]["psnr"] == pytest.approx(row["metrics"]["psnr"]["mean"], rel=1e-6)
    assert rendered["metrics"]["psnr_held_out"] == pytest.approx(row["metrics"]["psnr_held_out"]["mean"], rel=1e-6)
    assert (tmp_path / "renders" / "image-camera-sine-seed3.png").is_file()


def test_with_the_photo_gone_it_is_rendered_as_it_was_and_at_any_size(photo, run_cli, tmp_path):
    stored = read_file(photo).arrays
    done = run_cli("render", photo, "--out", tmp_path)
    assert done.returncode == 0, done.stderr
    with Image.open(tmp_path / "image-photo.png-sine-seed3.png") as picture:
        assert np.abs(np.asarray(picture, float) - stored.preview).max() <= 1
    done = run_cli("render", photo, "--size", 50, "--out", tmp_path)
    assert done.returncode == 0, done.stderr
    with Image.open(tmp_path / "image-photo.png-sine-seed3-50.png") as picture:
        assert picture.size == (50, 30)


def test_without_the_tasks_plugin_there_are_arrays_in_the_users_units_and_no_picture(photo, run_cli, tmp_path):
    done = run_cli("render", photo, "--out", tmp_path, env={"INRBENCH_PLUGINS": ONLY_FIELDS})
    assert done.returncode == 0, done.stderr
    (file,) = tmp_path.iterdir()
    assert file.name == "image-photo.png-sine-seed3.npz"
    (values,) = np.load(file).values()
    stored = read_file(photo).arrays.outputs["reconstruction"]
    assert values.shape == stored.shape == (12, 20, 3)
    np.testing.assert_allclose(np.clip(values, 0, 255), stored, atol=0.02)
    assert values.max() > 100


def test_what_cannot_be_rendered_is_one_line(results, run_cli, tmp_path):
    folder, data = results
    (tmp_path / "x.h5").write_text("no run")
    for arguments, message in [
        ((folder, "--field", "sin"), "no field 'sin'; did you mean 'sine'?"),
        ((file_of(folder, data, "constant"),), "is the baseline 'constant': it has no field"),
        ((tmp_path / "x.h5",), "x.h5: not a run file, or damaged or cut off"),
        ((tmp_path / "missing",), "missing: no such file"),
        ((tmp_path,), "no results here"),
        ((folder, "--device", "cuda:99"), "device 'cuda:99' is not available"),
        ((folder, "--device", "abacus"), "no device 'abacus'"),
    ]:
        done = run_cli("render", *arguments)
        assert done.returncode == 2
        assert message in done.stderr
        assert len(done.stderr.splitlines()) == 1


FAULTY = """
import os

from inrbench_core import Metric, TaskEntry, hookimpl
from small_plugin import LineSpec


@hookimpl
def inrbench_tasks():
    yield TaskEntry(
        "drawn",
        LineSpec,
        "small_plugin_torch:prepare",
        metrics=(Metric("psnr", "dB"), Metric("mae", higher_is_better=False)),
        renderer="faulty_plugin:Faulty",
        api=1,
    )


class Faulty:
    def __init__(self, frame, device):
        self.fail("init")

    def render(self, model, size):
        self.fail("render")

    def save(self, evaluation, folder, stem):
        self.fail("save")

    def fail(self, place):
        if os.environ["FAULT"] == place:
            raise ValueError(f"first line of {place}\\nsecond line")
"""


def test_a_renderer_that_raises_is_one_line_that_names_its_plugin(run_cli, tmp_path, plugin):
    file = tmp_path / "faulty_plugin.py"
    file.write_text(FAULTY)
    text = "{name: x, task: drawn, fields: [shallow], training: {steps: 2, compile: off}, executor: inline}"
    (tmp_path / "x.yaml").write_text(text)
    options = (*plugin, "--plugin-file", file)
    done = run_cli("eval", "--spec", "x.yaml", *options, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    for place in ("init", "render", "save"):
        done = run_cli("render", "results/x", *options, cwd=tmp_path, env={"FAULT": place})
        assert done.returncode == 2
        assert done.stderr == (
            "inrbench: the renderer of the task 'drawn' of faulty_plugin.py raised "
            f"ValueError: first line of {place} second line\n"
        )
        assert done.stdout == ""


def test_weights_that_do_not_fit_are_told(results, run_cli, tmp_path):
    """Weights of another shape, as after a change of the plugin, in a file that is whole."""
    folder, data = results
    source = file_of(folder, data, "relu")
    record = read_file(source)
    arrays = record.arrays
    first = next(iter(arrays.weights))
    broken = type(arrays)(weights={**arrays.weights, first: np.zeros((3, 3), np.float32)}, outputs=arrays.outputs)
    target = tmp_path / source.name
    replace_file(target, encode(type(record).from_facts(record.facts(), lambda: broken)))
    done = run_cli("render", target)
    assert done.returncode == 2
    assert "its weights do not fit the model that the installed plugins build" in done.stderr
    assert len(done.stderr.splitlines()) == 1
