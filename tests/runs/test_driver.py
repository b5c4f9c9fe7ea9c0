"""The driver: what is done stays done, what fails is recorded and tried again, and limits hold."""

from __future__ import annotations

import dataclasses
import math
import os
import re
from pathlib import Path

import numpy as np
import pytest
from runs_support import RAY, TINY, CarryOut, MakeCase, MakePlan, fits, record_of, times_of_files

from inrbench_core.api.errors import StorageError
from inrbench_core.runs import store as store_module
from inrbench_core.runs.execute import execute
from inrbench_core.runs.run import FitRun
from inrbench_core.runs.runfile import read_file
from inrbench_core.runs.store import RunStore

LOCAL = {"name": "local", "jobs": 1}


def test_what_is_done_is_not_repeated(evaluate: CarryOut, tmp_path: Path) -> None:
    first = evaluate(fields=["shallow", "swell"])
    before = times_of_files(tmp_path / "results")
    assert len(before) == 3
    removed = fits(first)[-1]
    removed.path.unlink()
    second = evaluate(fields=["shallow", "swell"])
    after = times_of_files(tmp_path / "results")
    assert {name for name in before if before[name] != after[name]} == {removed.path.name}
    assert [dict(run.metrics) for run in second.runs] == [dict(run.metrics) for run in first.runs]


def test_the_same_spec_gives_the_same_numbers_in_fresh_folders(evaluate: CarryOut) -> None:
    spec = {"training": {**TINY, "steps": 30, "batch": 16}, "seeds": 2, "executor": LOCAL}
    one, two = (fits(evaluate(**spec, out=out)) for out in ("one", "two"))
    assert [dict(run.metrics) for run in one] == [dict(run.metrics) for run in two]
    np.testing.assert_array_equal(record_of(one[0]).arrays.curve["loss"], record_of(two[0]).arrays.curve["loss"])
    for name, weights in record_of(one[0]).arrays.weights.items():
        np.testing.assert_array_equal(weights, record_of(two[0]).arrays.weights[name])
    assert one[0].metrics["psnr"] != one[1].metrics["psnr"]


def test_each_failure_is_recorded_and_the_others_go_on(evaluate: CarryOut) -> None:
    troubles = ["raise", "die", "nan", ""]
    tasks = [{"name": "line", "trouble": trouble, "label": trouble or "none"} for trouble in troubles]
    runs = {run.task: record_of(run) for run in fits(evaluate(task=None, tasks=tasks, executor=LOCAL))}
    assert {task: record.status for task, record in runs.items()} == {
        "raise": "failed",
        "die": "failed",
        "nan": "diverged",
        "none": "ok",
    }
    assert re.fullmatch(r"ValueError: trouble was asked for \(small_plugin_torch\.py:\d+\)", runs["raise"].message)
    assert "Traceback" in runs["raise"].traceback
    assert runs["die"].message == "its worker process died (signal SIGKILL)"
    assert runs["nan"].message == "psnr is not a number after 3 steps"


@pytest.mark.parametrize("executor", [LOCAL, "subprocess"], ids=["local", "subprocess"])
def test_a_run_whose_worker_dies_is_tried_twice(
    evaluate: CarryOut, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, executor: object
) -> None:
    for do, status in (("die", "failed"), ("die_once", "ok")):
        place = tmp_path / do
        place.mkdir()
        monkeypatch.setenv("TROUBLE_PLACE", str(place))
        task = {"name": "trouble", "do": do}
        (run,) = fits(evaluate(task=task, executor=executor, out=f"results-{do}"))
        assert (run.status, len(list(place.iterdir()))) == (status, 2)


def test_a_run_that_is_not_ok_is_carried_out_again_on_resume(evaluate: CarryOut, tmp_path: Path) -> None:
    file = tmp_path / "frequency"
    file.write_text("3")
    spec = {"task": {"name": "trouble", "source": str(file)}, "executor": {"name": "inline", "fault": "garbage_bytes"}}
    failed = evaluate(**spec, seeds=[0, 1])
    assert [run.status for run in fits(failed)] == ["ok", "failed"]
    assert failed.failed == {fits(failed)[1].id}
    kept = fits(failed)[0].path.stat().st_mtime_ns
    again = evaluate(**{**spec, "executor": "inline"}, seeds=[0, 1])
    assert [run.status for run in fits(again)] == ["ok", "ok"]
    assert again.failed == frozenset()
    assert fits(again)[0].path.stat().st_mtime_ns == kept


def test_a_run_past_its_time_limit_is_ended_and_the_next_one_begins(evaluate: CarryOut) -> None:
    tasks = [{"name": "line", "trouble": "sleep", "label": "slow"}, {"name": "line", "label": "quick"}]
    slow, quick = fits(evaluate(task=None, tasks=tasks, executor=LOCAL, timeout_s=6))
    assert (slow.status, record_of(slow).message) == ("failed", "timed out after 6 s")
    assert quick.status == "ok"


