"""evaluate: from a spec to Results, with one plan, one store and one cache for the command and for Python."""

from __future__ import annotations

import math
import os
import shutil
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from inrbench_core.api.errors import StorageError, UnsupportedError
from inrbench_core.plugins.catalog import Catalog, check_plugin_files
from inrbench_core.plugins.loading import load_catalog
from inrbench_core.results.known import Known, keep, kept, planned
from inrbench_core.results.load import experiment_data, results_of
from inrbench_core.results.results import Results
from inrbench_core.runs.check_process import check_apart
from inrbench_core.runs.driver import Driver
from inrbench_core.runs.plan import Plan, make_plan
from inrbench_core.runs.record import KnownRecord, RunRecord
from inrbench_core.runs.store import FolderInUse, RunStore
from inrbench_core.runs.tuning import make_strategy
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
        max_time_s: when to stop, in s from the begin on; None: when all is done.
        only: patterns of the labels of fields, tasks and signals, see `make_plan`; none: carry out all runs.
        known: exported tables whose good runs count as done, unless `fresh`.
    """

    out: Path | None = None
    jobs: int | None = None
    fresh: bool = False
    wait: bool = False
    max_time_s: float | None = None
    only: tuple[str, ...] = ()
    known: tuple[Path, ...] = ()


class Stopped(KeyboardInterrupt):
    """The user's interrupt of an experiment that is under way.

    Args:
        done: how many runs have a good result; those are kept.
        runs: how many there are.
    """

    def __init__(self, done: int, runs: int) -> None:
        super().__init__(f"{done} of {runs} runs are done")
        self.done = done
        self.runs = runs


def evaluate(
    spec: str | Path | Mapping[str, Any],
    *,
    out: str | Path | None = None,
    settings: Sequence[str] = (),
    plugin_files: Sequence[str | Path] = (),
    jobs: int | None = None,
    fresh: bool = False,
    wait: bool = False,
    max_time_s: float | None = None,
    only: Sequence[str] = (),
    known: Sequence[str | Path] = (),
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
        max_time_s: stop after so many seconds, with a warning if not all is done. What is done is kept, and the same
            call continues from there.
        only: carry out those runs only of which the label of the field, the task or the signal matches one of these
            patterns, as in `fnmatch`, case-sensitive.
        known: tables that `Results.export` wrote. A run whose settings are in one of them with a good result is not
            carried out, unless `fresh`; its `origin` says where its figures come from, and they are kept in `out`.

    Returns:
        the results of this very spec. Runs that went wrong are in it with their status; `failed` names them. Those
        that were not carried out are "missing".

    Raises:
        SpecError: with every problem found, each with its line.
        InrbenchError: if a plugin file is not there, a pattern of `only` matches no label, or a table in `known` is not
            usable.
        StorageError: if results cannot be written.
        Stopped: on KeyboardInterrupt, after workers are ended; what is done is kept.
    """
    files = [Path(file) for file in plugin_files]
    check_plugin_files(files, "plugin_files:")
    catalog = load_catalog(files)
    document = document_of(spec) if isinstance(spec, Mapping) else load_yaml(Path(spec))
    experiment = build_experiment(document, catalog, settings)
    options = Options(
        Path(out) if out is not None else None, jobs, fresh, wait, max_time_s, tuple(only), tuple(map(Path, known))
    )
    return carry_out(experiment, catalog, options, files)


