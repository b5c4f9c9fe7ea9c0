"""Twelve defects, each planted into files that are valid otherwise: the probe named for it finds it, and no other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from inrbench_core.plugins.catalog import Catalog
from inrbench_core.results.load import load_results
from inrbench_core.results.verify.report import Report
from inrbench_core.results.verify.verify import verify
from inrbench_core.runs.record import RunRecord

# Each verifies a folder of 30 runs.
pytestmark = pytest.mark.slow
SINE = ("image", "sine", 0)
RELU = ("image", "relu", 0)


def probes(report: Report) -> set[str]:
    return {finding.probe for finding in report.findings}


def with_run(record: RunRecord, **keys: Any) -> RunRecord:
    return replace(record, run={**record.run, **keys})


def with_arrays(record: RunRecord, **arrays: Mapping[str, Any]) -> RunRecord:
    changed = replace(record.arrays, **arrays)
    return replace(record, read_arrays=lambda: changed)


def test_clean_folder(folder: Any) -> None:
    report = folder.verify()
    assert report.findings == ()
    assert report.unchecked == ()
    assert report.recomputed == report.runs > 0


def test_wrong_metric(folder: Any) -> None:
    record = folder.record(*SINE)
    better = {**record.metrics, "psnr_held_out": record.metrics["psnr_held_out"] + 0.1}
    folder.put(folder.run(*SINE), replace(record, metrics=better))
    (found,) = folder.verify().findings
    assert found.probe == "metrics"
    assert found.what == "psnr_held_out"
    assert found.ids == (folder.run(*SINE).id,)
    assert found.stored == better["psnr_held_out"]
    assert found.found == pytest.approx(record.metrics["psnr_held_out"], abs=1e-6)


def test_wrong_metric_of_a_baseline(folder: Any) -> None:
    run = folder.run("image", "constant")
    record = folder.record("image", "constant")
    folder.put(run, replace(record, metrics={**record.metrics, "psnr": record.metrics["psnr"] - 1.0}))
    assert probes(folder.verify()) == {"metrics"}


def test_swapped_weights(folder: Any) -> None:
    runs = [folder.run("image", "sine", seed) for seed in (0, 1)]
    records = [folder.record("image", "sine", seed) for seed in (0, 1)]
    for run, record, other in zip(runs, records, reversed(records), strict=True):
        folder.put(run, with_arrays(record, weights=other.arrays.weights))
    report = folder.verify()
    assert probes(report) == {"weights"}
    assert {finding.ids for finding in report.findings} == {
        (runs[0].id, runs[1].id),
        (runs[1].id, runs[0].id),
    }


@pytest.mark.parametrize("which", [SINE, RELU], ids=["overfit", "smooth"])
def test_leaked_held_out_pixels(folder: Any, monkeypatch: pytest.MonkeyPatch, which: Any) -> None:
    leaked = folder.fit_wrongly(monkeypatch, folder.record(*which), {"held_out": 0.0})
    folder.put(folder.run(*which), leaked)
    (found,) = folder.verify().findings
    assert found.probe == "held-out"
    assert found.ids == (folder.run(*which).id,)


def test_other_data_filed_under_a_name(folder: Any) -> None:
    """The whole result of one picture as that of another, as after a file was replaced."""
    record, other = folder.record(*SINE), folder.record("image", "sine", 0, "coffee")
    folder.put(folder.run(*SINE), replace(other, run=record.run))
    assert probes(folder.verify()) == {"data"}


def test_other_data_measured_on_the_right_ones(folder: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """All figures follow from the weights; only these come from another picture."""
    fitted = folder.fit_wrongly(monkeypatch, folder.record(*SINE), {"source": "coffee"})
    folder.put(folder.run(*SINE), fitted)
    assert probes(folder.verify()) == {"data"}


def test_data_of_another_data_seed(folder: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Other pixels are held out."""
    fitted = folder.fit_wrongly(monkeypatch, folder.record(*SINE), {}, data_seed=1)
    folder.put(folder.run(*SINE), fitted)
    assert probes(folder.verify()) == {"data"}


