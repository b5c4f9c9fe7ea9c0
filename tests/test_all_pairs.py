"""Every coordinate-MLP and coordinate-KAN of INR-Bench trains on every task, or says why it cannot."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch

from inrbench_core.api.entries import RecipeEntry
from inrbench_core.api.problem import SeedStreams
from inrbench_core.fit import build_model, fit
from inrbench_core.plugins.loading import load_catalog
from inrbench_core.runs.execute import prepare
from inrbench_core.runs.plan import make_plan
from inrbench_core.spec.builder import load_experiment

CATALOG = load_catalog()
FIELDS = [item.entry.name for item in CATALOG.of_kind("recipe") if item.entry.name.startswith("inr-bench/")]
TASKS = {
    "audio": {"duration_s": 0.02},
    "ct": {"size": 16, "views": 4},
    "denoising": {"size": 16},
    "image": {"size": 16},
    "inpainting": {"size": 16},
    "mri": {"size": 16},
    "nerf": {"size": 12, "train_views": 2, "test_views": 1, "samples": 4},
    "occupancy": {"points": 256, "resolution": 12},
    "poisson": {"size": 16, "given": "gradient"},
    "poisson laplacian": {"size": 16, "given": "laplacian"},
    "sdf": {"points": 256, "resolution": 12},
    "sdf eikonal": {"points": 256, "resolution": 12, "mode": "eikonal"},
    "superresolution": {"size": 16},
    "video": {"frames": 4, "size": 16},
}
WIDTH = 8
# Functions whose second derivative is zero almost everywhere, or not defined.
NO_LAPLACIAN = {"relu", "prelu", "laplacian", "fcn_interpolation"}


def test_there_are_56_mlps_and_22_kans_and_every_task():
    assert len(FIELDS) == 78
    assert sum("+" in name for name in FIELDS) == 56
    assert all(isinstance(CATALOG.find("recipe", name).entry, RecipeEntry) for name in FIELDS)
    assert {item.entry.name for item in CATALOG.of_kind("task")} == {name.partition(" ")[0] for name in TASKS}


@pytest.mark.parametrize("task", TASKS)
def test_every_field_trains_on(task: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    # Most of the time would go into comparing surfaces.
    monkeypatch.setattr("inrbench_task_shape.surfaces.SURFACE_POINTS", 500)
    options = {"name": task.partition(" ")[0], **TASKS[task]}
    file = tmp_path / "pairs.yaml"
    fields = "\n".join(f"  - {{name: {name}, width: {WIDTH}}}" for name in FIELDS)
    file.write_text(
        f"name: pairs\ntask: {options}\nfields:\n{fields}\n"
        "training: {steps: 5, batch: 64, evaluate_every: 0, compile: off}\nseeds: [0]\n"
    )
    (board,) = make_plan(load_experiment(file, CATALOG), CATALOG, "cpu").boards
    rows = [row for row in board.rows if row.source is not None]
    assert [row.label for row in rows] == FIELDS
    skipped = {row.label: row.skip for row in rows if row.skip}
    runs = [row.runs[0] for row in rows if not row.skip]
    problem = prepare(runs[0], torch.device("cpu"))
    bad = []
    for run in runs:
        seeds = SeedStreams(0)
        model = build_model(run.field, problem.shapes, seeds=seeds, device=torch.device("cpu")).model
        result = fit(problem, model, run.training, seeds=seeds)
        primary = result.evaluation.metrics[run.task_entry.primary.name] if result.evaluation else math.nan
        if result.status != "ok" or math.isnan(primary):
            bad.append(f"{run.label}: {result.status} {result.reason}, {primary}")
    assert bad == []
    assert {name.partition("/")[2].rpartition("+")[2] for name in skipped} == (
        NO_LAPLACIAN if task == "poisson laplacian" else set()
    ), skipped
