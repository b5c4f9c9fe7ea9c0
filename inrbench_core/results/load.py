"""Leaderboards from an experiment's folder."""

from __future__ import annotations

from inrbench_core.api.entries import TaskEntry
from inrbench_core.api.errors import InrbenchError
from inrbench_core.plugins.catalog import Catalog, LookupFailure
from inrbench_core.results.leaderboard import Leaderboard, make_leaderboards
from inrbench_core.runs.store import RunStore


def load_leaderboards(store: RunStore, catalog: Catalog) -> list[Leaderboard]:
    """One leaderboard for each task of the experiment in the store.

    Raises:
        InrbenchError: if the folder holds no experiment, or a task's plugin is not there any more.
    """
    planned = store.planned()
    found = {run.id: store.read(run.id, arrays=False) for run in planned}
    records = {run_id: record for run_id, record in found.items() if record is not None}
    entries: dict[str, TaskEntry] = {}
    for run in planned:
        try:
            entry = catalog.find("task", run.task).entry
        except LookupFailure as failure:
            raise InrbenchError(f"{store.folder}: {failure}") from None
        assert isinstance(entry, TaskEntry)
        entries[run.task_label] = entry
    return make_leaderboards(planned, records, entries)
