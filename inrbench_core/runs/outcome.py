"""What every record says of its run, and records of runs that have no figures. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from inrbench_core.runs.record import RunRecord, Status
from inrbench_core.runs.run import AnyRun, FitRun


def failure(
    run: AnyRun,
    status: Status,
    message: str,
    trace: str = "",
    times: Mapping[str, float] | None = None,
) -> RunRecord:
    """The record of a run that has no figures."""
    return RunRecord(status=status, message=message, traceback=trace, times=times or {}, **describe_run(run))


def describe_run(run: AnyRun) -> dict[str, Any]:
    """What a record says of its run, whatever came of it."""
    metrics = (*run.task_entry.metrics, *(run.analysis_metrics if isinstance(run, FitRun) else ()))
    return {
        "run": run.to_data(),
        "declared": tuple(metric.to_data() for metric in metrics),
        "rank_by": run.task_entry.rank_by or run.task_entry.primary.name,
        "baseline": run.is_baseline,
    }
