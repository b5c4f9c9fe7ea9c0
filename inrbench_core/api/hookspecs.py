"""The hooks a plugin may implement, one per kind of entry, and those for loggers.

A plugin is a distribution with an entry point in the group `inrbench` that names a light module
(it must not import torch):

    # pyproject.toml
    [project.entry-points.inrbench]
    activation-cosine = "my_package.plugin"

    # my_package/plugin.py
    from pydantic import Field
    from inrbench_core import ActivationEntry, ComponentSpec, hookimpl

    class CosineSpec(ComponentSpec):
        '''cos(omega * z).'''
        omega: float = Field(30.0, gt=0, description="frequency factor, rad per input unit")

    @hookimpl
    def inrbench_activations():
        yield ActivationEntry("cosine", CosineSpec, "my_package.cosine:Cosine", api=1)
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pluggy

from inrbench_core.api.entries import (
    ActivationEntry,
    AnalysisEntry,
    BasisEntry,
    EncodingEntry,
    ExecutorEntry,
    FieldEntry,
    OptimizerEntry,
    RecipeEntry,
    ReporterEntry,
    TaskEntry,
)

PROJECT = "inrbench"

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)

ENTRY_HOOKS: dict[str, str] = {
    "inrbench_encodings": "encoding",
    "inrbench_activations": "activation",
    "inrbench_bases": "basis",
    "inrbench_fields": "field",
    "inrbench_recipes": "recipe",
    "inrbench_tasks": "task",
    "inrbench_optimizers": "optimizer",
    "inrbench_analyses": "analysis",
    "inrbench_executors": "executor",
    "inrbench_reporters": "reporter",
}


@hookspec
def inrbench_encodings() -> Iterable[EncodingEntry]:  # type: ignore[empty-body]
    """The encodings this plugin adds."""


@hookspec
def inrbench_activations() -> Iterable[ActivationEntry]:  # type: ignore[empty-body]
    """The activations this plugin adds."""


@hookspec
def inrbench_bases() -> Iterable[BasisEntry]:  # type: ignore[empty-body]
    """The KAN bases this plugin adds."""


@hookspec
def inrbench_fields() -> Iterable[FieldEntry]:  # type: ignore[empty-body]
    """The fields (whole networks) this plugin adds."""


@hookspec
def inrbench_recipes() -> Iterable[RecipeEntry]:  # type: ignore[empty-body]
    """The named recipes (field, components and training defaults) this plugin adds."""


@hookspec
def inrbench_tasks() -> Iterable[TaskEntry]:  # type: ignore[empty-body]
    """The tasks this plugin adds."""


@hookspec
def inrbench_optimizers() -> Iterable[OptimizerEntry]:  # type: ignore[empty-body]
    """The optimisers this plugin adds."""


@hookspec
def inrbench_analyses() -> Iterable[AnalysisEntry]:  # type: ignore[empty-body]
    """The analyses this plugin adds."""


@hookspec
def inrbench_executors() -> Iterable[ExecutorEntry]:  # type: ignore[empty-body]
    """The executors this plugin adds."""


@hookspec
def inrbench_reporters() -> Iterable[ReporterEntry]:  # type: ignore[empty-body]
    """The reporters this plugin adds."""


@hookspec
def inrbench_commands(app: Any) -> None:
    """Add commands to the command line; `app` is the typer application."""


# The life-cycle hooks are called in the process that drives the experiment. One that raises is reported
# once and not called again; it costs no run.


@hookspec
def inrbench_experiment_started(experiment: Any, store: Any) -> None:
    """An experiment begins; `experiment` is a StartedExperiment, `store` the RunStore of its results."""


@hookspec
def inrbench_run_started(run: Any) -> None:
    """A run begins; `run` is its FitRun or BaselineRun."""


@hookspec
def inrbench_progress(run: Any, progress: Any) -> None:
    """A run has come to a new step or phase; `progress` is a Progress."""


@hookspec
def inrbench_run_finished(run: Any, record: Any) -> None:
    """A run has ended, well or not; `record` is its RunRecord, whose arrays are read when asked for."""


@hookspec
def inrbench_experiment_finished(results: Any) -> None:
    """All runs have ended; `results` is a Results of the whole experiment."""
