"""Results from folders, and from plans that were carried out. Imports no torch."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from inrbench_core.api.entries import Metric
from inrbench_core.api.errors import InrbenchError
from inrbench_core.results.export import read_known
from inrbench_core.results.known import kept
from inrbench_core.results.merging import merge
from inrbench_core.results.results import Chosen, ResultBoard, ResultRow, ResultRun, Results
from inrbench_core.results.table_file import SUFFIXES
from inrbench_core.runs.identity import run_id
from inrbench_core.runs.plan import Plan, PlannedRow
from inrbench_core.runs.record import KnownRecord, RunRecord
from inrbench_core.runs.store import RunStore


def load_results(*places: str | Path, every: bool = False) -> Results:
    """What is in folders of results and in exported tables, put together; no plugin is needed.

    Args:
        places: folders, as `inrbench eval` names them, and files that `Results.export` wrote; at least one. Of a run
            that is in several, the one in a folder counts, else the one that is given first.
        every: also experiments that were started earlier in the same folder, not only the last one.

    Raises:
        InrbenchError: if a folder holds no results, or a file is not a whole exported table.
    """
    if not places:
        raise InrbenchError("load_results needs a folder of results, or an exported table")
    parts = []
    paths = list(dict.fromkeys(map(Path, places)))
    names = [path.resolve().name for path in paths]
    for path, name in zip(paths, names, strict=True):
        place = name if names.count(name) == 1 else str(path)
        if path.is_file() or (path.suffix.lower() in SUFFIXES and not path.is_dir()):
            parts.append((place, read_known(path, called=path.name)))
            continue
        store = RunStore(path)
        experiments = list(store.experiments())
        chosen = experiments if every else experiments[-1:]
        records = store.records({found for data in chosen for found in ids_of(data)})
        parts += [
            (str(data["name"]) if len(paths) == 1 else place, results_of(data, kept(store, data, records), store))
            for data in chosen
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
                **_choice_data(row),
            }
            for row in board.rows
        ]
        metrics = [metric.to_data() for metric in board.metrics]
        boards.append({"label": board.board.label, "metrics": metrics, "rank_by": board.rank_by, "rows": rows})
    experiment = plan.experiment
    return {
        "name": experiment.name,
        "spec": experiment.document.text,
        # With these the plan can be made again from the text.
        "settings": list(experiment.settings),
        "spec_folder": str(experiment.document.folder),
        "boards": boards,
    }


def _choice_data(row: PlannedRow) -> dict[str, Any]:
    """What a row has beside its runs if its options are chosen by trial runs."""
    if not row.trials:
        return {}
    trials = [[run.id, run.signal, run.seed] for trial in row.trials for run in trial.runs]
    return {"trials": trials, "chosen": None if row.chosen is None else dict(row.chosen)}


def ids_of(data: Mapping[str, Any]) -> set[str]:
    """The ids of all runs of an experiment, as `experiment_data` gives it."""
    rows = [row for board in data["boards"] for row in board["rows"]]
    return {found for row in rows for found, *_ in (*row["runs"], *row.get("trials", ()))}


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
            facts = {"task": board["label"], "field": row["label"], "baseline": row["baseline"], "folder": store.folder}
            runs, trials = (
                tuple(
                    _result_run(planned_id, records.get(planned_id), signal=signal, seed=seed, role=role, **facts)
                    for planned_id, signal, seed in row.get(key, ())
                )
                for key, role in (("runs", "final"), ("trials", "trial"))
            )
            chosen = Chosen.from_data(row["chosen"]) if row.get("chosen") else None
            skip = row["skip"]
            if skip:
                # What lacks an extra here may have been carried out where it is installed.
                runs = tuple(run for run in runs if run.record is not None)
                skip = "" if runs else skip
            if trials and chosen is None and not skip:
                done = sum(trial.status in ("ok", "diverged") for trial in trials)
                skip = f"its options are not chosen yet: {done} of {len(trials)} trial runs are done"
            rows.append(ResultRow(row["label"], row["baseline"], skip, runs, trials, chosen))
        metrics = tuple(Metric(**metric) for metric in board["metrics"])
        boards.append(ResultBoard(board["label"], metrics, board["rank_by"], tuple(rows)))
    warnings = tuple(f"{store.folder}: {name}: {reason}" for name, reason in store.unusable.items())
    return Results(tuple(boards), warnings, frozenset(failed))


def _result_run(planned_id: str, record: RunRecord | None, **facts: Any) -> ResultRun:
    """A run of a table; one whose figures were made elsewhere has the id that it has there."""
    if isinstance(record, KnownRecord):
        return ResultRun(id=run_id(record.run), record=record, origin=record.origin, **facts)
    return ResultRun(id=planned_id, record=record, **facts)