def carry_out(experiment: Experiment, catalog: Catalog, options: Options, plugin_files: Sequence[Path]) -> Results:
    """Carry out an experiment; see `evaluate`."""
    deadline = math.inf if options.max_time_s is None else time.monotonic() + options.max_time_s
    experiment = with_jobs(experiment, options.jobs)
    for line in experiment.remarks:
        warnings.warn(line, stacklevel=2)
    store = RunStore(results_folder(experiment, options))
    elsewhere = Known(() if options.fresh else options.known)
    with _locked(store, wait=options.wait):
        # Not before: waiting may take hours, in which code may change.
        plan = make_plan(experiment, catalog, find_device(experiment.device), options.only)
        data = experiment_data(plan)
        own = store.records({run.id for run in planned(plan)})
        for line in elsewhere.remarks(planned(plan), results_of(data, own, store)):
            warnings.warn(line, stacklevel=2)
        known = known_records(plan, store, own, elsewhere)
        taken = {run_id: record for run_id, record in known.items() if isinstance(record, KnownRecord)}
        strategy = make_strategy(plan, known)
        driver = Driver(
            strategy.plan,
            store,
            catalog,
            plugin_files=plugin_files,
            known=known,
            fresh=options.fresh,
            deadline=deadline,
        )
        try:
            check(plan, plugin_files, plan.runs.keys() - driver.done)
            with _writing(store):
                store.sweep()

            def keep_plan(grown: Plan) -> None:
                with _writing(store):
                    store.add_experiment(_described(grown, store, taken), data)

            keep_plan(strategy.plan)
            outcome = driver.drive(strategy, keep_plan)
        except KeyboardInterrupt:
            raise Stopped(*_progress(driver)) from None
        if outcome.stopped:
            done, count = _progress(driver)
            rest = "the same command continues from there"
            if options.max_time_s is not None and options.max_time_s < outcome.shortest_s < math.inf:
                rest = f"the shortest of the others takes about {outcome.shortest_s:.0f} s: give more time"
            warnings.warn(
                f"the time is over: {done} of {count} runs are done and kept in {store.folder}; {rest}",
                stacklevel=2,
            )
        trials = driver.plan.trials
        statuses = [outcome.records[run_id].status for run_id in outcome.failed & trials]
        counts = {word: statuses.count(word) for word in ("diverged", "failed")}
        if lost := ", ".join(f"{count} {word}" for word, count in counts.items() if count):
            warnings.warn(f"of {len(trials)} trial runs {lost}; their settings are not chosen", stacklevel=2)
        results = results_of(experiment_data(driver.plan), outcome.records, store, outcome.failed - trials)
        driver.events.send("inrbench_experiment_finished", results=results)
    return results


def known_records(
    plan: Plan, store: RunStore, records: Mapping[str, RunRecord], elsewhere: Known
) -> dict[str, RunRecord]:
    """The records of the runs that a plan has or may choose, with what exported tables say of those without a good one.

    Args:
        plan: as it is made.
        store: the folder, with what it keeps of tables that the same experiment was given before.
        records: of the folder, by id.
        elsewhere: the tables that are given now, which count first.
    """
    before = kept(store, store.experiment(experiment_data(plan)), records)
    return {**before, **elsewhere.take(planned(plan), records)}


def _described(plan: Plan, store: RunStore, taken: Mapping[str, KnownRecord]) -> dict[str, Any]:
    """What is kept of an experiment, with what it takes from exported tables."""
    data = experiment_data(plan)
    return keep(store, data, taken, results_of(data, taken, store))


def _progress(driver: Driver) -> tuple[int, int]:
    """How many of the planned runs are done, and how many there are."""
    return len(driver.plan.done(driver.outcome.records) & driver.plan.runs.keys()), len(driver.plan.runs)


@contextmanager
def _writing(store: RunStore) -> Iterator[None]:
    """Turns what the operating system refuses into one line."""
    try:
        yield
    except OSError as error:
        raise StorageError(f"{store.folder}: cannot be written: {error.strerror}") from None


@contextmanager
def _locked(store: RunStore, *, wait: bool) -> Iterator[None]:
    """The store's lock; where another process has it, that is said once before the wait."""
    with ExitStack() as stack:
        try:
            stack.enter_context(store.lock())
        except FolderInUse as error:
            if not wait:
                raise
            warnings.warn(f"waiting for {error.holder}, which writes into {store.folder}", stacklevel=2)
            stack.enter_context(store.lock(wait=True))
        yield


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


def check(plan: Plan, plugin_files: Sequence[Path], todo: set[str]) -> None:
    """Tell what is wrong with data and budgets before anything is trained. Raises SpecError."""
    if any(run.id in todo and (run.files or run.has_budget) for run in plan.runs.values()):
        check_apart(plan, plugin_files, todo)


def find_device(name: str) -> str:
    """What `auto` stands for on this machine; other names stay as they are. Imports torch only where a GPU may be."""
    if name != "auto":
        return name
    # Importing torch takes seconds, which this process otherwise spends nowhere.
    if not (shutil.which("nvidia-smi") or os.path.exists("/proc/driver/nvidia")):
        return "cpu"
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"
