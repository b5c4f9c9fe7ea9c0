"""Results made up for tests, without a fit."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from inrbench_core.api.entries import Metric
from inrbench_core.results.results import ResultBoard, ResultRow, ResultRun
from inrbench_core.runs.identity import run_id
from inrbench_core.runs.record import RunRecord

MakeRow = Callable[..., ResultRow]
MakeBoard = Callable[..., ResultBoard]


def plain_run(field: str, seed: int, signal: str, **settings: Any) -> dict[str, Any]:
    """As much of a run's plain data as says which runs are observations of one row; `settings` replace parts of it."""
    task = {"name": "solid", "source": signal, **settings.pop("task", {})}
    answer = settings.pop("baseline_name", "")
    return {
        "task": task,
        "signal_option": "source",
        "files": {},
        "field": None if answer else {"name": field},
        "baseline": answer,
        "training": {},
        "analyses": [],
        "seed": seed,
        "data_seed": 0,
        "device": "cpu",
        "code": {"inrbench": "1"},
        "targets": [],
        **settings,
    }


@pytest.fixture
def make_row() -> MakeRow:
    """Makes a row of a run for each outcome, with seeds from `first_seed` on."""

    def make(
        label: str,
        outcomes: Sequence[Mapping[str, float] | str],
        *,
        baseline: bool = False,
        skip: str = "",
        signals: Sequence[str] = ("csg",),
        folder: Path = Path("results"),
        parameters: int = 1234,
        first_seed: int = 0,
        **settings: Any,
    ) -> ResultRow:
        """An outcome is the metrics of a good run, or "missing", or how a run ended and its message: "failed: why".

        Each is that of all signals; `settings` are those of `plain_run`, and `baseline_name` makes an answer of the
        task of it.
        """
        runs = []
        for seed, outcome in enumerate(outcomes, first_seed):
            status, _, message = ("ok", "", "") if isinstance(outcome, Mapping) else outcome.partition(": ")
            metrics = outcome if isinstance(outcome, Mapping) else {}
            for signal in signals:
                data = plain_run(label, seed, signal, **settings)
                record = RunRecord(
                    data,
                    status,  # type: ignore[arg-type]
                    message,
                    metrics=metrics,
                    parameters=parameters,
                    times={"train": 1.5},
                )
                known = None if status == "missing" else record
                runs.append(ResultRun(run_id(data), "solid", signal, label, seed, baseline, "final", known, folder))
        return ResultRow(label, baseline, skip, tuple(runs))

    return make


@pytest.fixture
def make_board() -> MakeBoard:
    """Makes a table of rows with the metrics chamfer, psnr and psnr_held_out."""

    def make(*rows: ResultRow, label: str = "solid", rank_by: str = "chamfer") -> ResultBoard:
        metrics = (
            Metric("chamfer", higher_is_better=False),
            Metric("psnr", "dB"),
            Metric("psnr_held_out", "dB"),
        )
        return ResultBoard(label, metrics, rank_by, rows)

    return make
