"""An outsider's executor that breaks the contract costs its own runs: no traceback, no wrong figure, no hang."""

from __future__ import annotations

import subprocess
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
from runs_support import PLUGIN_OPTIONS, CarryOut, fits, record_of, times_of_files

# Fault: the message of the runs with seed 1, and that of those after it; "": they are ok.
FAULTS = {
    "loses_jobs": ("the executor lost its job", ""),
    "loses_jobs_once": ("", ""),
    "raises_in_submit": ("the executor raised ConnectionError: the queue is full", ""),
    "raises_in_events": ("the executor raised ConnectionError: no answer", "the executor raised"),
    "raises_in_unfinished": ("the executor raised ConnectionError: no answer", ""),
    "exits_in_events": ("the executor raised SystemExit: 0", "the executor raised"),
    "ends_without_result": ("the executor ended its job without a result", ""),
    "unknown_jobs": ("", ""),
    "garbage_bytes": ("the executor handed over a file that is not usable: not a run file, or damaged or cut off", ""),
    "other_run": ("the executor handed over a file that is not usable: it holds the run ", ""),
    "no_bytes": ("the executor ended its job without a result", ""),
    "no_events": ("", ""),
    "finishes_twice": ("", ""),
    "lost_after_the_last_run": ("", ""),
    "raises_in_shutdown": ("", ""),
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.filterwarnings("ignore:the executor")
def test_a_fault_costs_its_own_runs(evaluate: CarryOut, fault: str) -> None:
    expected, after = FAULTS[fault]
    results = evaluate(seeds=3, executor={"name": "inline", "fault": fault})
    by_seed = {run.seed: record_of(run) for run in fits(results)}
    assert by_seed[0].status == "ok"
    for seed, message in ((1, expected), (2, after)):
        assert by_seed[seed].status == ("failed" if message else "ok"), by_seed[seed].message
        assert by_seed[seed].message.startswith(message)
    assert bool(results.failed) == bool(expected)
    # Carried out again without the fault, they are what they should be.
    again = evaluate(seeds=3)
    reference = evaluate(seeds=3, out="reference")
    assert [dict(run.metrics) for run in again.runs] == [dict(run.metrics) for run in reference.runs]


def test_an_executor_that_cannot_be_made_fails_every_run_with_the_reason(evaluate: CarryOut) -> None:
    with pytest.warns(UserWarning, match="the executor cannot be started: OSError: no route to the cluster"):
        results = evaluate(executor={"name": "inline", "fault": "cannot_start"})
    assert {run.status for run in results.runs} == {"failed"}
    assert len(results.failed) == 2


def test_what_an_executor_tells_before_it_raises_counts(evaluate: CarryOut, tmp_path: Path) -> None:
    """The events of one call are a generator that may raise half-way."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        evaluate(seeds=2, executor={"name": "inline", "fault": "raises_in_events"})
    before = times_of_files(tmp_path / "results")
    results = evaluate(seeds=[0])
    assert {run.status for run in results.runs} == {"ok"}
    assert times_of_files(tmp_path / "results") == before


def test_good_records_outlive_an_executor_that_fails_at_everything(evaluate: CarryOut, tmp_path: Path) -> None:
    evaluate(seeds=2)
    before = times_of_files(tmp_path / "results")
    with pytest.warns(UserWarning, match="cannot be started"):
        results = evaluate(seeds=2, executor={"name": "inline", "fault": "cannot_start"}, fresh=True)
    assert times_of_files(tmp_path / "results") == before
    assert {run.status for run in results.runs} == {"ok"}
    assert results.failed == {run.id for run in results.runs}
    assert len(results.failed) == 3


@pytest.mark.parametrize(
    "fault", ["loses_jobs", "unknown_jobs", "other_run", "cannot_start", "exits_in_events", "no_events"]
)
def test_eval_prints_a_table_and_no_traceback(
    run_cli: Callable[..., subprocess.CompletedProcess[str]],
    write_spec: Callable[[str], Path],
    tmp_path: Path,
    fault: str,
) -> None:
    """An executor that lost runs was a KeyError; one that exits ended `eval` with status 0."""
    spec = write_spec(
        f"{{task: line, fields: [shallow], training: {{steps: 3}}, seeds: 3,"
        f" executor: {{name: inline, fault: {fault}}}}}"
    )
    done = run_cli("eval", "--spec", spec, "--out", tmp_path / "results", *PLUGIN_OPTIONS)
    assert done.returncode == (0 if FAULTS.get(fault) == ("", "") else 1), done.stderr
    assert "Traceback" not in done.stderr
    assert "wave" in done.stdout
