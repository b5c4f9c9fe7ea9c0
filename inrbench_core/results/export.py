"""Results as one file that others can use: figures, costs and versions of every run, no arrays. Imports no torch.

A user's file is in it by its content alone, so that neither a path of the machine nor its data is given away.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from inrbench_core.api.entries import Metric
from inrbench_core.api.errors import InrbenchError
from inrbench_core.results.merging import signal_hash, task_hash
from inrbench_core.results.results import Chosen, ResultBoard, ResultRow, ResultRun, Results
from inrbench_core.results.table_file import Cell, Kind, Row, read_table, write_table
from inrbench_core.runs.identity import group_of, run_id, settings_of
from inrbench_core.runs.record import STATUSES, KnownRecord
from inrbench_core.spec.experiment import plain_identity

KNOWN_SCHEMA = "inrbench.known/2"
METRIC, SECONDS = "metric.", "seconds."
# Of a row of a table that has no final run: why, as where its field does not go with the task.
SKIPPED = "skipped"
# The end of the origin of a run that was made with other code than what is installed.
OTHER_CODE = ", other code"
# Columns whose text is JSON: declared, chosen, problems, environment, run_data.
COLUMNS: dict[str, Kind] = {
    "run": str,
    "settings": str,
    "group": str,
    "task": str,
    "task_hash": str,
    "signal": str,
    "signal_hash": str,
    "field": str,
    "baseline": bool,
    "seed": int,
    "role": str,
    "status": str,
    "message": str,
    "origin": str,
    "device": str,
    "inrbench": str,
    "torch": str,
    "step": int,
    "parameters": int,
    "values": int,
    "synthetic": bool,
    "width": int,
    "flops": float,
    "peak_memory_bytes": int,
    "compiled": bool,
    "stacked": int,
    "rank_by": str,
    "declared": str,
    "chosen": str,
    "problems": str,
    "environment": str,
    "run_data": str,
}
# Characters of a message: readers of csv files take fields of 131,072 bytes at most, and a failure may quote its data.
LONGEST_MESSAGE = 1000
# At least two names: "/" alone, or a fraction, is no path.
_ABSOLUTE_PATH = re.compile(r"(?<![\w:/.])(?:/[^\s/:;,'\"()]+){2,}")


def export_results(results: Results, path: Path) -> int:
    """Write one row for each run, final or trial, to a csv or parquet file.

    Args:
        results: what is exported.
        path: the file; its suffix says the format. It is replaced if it is there.

    Returns:
        how many runs are in it.

    Raises:
        InrbenchError: if there is no run, the suffix is another one, or pyarrow is not installed.
        StorageError: if the file cannot be written.
    """
    rows = [row for board in results.boards for item in board.rows for row in _rows(board, item)]
    count = sum(row["status"] != SKIPPED for row in rows)
    if not count:
        raise InrbenchError(f"{path}: not written: there is no run to export")
    found = dict.fromkeys(name for row in rows for name in row if name not in COLUMNS)
    write_table(path, KNOWN_SCHEMA, {**COLUMNS, **dict.fromkeys(found, float)}, rows)
    return count


def read_known(path: Path, *, called: str) -> Results:
    """The results in a file that `export_results` wrote; their records have no arrays.

    Args:
        path: the file.
        called: what the origins of its runs call the file; "": they stay as they were exported.

    Raises:
        InrbenchError: if it is not readable, another kind of file, of another schema, or damaged.
    """
    boards: dict[str, _Board] = {}
    for number, row in enumerate(read_table(path, KNOWN_SCHEMA, _kind_of), start=1):
        try:
            _take(row, path, called, boards)
        except (KeyError, ValueError, TypeError, AttributeError, RecursionError) as error:
            raise InrbenchError(f"{path}: row {number} is not that of a run ({type(error).__name__})") from None
    return Results(tuple(board.result(label) for label, board in boards.items()))


def _kind_of(name: str) -> Kind | None:
    return COLUMNS.get(name, float if name.startswith((METRIC, SECONDS)) else None)


def _rows(board: ResultBoard, row: ResultRow) -> Iterable[Row]:
    chosen = json.dumps(asdict(row.chosen)) if row.chosen is not None else ""
    common: Row = {
        "task": board.label,
        "field": row.label,
        "baseline": row.baseline,
        "rank_by": board.rank_by,
        "declared": json.dumps([metric.to_data() for metric in board.metrics]),
        "chosen": chosen,
    }
    runs = (*row.runs, *row.trials)
    for run in runs:
        yield {**common, **_run_cells(run)}
    if row.skip or not runs:
        yield {**common, "role": "final", "status": SKIPPED, "message": _portable_text(row.skip, ())}


def _run_cells(run: ResultRun) -> Row:
    """What is known of a run; of one without a record little."""
    cells: Row = {
        "run": run.id,
        "signal": run.signal,
        "seed": run.seed,
        "role": run.role,
        "status": run.status,
        "origin": run.origin,
    }
    record = run.record
    if record is None:
        return cells
    files = record.run["files"]
    group = group_of(record.run)
    return {
        **cells,
        "settings": settings_of(group, record.run),
        "group": group,
        "task_hash": task_hash(record.run),
        "signal_hash": signal_hash(record.run),
        "message": _portable_text(record.message, files),
        "device": record.run["device"],
        "inrbench": _version(record.environment),
        "torch": record.environment.get("torch", ""),
        "step": record.step,
        "parameters": record.parameters,
        "values": record.values,
        "synthetic": record.data.get("synthetic"),
        "width": record.width,
        "flops": float(record.flops),
        "peak_memory_bytes": record.peak_memory_bytes,
        "compiled": record.compiled,
        "stacked": record.stacked,
        "problems": json.dumps([_portable_text(text, files) for text in record.problems]),
        "environment": json.dumps(dict(record.environment)),
        "run_data": json.dumps(_portable(record.run)),
        **{METRIC + name: float(value) for name, value in record.metrics.items()},
        **{SECONDS + phase: float(value) for phase, value in record.times.items()},
    }


def _portable(data: Mapping[str, Any]) -> dict[str, Any]:
    """A run's plain data with the same id, group and hashes, in which users' files are named by their content."""
    hashes = sorted(data["files"].values())
    files = {f"file {number}": content for number, content in enumerate(hashes, start=1)}
    return {**data, "task": plain_identity(data["task"], data["files"]), "files": files}


def _portable_text(text: str, files: Iterable[str]) -> str:
    """The text with the last name of each absolute path alone, cut where it is longer than other text is."""
    for path in files:
        text = text.replace(path, Path(path).name)
    text = _ABSOLUTE_PATH.sub(lambda found: found.group().rpartition("/")[2], text)
    return text if len(text) <= LONGEST_MESSAGE else f"{text[: LONGEST_MESSAGE - 3]}..."


def _version(environment: Mapping[str, Any]) -> str:
    return str(environment.get("versions", {}).get("inrbench", ""))


@dataclass
class _Row:
    """A row of a table while it is read."""

    skip: str = ""
    chosen: Chosen | None = None
    runs: dict[str, list[ResultRun]] = field(default_factory=lambda: {"final": [], "trial": []})


@dataclass
class _Board:
    """A table while it is read; rows by whether they are baselines, and label."""

    metrics: tuple[Metric, ...]
    rank_by: str
    rows: dict[tuple[bool, str], _Row] = field(default_factory=dict)

    def result(self, label: str) -> ResultBoard:
        rows = (
            ResultRow(name, baseline, row.skip, tuple(row.runs["final"]), tuple(row.runs["trial"]), row.chosen)
            for (baseline, name), row in self.rows.items()
        )
        return ResultBoard(label, self.metrics, self.rank_by, tuple(rows))


def _take(cells: Row, path: Path, called: str, boards: dict[str, _Board]) -> None:
    """Put a row of the file where it belongs; what it raises if it is none `read_known` tells."""
    row: dict[str, Any] = cells
    declared = json.loads(row["declared"])
    board = boards.setdefault(row["task"], _Board(tuple(Metric(**item) for item in declared), row["rank_by"]))
    line = board.rows.setdefault((row["baseline"], row["field"]), _Row())
    if row["chosen"]:
        line.chosen = Chosen.from_data(json.loads(row["chosen"]))
    if row["status"] == SKIPPED:
        line.skip = row["message"]
        return
    origin = _origin(row, called) if called else row["origin"]
    record = _record(row, declared, origin) if row["run_data"] else None
    facts = {name: row[name] for name in ("task", "signal", "field", "seed", "baseline", "role")}
    line.runs[row["role"]].append(ResultRun(id=row["run"], record=record, folder=path, origin=origin, **facts))


def _record(row: Mapping[str, Any], declared: list[dict[str, Any]], origin: str) -> KnownRecord:
    data = json.loads(row["run_data"])
    if run_id(data) != row["run"] or row["status"] not in STATUSES:
        raise ValueError("it is another run's, or of no known status")
    same = ("status", "message", "step", "rank_by", "baseline", "parameters", "values", "width", "flops")
    return KnownRecord(
        run=data,
        metrics=_figures(row, METRIC),
        declared=tuple(declared),
        times=_figures(row, SECONDS),
        peak_memory_bytes=row["peak_memory_bytes"],
        compiled=row["compiled"],
        stacked=row["stacked"],
        data={} if row["synthetic"] is None else {"synthetic": row["synthetic"]},
        environment=json.loads(row["environment"]),
        problems=tuple(json.loads(row["problems"])),
        read_arrays=_no_arrays(data),
        origin=origin,
        **{name: row[name] for name in same},
    )


def _figures(row: Mapping[str, Cell], prefix: str) -> dict[str, float]:
    return {
        name.removeprefix(prefix): float(value)
        for name, value in row.items()
        if name.startswith(prefix) and value is not None
    }


def _no_arrays(data: Mapping[str, Any]) -> Any:
    """Told when the arrays of a run are asked for."""

    def read() -> Any:
        raise InrbenchError(
            f"run {data['label']} on {data['task_label']}, seed {data['seed']}: only its figures are known, from an "
            "exported table; its weights and curves are where it was fitted"
        )

    return read


def _origin(row: Mapping[str, Any], called: str) -> str:
    """The file and the version that made the run; of a run that came to it from another file also that one."""
    if row["origin"]:
        return f"{called}: {row['origin'].removesuffix(OTHER_CODE)}"
    return f"{called}, inrbench {row['inrbench']}" if row["inrbench"] else called
