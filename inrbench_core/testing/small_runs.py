"""A problem, a model and runs of the stand-in plugin, for checks of what takes part in a fit or carries it out."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, cast

import torch
from torch import nn

from inrbench_core.api.problem import Problem, SeedStreams
from inrbench_core.plugins.catalog import Catalog
from inrbench_core.plugins.fingerprints import Fingerprints
from inrbench_core.plugins.loading import load_catalog
from inrbench_core.results.results import ResultBoard, ResultRow, ResultRun, Results
from inrbench_core.runs.execute import execute
from inrbench_core.runs.outcome import failure
from inrbench_core.runs.record import RunRecord
from inrbench_core.runs.run import FitRun, RunFactory
from inrbench_core.spec.training import TrainingSpec

STAND_IN = Path(__file__).parent / "stand_in" / "inrbench_stand_in.py"
NAME = f"{STAND_IN.name}:stand_in"


@cache
def stand_in_catalog() -> Catalog:
    """What is installed, and the stand-in plugin."""
    return load_catalog([STAND_IN])


def make_training(catalog: Catalog, **options: Any) -> TrainingSpec:
    """A training with these options and, but for them, the defaults."""
    return TrainingSpec.model_validate({"compile": "off", **options}, context={"catalog": catalog})


def stand_in_problem(**options: Any) -> Problem:
    """The stand-in task's problem on the CPU."""
    task = stand_in_catalog().resolve("task", {"name": NAME, **options})
    return cast(Problem, task.build(device=torch.device("cpu"), seeds=SeedStreams(0)))


def stand_in_model(problem: Problem) -> nn.Module:
    """A small network for each field that a problem needs, with a buffer; the same at each call."""
    field = stand_in_catalog().resolve("field", NAME)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        fields: dict[str, nn.Module] = {name: field.build(shape) for name, shape in problem.shapes.items()}
    return next(iter(fields.values())) if len(fields) == 1 else nn.ModuleDict(fields)


def stand_in_runs(seeds: Sequence[int], **training: Any) -> list[FitRun]:
    """Runs of the stand-in field on the stand-in task, of a few steps each."""
    catalog = stand_in_catalog()
    task, field = catalog.resolve("task", NAME), catalog.resolve("field", NAME)
    what = (field, make_training(catalog, **{"steps": 5, **training}), ())
    factory = RunFactory(task, {}, "cpu", Fingerprints(catalog).of, what, 0)
    runs = [factory.run(seed, label="stand_in", task_label="stand_in", signal="stand_in") for seed in seeds]
    return cast(list[FitRun], runs)


@cache
def stand_in_records() -> tuple[tuple[FitRun, RunRecord], ...]:
    """Two runs that are ok and one that failed, each with its record."""
    good, better, bad = stand_in_runs([0, 1, 2])
    return (good, execute(good)), (better, execute(better)), (bad, failure(bad, "failed", "ValueError: no luck"))


def stand_in_results(folder: Path) -> Results:
    """One table: a field with two good runs, one with a failed and a missing run, and one that was left out.

    Args:
        folder: where its runs are said to be.
    """
    (good, first), (_, second), (bad, failed) = stand_in_records()

    def row(label: str, *records: RunRecord | None, skip: str = "") -> ResultRow:
        runs = tuple(
            ResultRun(good.id, "stand_in", "stand_in", label, seed, False, "final", record, folder)
            for seed, record in enumerate(records)
        )
        return ResultRow(label, False, skip, runs)

    # Names may hold what a format gives a meaning to.
    rows = (row("a_b & <c> 100 %", first, second), row("other", failed, None), row("left out", skip="it cannot"))
    entry = bad.task_entry
    return Results((ResultBoard("stand_in", entry.metrics, entry.primary.name, rows),))