def test_divergence_is_recorded_with_its_step(plan: MakePlan) -> None:
    made = plan(fields=[{"name": "shallow", "training": {**TINY, "steps": 50, "lr": 1e38, "optimizer": "sgd"}}])
    (run,) = (run for run in made.runs.values() if isinstance(run, FitRun))
    record = execute(run)
    assert record.status == "diverged"
    assert 1 < record.step <= 3
    assert record.message == f"the loss is not finite at step {record.step}"


def test_a_pair_that_cannot_work_is_in_the_plan_and_is_no_run(evaluate: CarryOut) -> None:
    results = evaluate(task={"name": "line", "curvature": True}, fields=[{"name": "shallow", "activation": ["kink"]}])
    (board,) = results.boards
    assert [(row.label, len(row.runs)) for row in board.rows] == [("zero", 1), ("kink", 0)]
    assert "takes 2 derivatives" in board.rows[1].skip
    assert results.failed == frozenset()


def test_a_preview_of_a_wrong_dtype_costs_only_itself(evaluate: CarryOut) -> None:
    """It cost the whole table."""
    (run,) = fits(evaluate(task={"name": "trouble", "do": "bad_preview"}))
    record = record_of(run)
    assert record.status == "ok"
    assert not math.isnan(record.metrics["psnr"])
    assert record.problems == ("preview: expected uint8 (height, width, 3), got float64 (16, 64, 3)",)
    assert record.arrays.preview is None
    assert record.arrays.truth is not None


def test_a_file_that_changes_after_the_plan_fails_the_run(plan: MakePlan, tmp_path: Path) -> None:
    file = tmp_path / "frequency"
    file.write_text("3")
    made = plan(task={"name": "trouble", "source": str(file)})
    file.write_text("4")
    record = execute(next(iter(made.runs.values())))
    assert record.status == "failed"
    assert record.message == f"{file}: changed since the experiment was planned; start it again"


def test_the_content_of_a_file_is_part_of_the_run_and_its_path_is_not(plan: MakePlan, tmp_path: Path) -> None:
    def ids(name: str, content: str) -> list[str]:
        (tmp_path / name).write_text(content)
        return list(plan(task={"name": "trouble", "source": str(tmp_path / name)}).runs)

    first = ids("one", "3")
    assert ids("two", "3") == first
    assert not set(ids("one", "4")) & set(first)


@pytest.mark.parametrize("executor", ["inline", RAY])
def test_a_full_disk_stops_with_one_line_and_keeps_what_is_done(
    evaluate: CarryOut, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, case_of: MakeCase, executor: str
) -> None:
    spec = {"seeds": 3, "executor": dict(case_of(executor).spec)}
    written = []

    def replace_file(target: Path, content: bytes) -> None:
        if target.suffix == ".h5":
            written.append(target)
            if len(written) > 2:
                raise OSError(28, "No space left on device")
        original(target, content)

    original = store_module.replace_file
    monkeypatch.setattr(store_module, "replace_file", replace_file)
    with pytest.raises(StorageError, match=r"results: cannot be written: No space left on device; stopped\. What is"):
        evaluate(**spec)
    assert len(written) == 3
    monkeypatch.undo()
    before = times_of_files(tmp_path / "results")
    assert set(before) == {path.name for path in written[:2]}
    results = evaluate(**spec)
    assert {run.status for run in results.runs} == {"ok"}
    after = times_of_files(tmp_path / "results")
    assert {name: after[name] for name in before} == before


def test_a_folder_that_cannot_be_written_is_one_line(evaluate: CarryOut, tmp_path: Path) -> None:
    (tmp_path / "results").write_text("a file where the folder should be")
    with pytest.raises(StorageError, match="results: cannot be written: "):
        evaluate()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_the_permission_to_write_is_one_line(evaluate: CarryOut, tmp_path: Path) -> None:
    (tmp_path / "results").mkdir(mode=0o500)
    with pytest.raises(StorageError, match="results: cannot be written: Permission denied"):
        evaluate()


def test_fresh_repeats_what_is_ok(evaluate: CarryOut, tmp_path: Path) -> None:
    evaluate()
    before = times_of_files(tmp_path / "results")
    evaluate(fresh=True)
    after = times_of_files(tmp_path / "results")
    assert all(after[name] != before[name] for name in before)


def test_the_plan_may_hold_a_run_in_two_rows(evaluate: CarryOut) -> None:
    """Equal settings under two labels are two rows that show the same run."""
    field = {"name": "shallow", "width": 8}
    results = evaluate(fields=[{**field, "label": "one"}, {**field, "label": "two"}])
    one, two = fits(results)
    assert one.id == two.id
    assert (one.field, two.field) == ("one", "two")
    assert len({run.id for run in results.runs}) == 2


def test_records_hold_what_the_executor_made(evaluate: CarryOut, tmp_path: Path) -> None:
    """What `evaluate` returns is what is in the files, arrays too."""
    (run,) = fits(evaluate())
    read = read_file(RunStore(tmp_path / "results").path(run.id))
    assert dataclasses.asdict(dataclasses.replace(read, read_arrays=dict)) == dataclasses.asdict(
        dataclasses.replace(record_of(run), read_arrays=dict)
    )
    np.testing.assert_array_equal(read.arrays.outputs["values"], record_of(run).arrays.outputs["values"])