def test_another_data_seed_than_the_spec_says(folder: Any) -> None:
    folder.put(folder.run(*SINE), folder.fit(folder.record(*SINE), {"data_seed": 1}))
    (found,) = folder.verify().findings
    assert (found.probe, found.ids) == ("spec", (folder.run(*SINE).id,))
    assert "its data seed" in found.what


def test_other_code(folder: Any) -> None:
    record = folder.record(*RELU)
    code = {**record.run["code"], "inrbench-field-mlp": "0123456789abcdef"}
    folder.put(folder.run(*RELU), with_run(record, code=code))
    report = folder.verify()
    (found,) = report.findings
    assert found.probe == "code"
    assert "inrbench-field-mlp" in found.what
    assert any("inrbench-field-mlp" in note for note in report.notes)


def test_other_code_in_the_whole_table_is_a_note(folder: Any) -> None:
    for run in list(load_results(folder.path).runs):
        record = run.record
        arrays = record.arrays
        changed = with_run(record, code={**record.run["code"], "inrbench": "0123456789abcdef"})
        folder.put(run, replace(changed, read_arrays=lambda arrays=arrays: arrays))
    report = folder.verify()
    assert report.findings == ()
    assert report.notes == ("the code of inrbench is not what it was when these runs were made",)


def test_seed_used_twice(folder: Any) -> None:
    record = folder.record("whole", "sine", 0)
    folder.put(folder.run("whole", "sine", 1), with_run(record, seed=1))
    (found,) = folder.verify().findings
    assert found.probe == "seed-used-twice"
    assert set(found.ids) == {folder.run("whole", "sine", seed).id for seed in (0, 1)}


def test_unequal_budget_of_parameters(folder: Any) -> None:
    record = folder.record(*SINE)
    wide = folder.fit(record, {"field.width": 40})
    folder.put(folder.run(*SINE), replace(wide, run=record.run, width=40))
    assert probes(folder.verify()) == {"budget"}


@pytest.mark.parametrize("whole_row", [False, True], ids=["one run", "the row"])
def test_unequal_budget_of_samples(folder: Any, whole_row: bool) -> None:
    for seed in (0, 1) if whole_row else (0,):
        for signal in ("astronaut", "coffee") if whole_row else ("astronaut",):
            which = ("image", "relu", seed, signal)
            folder.put(folder.run(*which), folder.fit(folder.record(*which), {"training.batch": 64}))
    assert probes(folder.verify()) == {"budget"}


@pytest.mark.parametrize("whole_row", [False, True], ids=["one run", "the row"])
def test_unequal_steps(folder: Any, whole_row: bool) -> None:
    for seed in (0, 1) if whole_row else (0,):
        for signal in ("astronaut", "coffee") if whole_row else ("astronaut",):
            which = ("image", "relu", seed, signal)
            folder.put(folder.run(*which), folder.fit(folder.record(*which), {"training.steps": 60}))
    assert probes(folder.verify()) == {"steps"}


def test_steps_of_the_record(folder: Any) -> None:
    """More steps than the run's own settings say."""
    record = folder.record(*RELU)
    longer = folder.fit(record, {"training.steps": 60})
    folder.put(folder.run(*RELU), replace(longer, run=record.run))
    assert "steps" in probes(folder.verify())


def test_missing_seed(folder: Any) -> None:
    run = folder.run("image", "relu", 1)
    run.path.unlink()
    assert probes(folder.verify()) == {"missing-seed"}
    folder.edit_rows(lambda row: row.update(runs=[item for item in row["runs"] if item[0] != run.id]))
    assert probes(folder.verify()) == {"missing-seed"}


def best_seeds(results: Any, count: int) -> list[int]:
    values = {run.seed: run.metrics["psnr_held_out"] for run in results.runs if run.field == "sine"}
    return sorted(sorted(values, key=lambda seed: -values[seed])[:count])


ONE_FIELD: dict[str, Any] = {
    "tasks": [{"name": "image", "source": "astronaut", "size": 16, "held_out": 0.25}],
    "fields": [{"name": "mlp", "label": "sine", "activation": "sine", "width": 16, "depth": 1}],
}


