"""`inrbench render` on a real picture, fitted for a few steps."""

import json

import h5py
import numpy as np
import pytest
from PIL import Image

SPEC = """
name: tiny
task: {name: image, source: camera, size: 24}
fields: [{name: mlp, activation: [relu, sine], width: 16}]
training: {steps: 10, compile: off}
seeds: [3]
executor: {name: local, jobs: 1}
"""


@pytest.fixture(scope="module")
def results(tmp_path_factory, run_cli):
    folder = tmp_path_factory.mktemp("render")
    (folder / "tiny.yaml").write_text(SPEC)
    done = run_cli("eval", "--spec", folder / "tiny.yaml", "--out", folder / "out", "--json")
    assert done.returncode == 0, done.stderr
    return folder / "out", json.loads(done.stdout)


def file_of(folder, label):
    index = json.loads((folder / "experiment.json").read_text())
    return folder / "runs" / (next(run["id"] for run in index["runs"] if run["label"] == label) + ".h5")


def test_the_best_field_of_a_folder_scores_what_the_table_says(results, run_cli, tmp_path):
    folder, data = results
    done = run_cli("render", folder, "--out", tmp_path)
    assert done.returncode == 0, done.stderr
    best = next(row for row in data["tasks"][0]["rows"] if not row["baseline"])
    assert f"image / {best['field']} / seed3: psnr {best['metrics']['psnr']['mean']:.6g}" in done.stdout
    with h5py.File(file_of(folder, best["field"])) as file:
        stored = file["outputs/reconstruction"][()]
    (arrays,) = tmp_path.glob("*.npz")
    assert np.allclose(np.load(arrays)["reconstruction"], stored, atol=1e-6)


def test_another_size_passes_through_the_same_corners(results, run_cli):
    folder, _ = results
    done = run_cli("render", file_of(folder, "sine"), "--size", 70)
    assert done.returncode == 0, done.stderr
    with Image.open(folder / "renders" / "image-sine-seed3-70.png") as picture:
        assert picture.size == (70, 70)
    large = np.load(folder / "renders" / "image-sine-seed3-70.npz")["reconstruction"]
    with h5py.File(file_of(folder, "sine")) as file:
        small = file["outputs/reconstruction"][()]
    assert np.allclose(large[[0, 0, -1, -1], [0, -1, 0, -1]], small[[0, 0, -1, -1], [0, -1, 0, -1]], atol=1e-5)


def test_a_run_is_rendered_wherever_its_file_lies(results, run_cli, tmp_path):
    folder, data = results
    file = file_of(folder, "sine")
    moved = tmp_path / "mine.h5"
    moved.write_bytes(file.read_bytes())
    done = run_cli("render", moved, "--json")
    assert done.returncode == 0, done.stderr
    (rendered,) = json.loads(done.stdout)["rendered"]
    row = next(row for row in data["tasks"][0]["rows"] if row["field"] == "sine")
    assert rendered["metrics"]["psnr"] == pytest.approx(row["metrics"]["psnr"]["mean"], rel=1e-6)
    assert rendered["metrics"]["psnr_held_out"] == pytest.approx(row["metrics"]["psnr_held_out"]["mean"], rel=1e-6)
    assert (tmp_path / "renders" / "image-sine-seed3.png").is_file()


def test_what_cannot_be_rendered_is_one_line(results, run_cli, tmp_path):
    folder, _ = results
    (tmp_path / "x.h5").write_text("no run")
    for arguments, message in [
        ((folder, "--field", "sin"), "no field 'sin'; did you mean 'sine'?"),
        ((file_of(folder, "constant"),), "is the baseline 'constant': it has no field"),
        ((tmp_path / "x.h5",), "not the file of a run"),
        ((tmp_path / "missing",), "no results here"),
        ((folder, "--device", "cuda:99"), "device 'cuda:99' is not available"),
        ((folder, "--device", "abacus"), "no device 'abacus'"),
    ]:
        done = run_cli("render", *arguments)
        assert done.returncode == 2
        assert message in done.stderr
        assert len(done.stderr.splitlines()) == 1


def test_changed_data_and_weights_that_do_not_fit_are_told(results, run_cli, tmp_path):
    folder, _ = results
    source = file_of(folder, "relu")
    runs = tmp_path / "runs"
    runs.mkdir()
    for name, change, message in [
        ("data", lambda data: data | {"licence": "another"}, "the task's data are others than then (licence changed)"),
        ("spec", lambda spec: spec | {"field": spec["field"] | {"width": 17}}, "its weights do not fit the model"),
    ]:
        target = runs / f"{name}.h5"
        target.write_bytes(source.read_bytes())
        with h5py.File(target, "a") as file:
            facts = json.loads(file[name].asstr()[()])
            del file[name]
            file[name] = json.dumps(change(facts))
        done = run_cli("render", target)
        assert done.returncode == 2
        assert message in done.stderr
