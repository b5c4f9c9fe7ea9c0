"""Results made up for tests, without a fit."""

from collections.abc import Callable
from pathlib import Path

import pytest

from inrbench_core import Metric, Results
from inrbench_core.results.results import ResultBoard, ResultRow, ResultRun
from inrbench_core.runs.record import RunRecord

METRICS = {
    "psnr": Metric("psnr", "dB"),
    "chamfer": Metric("chamfer", higher_is_better=False),
    "iou": Metric("iou"),
}


def make_row(task, label, metric, figures, *, baseline=False):
    """A row of runs; `figures` is (signals, seeds), None for a run that failed."""
    runs = []
    for signal, of_signal in enumerate(figures):
        for seed, value in enumerate(of_signal):
            record = (
                RunRecord({}, "failed", "no luck") if value is None else RunRecord({}, "ok", metrics={metric: value})
            )
            name = f"{task}-{label}-{signal}-{seed}"
            runs.append(ResultRun(name, task, f"s{signal}", label, seed, baseline, "final", record, Path("results")))
    return ResultRow(label, baseline, "", tuple(runs))


@pytest.fixture(scope="session")
def make_results() -> Callable[..., Results]:
    """Makes results of {(task, metric): {field: (signals, seeds) of figures}}; a name in brackets is a baseline."""

    def make(tables) -> Results:
        boards = []
        for (task, metric), rows in tables.items():
            made = [
                make_row(task, label.strip("()"), metric, figures, baseline=label.startswith("("))
                for label, figures in rows.items()
            ]
            boards.append(ResultBoard(task, (METRICS[metric],), metric, tuple(made)))
        return Results(tuple(boards))

    return make
