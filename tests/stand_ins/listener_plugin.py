"""A plugin file that listens to the life-cycle hooks and writes down what it is told, and may fail at it."""

from __future__ import annotations

import json
import os
from typing import Any

from inrbench_core import hookimpl

# The file that is written to, one JSON list a line.
LOG = "LISTENER_LOG"
# The hook that fails, and how: "raise" or "exit".
FAULT = "LISTENER_FAULT"


def _tell(hook: str, *facts: Any) -> None:
    with open(os.environ[LOG], "a", encoding="utf-8") as file:
        file.write(json.dumps([hook, *facts]) + "\n")
    where, _, how = os.environ.get(FAULT, "").partition(" ")
    if where == hook and how == "raise":
        raise ValueError("no luck with this hook")
    if where == hook and how == "exit":
        raise SystemExit(0)


@hookimpl
def inrbench_experiment_started(experiment: Any, store: Any) -> None:
    _tell("experiment_started", experiment.name, len(experiment.runs), len(experiment.done), str(store.folder))


@hookimpl
def inrbench_run_started(run: Any) -> None:
    _tell("run_started", run.id)


@hookimpl
def inrbench_progress(run: Any, progress: Any) -> None:
    _tell("progress", run.id, progress.phase)


@hookimpl
def inrbench_run_finished(run: Any, record: Any) -> None:
    arrays = record.arrays
    _tell("run_finished", run.id, record.status, sorted(arrays.outputs), None if arrays.preview is None else "preview")


@hookimpl
def inrbench_experiment_finished(results: Any) -> None:
    _tell("experiment_finished", sum(run.status == "ok" for run in results.runs))