@pytest.mark.parametrize("listed", [True, False], ids=["by a second experiment", "by editing the experiment"])
def test_selected_seeds(evaluate: Any, catalog: Catalog, tmp_path: Path, listed: bool) -> None:
    """The best two of eight: one of 28 choices."""
    path = tmp_path / "results"
    chosen = best_seeds(evaluate(path, **ONE_FIELD, seeds=8), 2)
    if not listed:
        for file in (path / "experiments").iterdir():
            file.unlink()
    evaluate(path, **ONE_FIELD, seeds=chosen)
    (found,) = verify(path, catalog).findings
    assert found.probe == "selected-seeds"
    assert "3.6% of all choices of 2 of the 8 seeds" in found.what
    assert ("nor in any experiment of the folder" in found.what) is not listed
    assert found.stored > found.found


def test_best_seeds_that_chance_may_have_chosen_are_a_note(evaluate: Any, catalog: Catalog, tmp_path: Path) -> None:
    """The best two of five: one of ten choices, so an honest folder may have them."""
    chosen = best_seeds(evaluate(tmp_path, **ONE_FIELD, seeds=5), 2)
    evaluate(tmp_path, **ONE_FIELD, seeds=chosen)
    report = verify(tmp_path, catalog)
    assert report.findings == ()
    (note,) = report.notes
    assert "10.0% of all choices of 2 of the 5 seeds" in note


def test_more_rows_need_a_rarer_choice(evaluate: Any, catalog: Catalog, tmp_path: Path) -> None:
    """One of 28 choices in one of two rows: chance does that in 7 % of all folders."""
    keys = {**ONE_FIELD, "fields": [*ONE_FIELD["fields"], {"name": "mlp", "label": "relu", "width": 8, "depth": 1}]}
    chosen = best_seeds(evaluate(tmp_path, **keys, seeds=8), 2)
    evaluate(tmp_path, **keys, seeds=chosen)
    report = verify(tmp_path, catalog)
    assert "selected-seeds" not in {found.probe for found in report.findings if "sine" in found.what}
    assert any("image / sine" in note and "3.6%" in note for note in report.notes)


@pytest.mark.parametrize("direction", ["null", "false"])
def test_selection_by_a_metric_of_another_direction(
    evaluate: Any, planted: Any, tmp_path: Path, direction: str
) -> None:
    """The worst two of eight are no good choice by a metric without direction, and the best if lower is better."""
    results = evaluate(tmp_path, **ONE_FIELD, seeds=8)
    worst = [seed for seed in range(8) if seed not in best_seeds(results, 6)]
    for file in (tmp_path / "experiments").iterdir():
        file.unlink()
    evaluate(tmp_path, **ONE_FIELD, seeds=worst)
    folder = planted(tmp_path)
    folder.edit(lambda text: text.replace('"higher_is_better": true', f'"higher_is_better": {direction}'))
    assert probes(folder.verify()) == ({"selected-seeds"} if direction == "false" else set())


@pytest.mark.parametrize("what", ["code", "data"])
def test_stale_baseline(folder: Any, what: str) -> None:
    which = ("image", "linear", 0)
    record = folder.record(*which)
    if what == "code":
        stale = with_run(record, code={**record.run["code"], "inrbench-task-image": "0123456789abcdef"})
    else:
        stale = replace(folder.record("image", "linear", 0, "coffee"), run=record.run)
    folder.put(folder.run(*which), stale)
    assert probes(folder.verify()) == {"stale-baseline"}


def test_mixed_devices(folder: Any) -> None:
    folder.put(folder.run(*RELU), with_run(folder.record(*RELU), device="cuda:0"))
    assert probes(folder.verify()) == {"devices"}


def test_damaged_file(folder: Any) -> None:
    path = folder.run(*RELU).path
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    report = folder.verify()
    assert probes(report) == {"files", "missing-seed"}
    assert path.name in report.findings[0].what


def test_weights_of_another_shape(folder: Any) -> None:
    record = folder.record(*RELU)
    weights = {name: np.repeat(array, 2, axis=0) for name, array in record.arrays.weights.items()}
    folder.put(folder.run(*RELU), with_arrays(record, weights=weights))
    assert probes(folder.verify()) == {"weights"}
