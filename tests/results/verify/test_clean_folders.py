"""Folders in which nothing is wrong, and folders of which something cannot be checked."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from inrbench_core.plugins.catalog import Catalog
from inrbench_core.results.load import load_results
from inrbench_core.results.verify.verify import verify
from inrbench_core.runs.runfile import encode

pytestmark = pytest.mark.slow
FIELD = {"name": "mlp", "label": "sine", "activation": "sine", "width": 8, "depth": 1}
PICTURE = {"name": "image", "source": "astronaut", "size": 16, "held_out": 0.25}


def test_sweep_that_grew(evaluate: Any, catalog: Catalog, tmp_path: Path) -> None:
    """Two tasks, several signals, a sweep over steps, skipped rows, a baseline field, a diverged run, a second seed."""
    keys: dict[str, Any] = {
        "tasks": [
            {"name": "image", "signals": ["camera", "astronaut"], "size": 16, "held_out": 0.25},
            {"name": "poisson", "given": "laplacian", "source": "camera", "size": 16},
        ],
        "fields": [
            FIELD,
            {"name": "mlp", "label": "relu", "activation": "relu", "width": 8, "depth": 1},
            {"name": "grid", "label": "grid", "width": 300},
            {**FIELD, "label": "diverges", "training": {"optimizer": "sgd", "lr": 1e9}},
        ],
        "training": {"lr": 2e-3, "evaluate_every": 10, "compile": "off"},
        "sweep": {"training.steps": [10, 20]},
    }
    evaluate(tmp_path, **keys, seeds=[0])
    results = evaluate(tmp_path, **keys, seeds=[0, 1])
    statuses = {run.status for run in results.runs}
    assert statuses == {"ok", "diverged"}
    assert any(row.skip for board in results.boards for row in board.rows)
    report = verify(tmp_path, catalog)
    assert report.findings == ()
    assert report.unchecked == ()
    assert report.recomputed == sum(run.status == "ok" for run in results.runs)


def test_tuned_rows(evaluate: Any, catalog: Catalog, tmp_path: Path) -> None:
    """Trials have seeds of their own, which are not left out; the choice has to be the one that they make."""
    tuning = {"trials": 3, "over": {"training.lr": [1e-4, 1e-1, "log"]}, "seeds": [7]}
    results = evaluate(tmp_path, tasks=[PICTURE], fields=[FIELD], tuning=tuning)
    row = next(row for row in results.boards[0].rows if row.trials)
    report = verify(tmp_path, catalog)
    assert report.findings == ()
    assert report.unchecked == ()
    chosen = {run.record.run["training"]["lr"] for run in row.runs if run.record is not None}
    other = next(run for run in row.trials if run.record is not None and run.record.run["training"]["lr"] not in chosen)
    assert other.record is not None
    arrays = other.record.arrays
    better = {name: value + 30.0 for name, value in other.record.metrics.items()}
    other.path.write_bytes(encode(replace(other.record, metrics=better, read_arrays=lambda: arrays)))
    findings = verify(tmp_path, catalog).findings
    assert {(item.probe, item.what) for item in findings} == {("spec", "training.lr is not that of the stored spec")}


def test_fits_in_which_nothing_is_random(evaluate: Any, catalog: Catalog, tmp_path: Path) -> None:
    """A field that starts at zero: two seeds give the same weights, which is right."""
    evaluate(tmp_path, tasks=[{**PICTURE, "held_out": 0.0}], fields=["plane"])
    runs = [run for run in load_results(tmp_path).runs if run.field == "plane"]
    first, second = (run.record.arrays.weights for run in runs if run.record is not None)
    assert all(np.array_equal(first[name], second[name]) for name in first)
    assert verify(tmp_path, catalog).findings == ()


def test_user_file_that_is_gone(evaluate: Any, catalog: Catalog, tmp_path: Path) -> None:
    photo = tmp_path / "photo.png"
    Image.fromarray(np.arange(768, dtype=np.uint8).reshape(16, 16, 3)).save(photo)
    folder = tmp_path / "results"
    evaluate(folder, tasks=[{**PICTURE, "source": str(photo), "size": None}], fields=[FIELD])
    assert verify(folder, catalog).unchecked == ()
    photo.unlink()
    report = verify(folder, catalog)
    assert report.findings == ()
    assert report.recomputed == 0
    assert all("photo.png" in item.reason for item in report.unchecked)


def test_plugin_that_is_not_installed(right_folder: Path, catalog: Catalog) -> None:
    kept = [item for item in catalog.registered if item.distribution != "inrbench-field-mlp"]
    report = verify(right_folder, Catalog(kept, [], catalog.manager))
    assert report.findings == ()
    assert 0 < report.recomputed < report.runs
    assert all("inrbench-field-mlp" in item.reason for item in report.unchecked)


def test_seeds_that_are_left_out_and_no_worse(evaluate: Any, catalog: Catalog, tmp_path: Path) -> None:
    keys: dict[str, Any] = {"tasks": [PICTURE], "fields": [FIELD]}
    results = evaluate(tmp_path, **keys, seeds=4)
    values = {run.seed: run.metrics["psnr_held_out"] for run in results.runs if not run.baseline}
    evaluate(tmp_path, **keys, seeds=sorted(values, key=lambda seed: values[seed])[:2])
    report = verify(tmp_path, catalog)
    assert report.findings == ()
    assert any("not in the table" in note for note in report.notes)


def test_refits_that_hold(right_folder: Path, catalog: Catalog, tmp_path: Path) -> None:
    report = verify(right_folder, catalog, refit=2, seed=1)
    assert report.findings == ()
    assert sum("bit-equal" in note for note in report.notes) == 2


def test_refit_of_a_leaked_fit(folder: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fitting again settles what a fit was trained on."""
    which = ("image", "sine", 0)
    more = {"training.steps": 150, "training.lr": 1e-2}
    honest = folder.fit(folder.record(*which), more)
    leaked = folder.fit_wrongly(monkeypatch, honest, {"held_out": 0.0})
    folder.put(folder.run(*which), leaked)
    report = folder.verify(refit=100)
    assert folder.run(*which).id in {run_id for item in report.findings if item.probe == "refit" for run_id in item.ids}


def test_command(right_folder: Path, tmp_path: Path, run_cli: Any) -> None:
    clean = run_cli("verify", right_folder)
    assert clean.returncode == 0, clean.stderr
    assert clean.stdout.endswith("runs computed again: nothing found\n")
    broken = tmp_path / "broken"
    shutil.copytree(right_folder, broken)
    file = next((broken / "runs").glob("*.h5"))
    file.write_bytes(file.read_bytes()[:-1])
    found = run_cli("verify", broken, "--json")
    assert found.returncode == 1

    content = json.loads(found.stdout)
    assert content["schema"] == "inrbench.verify/1"
    assert {"files", "missing-seed"} == {item["probe"] for item in content["findings"]}
    nothing = run_cli("verify", tmp_path / "nowhere")
    assert nothing.returncode == 2
    assert "Traceback" not in nothing.stderr
    assert len(nothing.stderr.splitlines()) == 1
