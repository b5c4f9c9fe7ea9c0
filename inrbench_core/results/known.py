"""Runs that were made elsewhere and need not be repeated: `eval --known FILE`. Imports no torch.

A run is known if a table has the same settings; the code and the kind of device may be others, which its origin says.
What an experiment uses of such tables is kept in its folder, as `known/HASH.csv` in the format of exported tables.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from inrbench_core.api.errors import InrbenchError, StorageError
from inrbench_core.results.export import OTHER_CODE, export_results, read_known
from inrbench_core.results.merging import conflicts, every_run
from inrbench_core.results.results import ResultRun, Results
from inrbench_core.runs.identity import digest, group_of, run_id, settings_of
from inrbench_core.runs.plan import Plan
from inrbench_core.runs.record import KnownRecord, RunRecord, done_runs
from inrbench_core.runs.run import AnyRun
from inrbench_core.runs.store import KNOWN, RunStore


class Known:
    """The good runs of exported tables, by what was asked for.

    Args:
        files: csv or parquet; of two that have the same run, the first counts.

    Raises:
        InrbenchError: if a file is not usable.
    """

    def __init__(self, files: Sequence[Path]) -> None:
        self.files = tuple(dict.fromkeys(files))
        self._found: dict[str, list[tuple[ResultRun, KnownRecord]]] = {}
        for file in self.files:
            for run in every_run(read_known(file, called=file.name)):
                if isinstance(run.record, KnownRecord) and run.status == "ok":
                    settings = settings_of(group_of(run.record.run), run.record.run)
                    self._found.setdefault(settings, []).append((run, run.record))

    def take(self, runs: Iterable[AnyRun], records: Mapping[str, RunRecord]) -> dict[str, KnownRecord]:
        """What is known of runs that have no good record in the folder, by the id that they have here.

        Args:
            runs: of the plan.
            records: of the folder, by id.
        """
        done = done_runs(records)
        return {
            run.id: self._best(run, self._found[run.settings])
            for run in runs
            if run.settings in self._found and run.id not in done
        }

    def remarks(self, runs: Iterable[AnyRun], folder: Results) -> list[str]:
        """A line for each file that has none of the runs, and for runs with other figures in another place.

        Args:
            runs: of the plan.
            folder: what is in the folder of results.
        """
        settings = dict.fromkeys(run.settings for run in runs)
        found = [run for item in settings for run, _ in self._found.get(item, ())]
        used = {run.folder for run in found}
        lines = [f"{file}: it has no good run of this spec" for file in self.files if file not in used]
        return lines + conflicts([*every_run(folder), *found])

    @staticmethod
    def _best(run: AnyRun, found: Sequence[tuple[ResultRun, KnownRecord]]) -> KnownRecord:
        """The very run if a file has it; else the first of the same settings, its origin saying what differs."""
        for item, record in found:
            if item.id == run.id:
                return record
        _, record = found[0]
        origin = record.origin.removesuffix(OTHER_CODE)
        own = run.to_data()
        kind = record.run["device"].partition(":")[0]
        if kind != run.device.partition(":")[0]:
            origin += f", {kind}"
        if any(record.run[key] != own[key] for key in ("code", "targets")):
            origin += OTHER_CODE
        return replace(record, origin=origin)


def planned(plan: Plan) -> Iterator[AnyRun]:
    """Every run that a plan has or may choose: final ones, trials, and what each trial would be as a final run."""
    for board in plan.boards:
        for row in board.rows:
            yield from row.runs
            for trial in row.trials:
                yield from (*trial.runs, *trial.final)


def keep(
    store: RunStore, data: Mapping[str, Any], known: Mapping[str, KnownRecord], results: Results
) -> dict[str, Any]:
    """Keep the known runs of an experiment in its folder, so that its tables need the file no more.

    Args:
        store: the folder; its lock is held.
        data: of the experiment.
        known: what was taken, by the id that each run has here.
        results: of the experiment, with these records.

    Returns:
        the data, with what `kept` needs.

    Raises:
        StorageError: if the folder cannot be written.
    """
    boards = []
    for board in results.boards:
        rows = (replace(row, runs=_known_of(row.runs), trials=_known_of(row.trials)) for row in board.rows)
        boards.append(replace(board, rows=tuple(row for row in rows if row.runs or row.trials)))
    used = Results(tuple(boards))
    facts = {run.id: run.record.facts() for run in every_run(used) if run.record is not None}
    if not facts:
        return dict(data)
    path = store.folder / KNOWN / f"{digest(facts)}.csv"
    try:
        path.parent.mkdir(exist_ok=True)
    except OSError as error:
        raise StorageError(f"{path.parent}: cannot be written: {error.strerror}") from None
    export_results(used, path)
    ids = {here: run_id(record.run) for here, record in known.items()}
    shown = {here: there for here, there in ids.items() if there in facts}
    return {**data, "known": {"file": path.name, "runs": shown}}


def kept(store: RunStore, data: Mapping[str, Any] | None, records: Mapping[str, RunRecord]) -> dict[str, RunRecord]:
    """The records of an experiment, with what was known of runs that have no good one in the folder.

    Args:
        store: the folder; a file of known runs that is not usable becomes one of its warnings.
        data: of the experiment; None if the folder has nothing of it yet.
        records: of the folder, by id.
    """
    if data is None or "known" not in data:
        return dict(records)
    path = store.folder / KNOWN / data["known"]["file"]
    try:
        results = read_known(path, called="")
    except InrbenchError as error:
        reason = str(error).removeprefix(f"{path}: ")
        store.unusable[f"{KNOWN}/{path.name}"] = f"{reason}; `eval` with --known writes it again"
        return dict(records)
    done = done_runs(records)
    found = {run.id: run.record for run in every_run(results) if run.record is not None}
    ids = {here: there for here, there in data["known"]["runs"].items() if there in found and here not in done}
    return {**records, **{here: found[there] for here, there in ids.items()}}


def _known_of(runs: Sequence[ResultRun]) -> tuple[ResultRun, ...]:
    return tuple(run for run in runs if run.origin)
