"""Folders in which nothing is wrong, and folders of which something cannot be checked."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from inrbench_core.plugins.catalog import Catalog
from inrbench_core.results.load import load_results
from inrbench_core.results.merging import every_run
from inrbench_core.results.verify.verify import verify
from inrbench_core.runs.runfile import encode
from inrbench_core.runs.store import RunStore

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
            {"name": "grid", "label": "grid", "points": 300},
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


@pytest.mark.parametrize(("data_seed", "of_baselines"), [("seed", {0, 1}), (3, {3})])
def test_data_of_other_seeds(
    evaluate: Any, catalog: Catalog, tmp_path: Path, data_seed: object, of_baselines: set[int]
) -> None:
    results = evaluate(tmp_path, tasks=[PICTURE], fields=[FIELD], data_seed=data_seed)
    assert {run.seed for run in results.runs if run.baseline} == of_baselines
    assert {run.seed for run in results.runs if not run.baseline} == {0, 1}
    report = verify(tmp_path, catalog, refit=1)
    assert report.findings == ()
    assert report.unchecked == ()
    assert report.recomputed == len({run.id for run in results.runs})


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
    assert ("spec", "training.lr is not that of the stored spec") in {(item.probe, item.what) for item in findings}
    assert {item.ids for item in findings if item.probe == "metrics"} == {(other.id,)}


def test_tuning_on_the_signals_of_the_table(
    evaluate: Any, carry_out_known: Any, catalog: Catalog, tmp_path: Path
) -> None:
    """The published options are tried, too: their trial has a seed that their own row does not have."""
    fields = [{**FIELD, "label": name, "activation": name} for name in ("sine", "relu", "tanh")]
    tuning = {"trials": 2, "over": {"training.lr": [1e-4, 1e-1, "log"]}}
    keys: dict[str, Any] = {"tasks": [PICTURE], "fields": fields, "tuning": tuning}
    for seeds in ([0], [0, 1, 2]):
        results = evaluate(tmp_path / "theirs", **keys, seeds=seeds)
        report = verify(tmp_path / "theirs", catalog)
        assert report.findings == ()
        assert report.notes == ()
        assert report.recomputed == report.runs == len({run.id for run in every_run(results)})
    results.export(tmp_path / "all.csv")
    carry_out_known(tmp_path / "known", tmp_path / "all.csv", **keys, seeds=[0, 1, 2])
    known = verify(tmp_path / "known", catalog)
    assert known.findings == ()
    assert known.runs == report.runs == sum(len(item.runs) for item in known.unchecked)


def test_exchanged_weights_of_trials(evaluate: Any, catalog: Catalog, tmp_path: Path) -> None:
    tuning = {"trials": 2, "over": {"training.lr": [1e-4, 1e-1, "log"]}, "seeds": [7]}
    results = evaluate(tmp_path, tasks=[PICTURE], fields=[FIELD], tuning=tuning)
    trials = [run for row in results.boards[0].rows for run in row.trials]
    arrays = [run.record.arrays for run in trials if run.record is not None]
    for run, own, other in zip(trials, arrays, reversed(arrays), strict=True):
        assert run.record is not None
        changed = replace(own, weights=other.weights)
        run.path.write_bytes(encode(replace(run.record, read_arrays=lambda changed=changed: changed)))
    findings = verify(tmp_path, catalog).findings
    assert {item.probe for item in findings} == {"weights"}
    assert {frozenset(item.ids) for item in findings} == {frozenset(run.id for run in trials)}


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


def test_progress_counts_what_is_computed_and_refitted(right_folder: Path, catalog: Catalog) -> None:
    """Baselines are computed again, but not fitted."""
    told: list[tuple[int, int]] = []
    report = verify(right_folder, catalog, refit=100, tell=lambda done, total, what: told.append((done, total)))
    assert 0 < report.refitted < report.recomputed
    assert told == [(done, len(told)) for done in range(report.recomputed + report.refitted)]


def test_refits_of_known_runs(folder: Any, carry_out_known: Any, catalog: Catalog, tmp_path: Path) -> None:
    """A table of somebody else, in which one figure is false."""
    false = folder.run("image", "sine")
    record = folder.record("image", "sine")
    folder.put(false, replace(record, metrics={**record.metrics, "psnr": record.metrics["psnr"] + 3.0}))
    load_results(folder.path).export(tmp_path / "all.csv")
    results = carry_out_known(tmp_path / "known", tmp_path / "all.csv")
    assert all(run.origin for run in results.runs)
    report = verify(tmp_path / "known", catalog, refit=3)
    assert (report.recomputed, report.refitted) == (0, 3)
    report = verify(tmp_path / "known", catalog, refit=100)
    fits = {run.id for run in results.runs if not run.baseline}
    assert report.refitted == len(fits)
    assert {(item.probe, item.ids, item.what) for item in report.findings} == {("refit", (false.id,), "psnr")}
    assert sum("bit-equal" in note for note in report.notes) == len(fits) - 1


def test_refit_of_a_known_run_of_a_user_file(
    evaluate: Any, carry_out_known: Any, catalog: Catalog, tmp_path: Path
) -> None:
    photo = tmp_path / "photo.png"
    Image.fromarray(np.arange(768, dtype=np.uint8).reshape(16, 16, 3)).save(photo)
    keys: dict[str, Any] = {"tasks": [{**PICTURE, "source": str(photo), "size": None}], "fields": [FIELD]}
    evaluate(tmp_path / "theirs", **keys).export(tmp_path / "all.csv")
    carry_out_known(tmp_path / "known", tmp_path / "all.csv", **keys)
    report = verify(tmp_path / "known", catalog, refit=1)
    assert report.refitted == 1
    assert report.findings == ()
    photo.unlink()
    report = verify(tmp_path / "known", catalog, refit=1)
    assert report.refitted == 0
    assert any("needs files of a user" in item.reason for item in report.unchecked)


def test_folder_that_is_being_written(right_folder: Path, catalog: Catalog, tmp_path: Path) -> None:
    path = tmp_path / "results"
    shutil.copytree(right_folder, path)
    with RunStore(path).lock():
        report = verify(path, catalog)
    assert report.findings == ()
    (note,) = report.notes
    assert note.startswith(f"process {os.getpid()} on ")
    assert "is writing into the folder" in note
    assert verify(path, catalog).notes == ()


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
    refitted = run_cli("verify", right_folder, "--refit", "1")
    assert refitted.stdout.endswith("runs computed again, 1 fitted again: nothing found\n")
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
