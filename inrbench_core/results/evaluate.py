"""evaluate: from a spec to Results, with one plan, one store and one cache for the command and for Python."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from inrbench_core.api.errors import StorageError, UnsupportedError
from inrbench_core.plugins.catalog import Catalog
from inrbench_core.plugins.loading import load_catalog
from inrbench_core.results.load import experiment_data, plan_results
from inrbench_core.results.results import Results
from inrbench_core.runs.driver import Driver
from inrbench_core.runs.plan import GridStrategy, Plan, make_plan
from inrbench_core.runs.store import RunStore
from inrbench_core.spec.builder import build_experiment
from inrbench_core.spec.experiment import Experiment
from inrbench_core.spec.yaml_io import document_of, load_yaml


@dataclass(frozen=True)
class Options:
    """How an experiment is carried out; nothing here changes what a run is.

    Args:
        out: folder for results; None: results/NAME.
        jobs: jobs at a time, or None.
        fresh: repeat runs that have a good result.
        wait: wait while another process writes into the folder.
    """

    out: Path | None = None
    jobs: int | None = None
    fresh: bool = False
    wait: bool = False


def evaluate(
    spec: str | Path | Mapping[str, Any],
    *,
    out: str | Path | None = None,
    settings: Sequence[str] = (),
    plugin_files: Sequence[str | Path] = (),
    jobs: int | None = None,
    fresh: bool = False,
    wait: bool = False,
) -> Results:
    """Carry out a spec, as `inrbench eval` does: finished runs are kept and not repeated.

    Args:
        spec: a YAML file, or the same as a mapping; paths in a mapping are relative to the current folder.
        out: folder for results; default: results/NAME.
        settings: changes as "dotted.key=value", the value in YAML.
        plugin_files: Python files to load as plugins.
        jobs: jobs at a time.
        fresh: repeat runs that have a good result.
        wait: wait while another process writes into the folder.

    Returns:
        the results of this very spec. Runs that went wrong are in it with their status; `failed` names them.

    Raises:
        SpecError: with every problem found, each with its line.
        StorageError: if results cannot be written.
        KeyboardInterrupt: after workers are ended; what is done is kept.
    """
    files = [Path(file) for file in plugin_files]
    catalog = load_catalog(files)
    document = document_of(spec) if isinstance(spec, Mapping) else load_yaml(Path(spec))
    experiment = build_experiment(document, catalog, settings)
    options = Options(Path(out) if out is not None else None, jobs, fresh, wait)
    return carry_out(experiment, catalog, options, files)


def carry_out(experiment: Experiment, catalog: Catalog, options: Options, plugin_files: Sequence[Path]) -> Results:
    """Carry out an experiment; see `evaluate`."""
    experiment = with_jobs(experiment, options.jobs)
    plan = make_plan(experiment, catalog, find_device(experiment.device))
    store = RunStore(results_folder(experiment, options))
    with store.lock(wait=options.wait):
        known = store.records(plan.runs.keys())
        done = {run_id for run_id, record in known.items() if record.status == "ok" and not options.fresh}
        check(plan, plan.runs.keys() - done)
        try:
            store.sweep()
            store.add_experiment(experiment_data(plan))
        except OSError as error:
            raise StorageError(f"{store.folder}: cannot be written: {error.strerror}") from None
        driver = Driver(plan, store, catalog, plugin_files=plugin_files, known=known, fresh=options.fresh)
        outcome = driver.drive(GridStrategy(plan))
        results = plan_results(plan, outcome.records, store, tuple(outcome.failed))
        driver.events.send("inrbench_experiment_finished", results=results)
    return results


def results_folder(experiment: Experiment, options: Options) -> Path:
    """Where results go."""
    return options.out if options.out is not None else Path("results") / experiment.name


def with_jobs(experiment: Experiment, jobs: int | None) -> Experiment:
    """The experiment with so many jobs at a time. Raises UnsupportedError if its executor has no such option."""
    if jobs is None:
        return experiment
    if "jobs" not in type(experiment.executor.spec).model_fields:
        raise UnsupportedError(f"--jobs: the executor {experiment.executor.name!r} has no option 'jobs'")
    return replace(experiment, executor=experiment.executor.with_spec(jobs=jobs))


def check(plan: Plan, todo: set[str]) -> None:
    """Tell what is wrong with data and budgets before anything is trained. Raises SpecError."""
    if not todo:
        return
    if any(run.id in todo and (run.files or run.has_budget) for run in plan.runs.values()):
        # Here, because it imports torch, which takes longer than all else.
        from inrbench_core.runs.check import check_plan

        check_plan(plan, todo)


def find_device(name: str) -> str:
    """What `auto` stands for on this machine; other names stay as they are. Imports torch only where a GPU may be."""
    if name != "auto":
        return name
    # Importing torch takes seconds, which this process otherwise spends nowhere.
    if not (shutil.which("nvidia-smi") or os.path.exists("/proc/driver/nvidia")):
        return "cpu"
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"
