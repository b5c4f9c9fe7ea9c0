"""Carrying out an experiment: what is done stays done, the rest goes to the executor."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

from inrbench_core.api.errors import StorageError
from inrbench_core.api.executor import Executor, Progress
from inrbench_core.plugins.catalog import Catalog
from inrbench_core.plugins.failures import one_line
from inrbench_core.runs.record import RunRecord, Status
from inrbench_core.runs.store import RunStore
from inrbench_core.spec.experiment import Experiment
from inrbench_core.spec.runspec import RunSpec


class Listener(Protocol):
    """Is told what happens, to show it."""

    def planned(self, runs: Sequence[RunSpec], done: Sequence[RunSpec]) -> None: ...
    def started(self, run: RunSpec) -> None: ...
    def progress(self, run: RunSpec, progress: Progress) -> None: ...
    def finished(self, run: RunSpec, record: RunRecord) -> None: ...


def run_experiment(
    experiment: Experiment,
    store: RunStore,
    catalog: Catalog,
    listener: Listener,
    *,
    plugin_files: Sequence[Path] = (),
    fresh: bool = False,
) -> list[RunRecord]:
    """Carry out every run of the experiment that has no good result yet.

    Args:
        experiment: what to run.
        store: where results are kept.
        catalog: for the life-cycle hooks of loggers.
        listener: shows what happens.
        plugin_files: plugin files that workers have to load as well.
        fresh: repeat runs that are done.

    Returns:
        the record of every run, in the experiment's order, without outputs and weights.

    Raises:
        KeyboardInterrupt: after workers are ended and started runs are recorded as interrupted.
        StorageError: if results cannot be written any more, as on a full disk.
    """
    runs = {run.id: run for run in experiment.runs}
    store.begin(experiment.name, experiment.runs, experiment.document.text)
    records: dict[str, RunRecord] = {}
    if not fresh:
        for run_id in runs:
            record = store.read(run_id, arrays=False)
            if record is not None and record.status == "ok":
                records[run_id] = record
    listener.planned(experiment.runs, [runs[run_id] for run_id in records])
    loggers = _Loggers(catalog)

    def finish(run: RunSpec, record: RunRecord) -> None:
        records[run.id] = record
        listener.finished(run, record)
        loggers.call("inrbench_run_finished", run=run, result=record)

    waiting = []
    for run in experiment.runs:
        if run.id in records:
            continue
        if run.skip:
            finish(run, _write_failure(store, run, "skipped", run.skip))
        else:
            waiting.append(run)
    if waiting:
        executor: Executor = experiment.executor.build(runs=len(runs), device=experiment.runs[0].device)
        _drive(executor, waiting, store, list(plugin_files), listener, loggers, finish)
    return [records[run_id] for run_id in runs]


def _drive(
    executor: Executor,
    waiting: Sequence[RunSpec],
    store: RunStore,
    plugin_files: list[Path],
    listener: Listener,
    loggers: _Loggers,
    finish: Callable[[RunSpec, RunRecord], None],
) -> None:
    runs = {run.id: run for run in waiting}
    under_way: set[str] = set()
    try:
        for run in waiting:
            executor.submit(run.id, _payload(run, store.folder, plugin_files))
        for event in executor.events():
            run = runs[event.run_id]
            if event.what == "started":
                under_way.add(run.id)
                listener.started(run)
                loggers.call("inrbench_run_started", run=run)
            elif event.what == "progress" and event.progress is not None:
                listener.progress(run, event.progress)
                loggers.call("inrbench_progress", run=run, progress=event.progress)
            elif event.what == "finished":
                under_way.discard(run.id)
                record = store.read(run.id, arrays=False)
                finish(run, record or _write_failure(store, run, "failed", "its file cannot be read back"))
            elif event.what == "lost":
                under_way.discard(run.id)
                finish(run, _write_failure(store, run, "failed", event.error))
    except KeyboardInterrupt:
        executor.shutdown()
        for run_id in under_way:
            _write_failure(store, runs[run_id], "interrupted", "stopped by the user")
        raise
    finally:
        executor.shutdown()


def _payload(run: RunSpec, folder: Path, plugin_files: list[Path]) -> dict[str, Any]:
    """What a worker needs, as plain data; see `inrbench_core.runs.worker.work`."""
    return {
        "run": run.to_data(),
        "id": run.id,
        "folder": str(folder.resolve()),
        "plugin_files": [str(file.resolve()) for file in plugin_files],
    }


def _write_failure(store: RunStore, run: RunSpec, status: Status, message: str) -> RunRecord:
    record = RunRecord(run.id, run.to_data(), status, message=message)
    try:
        store.write(record)
    except OSError as error:
        # Nothing that is fitted from now on could be kept.
        raise StorageError(
            f"{store.folder}: cannot be written: {error.strerror}; stopped. "
            "What is done is kept, and the same command goes on from there"
        ) from None
    return record


class _Loggers:
    """Calls the life-cycle hooks; one that raises is reported once and not called again."""

    def __init__(self, catalog: Catalog) -> None:
        self.manager = catalog.manager
        self.broken: set[Any] = set()

    def call(self, hook_name: str, **arguments: Any) -> None:
        for implementation in getattr(self.manager.hook, hook_name).get_hookimpls():
            if implementation.plugin in self.broken:
                continue
            try:
                implementation.function(**{name: arguments[name] for name in implementation.argnames})
            except Exception as error:
                self.broken.add(implementation.plugin)
                warnings.warn(
                    f"{hook_name} of {implementation.plugin_name} raised and is left out from now on: "
                    f"{one_line(error)}",
                    stacklevel=2,
                )
