"""What a worker does with a job, in whatever process or machine an executor put it."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from inrbench_core.api.errors import InrbenchError
from inrbench_core.api.executor import Job, Progress
from inrbench_core.plugins.catalog import Catalog
from inrbench_core.plugins.failures import one_line
from inrbench_core.plugins.fingerprints import note_imported
from inrbench_core.plugins.loading import load_catalog
from inrbench_core.runs.execute import execute_all
from inrbench_core.runs.identity import run_id
from inrbench_core.runs.outcome import failure
from inrbench_core.runs.run import AnyRun, run_from_data
from inrbench_core.runs.runfile import encode

_busy = threading.Lock()
# Targets whose modules were imported while their code had the fingerprint that jobs name.
_verified: set[tuple[str, str]] = set()


@lru_cache(maxsize=1)
def _catalog(plugin_files: tuple[str, ...]) -> Catalog:
    return load_catalog([Path(file) for file in plugin_files])


class CodeChanged(InrbenchError):
    """A worker has other code than the one that planned its job, as after an edit."""


def work(
    job: Job,
    on_progress: Callable[[str, Progress], None] | None = None,
    files: Mapping[str, str] | None = None,
) -> Iterator[tuple[str, bytes]]:
    """Carry out a job's runs: together where they are like fits that are faster so, else one after the other.

    Args:
        job: what to do.
        on_progress: called with a run's id and its progress about ten times a second.
        files: where the job's files are on this machine, if not under their own paths.

    Yields:
        a run's id and its finished file, whether it is ok or not.

    Raises:
        RuntimeError: if this process is doing another job: torch's global generator decides initialisations, so that
            threads would mix up each other's seeds.
        CodeChanged: if its plugins are not those that the job was planned with.
    """
    if not _busy.acquire(blocking=False):
        raise RuntimeError("this process is already doing a job; an executor needs one process for each")
    try:
        places = files or {}
        catalog = _catalog(tuple(places.get(file, file) for file in job.plugin_files))
        planned = {run_id(data): data for data in job.runs}
        relocated = {name: _relocated(data, places) for name, data in planned.items()}
        runs = [_rebuilt(data, name, catalog) for name, data in relocated.items()]

        def tell(run: AnyRun, progress: Progress) -> None:
            if on_progress is not None:
                on_progress(run.id, progress)

        imported = len(sys.modules)
        for run, record in execute_all(runs, tell):
            if len(sys.modules) != imported:
                # Some code was only imported during the run; it has to be the planned one, too.
                _verify(relocated[run.id], run.id, catalog)
                imported = len(sys.modules)
            # The record names files by the user's paths.
            record = replace(record, run=dict(planned[run.id]))
            try:
                content = encode(record)
            except (
                Exception
            ) as error:  # What a task or an analysis gave may be anything; the other runs of the job go on.
                content = encode(failure(run, "failed", f"its record cannot be written: {one_line(error)}"))
            yield run.id, content
    finally:
        _busy.release()


def _relocated(data: Mapping[str, Any], places: Mapping[str, str]) -> dict[str, Any]:
    """A run whose files are elsewhere on this machine."""
    options = {
        key: places.get(value, value) if isinstance(value, str) else value for key, value in data["task"].items()
    }
    return {**data, "task": options, "files": {places.get(path, path): found for path, found in data["files"].items()}}


def _rebuilt(data: Mapping[str, Any], expected: str, catalog: Catalog) -> AnyRun:
    """The run of a job. Raises CodeChanged if this process would compute something else under its id."""
    code = data["code"]
    run = run_from_data(data, catalog, lambda components: code)
    keys = {(target, str(code)) for target in data["targets"]}
    if run.id == expected and keys <= _verified:
        return run
    for part in run.parts:
        part.entry.load()
    # Read from disk after the import: an edit in between would be run under the old code's name.
    _verify(data, expected, catalog)
    _verified.update(keys)
    return run


def _verify(data: Mapping[str, Any], expected: str, catalog: Catalog) -> None:
    """Raise CodeChanged unless the code on disk, and what was imported of it, is what the run was planned with."""
    now = run_from_data(data, catalog)
    planned = data["code"]
    changed = [name for name, found in now.code.items() if planned.get(name) != found]
    if now.id != expected:
        raise CodeChanged(
            f"the code of {', '.join(changed) or 'a component'} is not what the experiment was planned with; "
            "start it again to use what is there now"
        )
    if changed := note_imported(catalog, now.code):
        raise CodeChanged(f"this process has imported other code of {', '.join(changed)} before; it needs a new one")
