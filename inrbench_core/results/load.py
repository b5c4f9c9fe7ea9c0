"""Results from folders, and from plans that were carried out. Imports no torch."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from inrbench_core.api.entries import Metric
from inrbench_core.api.errors import InrbenchError
from inrbench_core.results.merging import merge
from inrbench_core.results.results import ResultBoard, ResultRow, ResultRun, Results
from inrbench_core.runs.plan import Plan
from inrbench_core.runs.record import RunRecord
from inrbench_core.runs.store import RunStore


def load_results(*folders: str | Path, every: bool = False) -> Results:
    """What is in folders of results, put together; no plugin is needed.

    Args:
        folders: as `inrbench eval` names them; at least one.
        every: also experiments that were started earlier in the same folder, not only the last one.

    Raises:
        InrbenchError: if a folder holds no results.
    """
    if not folders:
        raise InrbenchError("load_results needs a folder of results")
    parts = []
    stores = [RunStore(folder) for folder in dict.fromkeys(map(Path, folders))]
    names = [store.folder.resolve().name for store in stores]
    for store, folder_name in zip(stores, names, strict=True):
        experiments = list(store.experiments())
        chosen = experiments if every else experiments[-1:]
        ids = {
            run_id for data in chosen for board in data["boards"] for row in board["rows"] for run_id, *_ in row["runs"]
        }
        records = store.records(ids)
        place = folder_name if names.count(folder_name) == 1 else str(store.folder)
        parts += [
            (str(data["name"]) if len(stores) == 1 else place, results_of(data, records, store)) for data in chosen
        ]
    return parts[0][1] if len(parts) == 1 else merge(parts)


def experiment_data(plan: Plan) -> dict[str, Any]:
    """What a plan is made of, as plain data to be kept with its results."""
    boards = []
    for board in plan.boards:
        rows = [
            {
                "label": row.label,
                "baseline": row.baseline,
                "skip": row.skip,
                "runs": [[run.id, run.signal, run.seed] for run in row.runs],
            }
            for row in board.rows
        ]
        metrics = [metric.to_data() for metric in board.metrics]
        boards.append({"label": board.board.label, "metrics": metrics, "rank_by": board.rank_by, "rows": rows})
    return {"name": plan.experiment.name, "spec": plan.experiment.document.text, "boards": boards}


def results_of(
    data: Mapping[str, Any], records: Mapping[str, RunRecord], store: RunStore, failed: Collection[str] = ()
) -> Results:
    """The results of one experiment, whatever else is in the folder.

    Args:
        data: what `experiment_data` gives.
        records: the record of every run that has one, by id.
        store: the folder; each of its files that is not usable becomes a warning.
        failed: ids of the runs that were carried out now and did not go well.
    """
    boards = []
    for board in data["boards"]:
        rows = []
        for row in board["rows"]:
            runs = tuple(
                ResultRun(
                    id=run_id,
                    task=board["label"],
                    signal=signal,
                    field=row["label"],
                    seed=seed,
                    baseline=row["baseline"],
                    role="final",
                    record=records.get(run_id),
                    folder=store.folder,
                )
                for run_id, signal, seed in row["runs"]
            )
            rows.append(ResultRow(row["label"], row["baseline"], row["skip"], runs))
        metrics = tuple(Metric(**metric) for metric in board["metrics"])
        boards.append(ResultBoard(board["label"], metrics, board["rank_by"], tuple(rows)))
    warnings = tuple(f"{store.folder}: {name}: {reason}" for name, reason in store.unusable.items())
    return Results(tuple(boards), warnings, frozenset(failed))
