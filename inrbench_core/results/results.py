"""Results: one tidy table of runs, from which everything else is made. Imports no torch."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from inrbench_core.api.entries import Metric
from inrbench_core.api.errors import InrbenchError
from inrbench_core.runs.identity import group_of
from inrbench_core.runs.record import RunRecord
from inrbench_core.spec.lists import OWN_DATA

if TYPE_CHECKING:
    import pandas

    from inrbench_core.results.leaderboard import Leaderboard

PANDAS_EXTRA = "inrbench[pandas]"


@dataclass(frozen=True)
class ResultRun:
    """One run of a table.

    Args:
        id: of the run.
        task: what tables call the task.
        signal: what tables call the signal.
        field: what tables call the field or the baseline.
        seed: of the run.
        baseline: whether it is a measure for the others.
        role: final; or trial, for a run that only serves to choose options.
        record: its record, or None if it has none.
        folder: the folder of results, or the exported table, that it is in.
        origin: where its figures come from if they were not made in this folder, as a table that was given as known,
            and the version of inrbench that made them; "": made here.
    """

    id: str
    task: str
    signal: str
    field: str
    seed: int
    baseline: bool
    role: str
    record: RunRecord | None
    folder: Path
    origin: str = ""

    @property
    def status(self) -> str:
        """ok, diverged, failed, interrupted or missing."""
        return self.record.status if self.record is not None else "missing"

    @property
    def metrics(self) -> Mapping[str, float]:
        """Unrounded, by name; empty unless the run is ok."""
        return self.record.metrics if self.record is not None and self.status == "ok" else {}

    @property
    def serves_all_seeds(self) -> bool:
        """Whether it is a task's own baseline on data that all seeds of the table share."""
        run = self.record.run if self.record is not None else {}
        return bool(run.get("baseline")) and run["data_seed"] != OWN_DATA

    @property
    def path(self) -> Path:
        """Its file. Raises InrbenchError if its figures come from elsewhere."""
        if self.origin:
            raise InrbenchError(
                f"run {self.field} on {self.task}, seed {self.seed}: its figures come from {self.origin}; there is no "
                "file of it here, and so no weights"
            )
        return self.folder / "runs" / f"{self.id}.h5"

    def facts(self) -> dict[str, Any]:
        """All but the metrics, as plain data; None for what is not known."""
        record = self.record
        run = record.run if record is not None else {}
        return {
            "run": self.id,
            "group": group_of(run) if run else None,
            "task": self.task,
            "signal": self.signal,
            "field": self.field,
            "baseline": self.baseline,
            "seed": self.seed,
            "role": self.role,
            "status": self.status,
            "message": record.message if record is not None else "",
            "parameters": record.parameters if record is not None else None,
            "values": record.values if record is not None else None,
            "flops": record.flops if record is not None else None,
            "train_s": record.times.get("train") if record is not None else None,
            "total_s": record.times.get("total") if record is not None else None,
            "device": run.get("device"),
            "folder": str(self.folder),
            "origin": self.origin,
        }


@dataclass(frozen=True)
class Chosen:
    """What `select:` or `tuning:` chose for a row, and by what.

    Args:
        options: dotted key -> the value that was chosen.
        metric: the metric that chose.
        trials: how many settings were tried.
        signals: the signals that were tried on.
        seeds: the seeds that were tried with.
        published: the label of the row of the same field with the options that it had before; "" if there is none.
        diverged: how many of the trials have no figure because a run diverged.
        failed: how many of the others have no figure, because a run failed or lacks the metric.
    """

    options: Mapping[str, Any]
    metric: str
    trials: int
    signals: tuple[str, ...]
    seeds: tuple[int, ...]
    published: str = ""
    diverged: int = 0
    failed: int = 0

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Chosen:
        """The choice of plain data with these keys, in which lists stand for tuples. Raises TypeError or KeyError."""
        return cls(**{**data, "signals": tuple(data["signals"]), "seeds": tuple(data["seeds"])})


@dataclass(frozen=True)
class ResultRow:
    """The runs of one field, or of one baseline, on one task.

    Args:
        label: what tables call it.
        baseline: whether it is a measure for the others.
        skip: why it has no runs, or "".
        runs: over signals and seeds.
        trials: runs that only served to choose options; their role is "trial".
        chosen: what they chose, or None.
    """

    label: str
    baseline: bool
    skip: str
    runs: tuple[ResultRun, ...]
    trials: tuple[ResultRun, ...] = ()
    chosen: Chosen | None = None


@dataclass(frozen=True)
class ResultBoard:
    """What one table shows.

    Args:
        label: what tables call the task.
        metrics: the task's primary one first.
        rank_by: the metric that ranks where it is defined.
        rows: in the order of the spec.
    """

    label: str
    metrics: tuple[Metric, ...]
    rank_by: str
    rows: tuple[ResultRow, ...]


@dataclass(frozen=True)
class Results:
    """The runs of one or more experiments.

    Args:
        boards: one for each task.
        warnings: files that could not be used, and runs of which two places have different figures, one line each.
        failed: ids of the runs, trials excepted, that were carried out by this call and did not go well.
    """

    boards: tuple[ResultBoard, ...]
    warnings: tuple[str, ...] = ()
    failed: frozenset[str] = field(default_factory=frozenset)

    @property
    def runs(self) -> Iterator[ResultRun]:
        """Every run, table by table and row by row."""
        return (run for board in self.boards for row in board.rows for run in row.runs)

    def leaderboards(self, sort: str = "") -> list[Leaderboard]:
        """One ranked table for each task.

        Args:
            sort: the metric that ranks; "": the one that each task says.

        Raises:
            InrbenchError: if no task has that metric.
        """
        # Here, because leaderboards are made of the classes above: at the top the imports would be circular.
        from inrbench_core.results.leaderboard import make_leaderboards

        return make_leaderboards(self, sort)

    def to_records(self) -> list[dict[str, Any]]:
        """One mapping for each run and metric, as in `to_frame`, trial runs after those of their row.

        A run without metrics has one, with metric None.
        """
        rows = []
        for board in self.boards:
            units = {metric.name: metric.unit for metric in board.metrics}
            for row in board.rows:
                for run in (*row.runs, *row.trials):
                    facts = run.facts()
                    for name, value in run.metrics.items():
                        rows.append({**facts, "metric": name, "unit": units.get(name, ""), "value": value})
                    if not run.metrics:
                        rows.append({**facts, "metric": None, "unit": None, "value": math.nan})
        return rows

    def to_frame(self) -> pandas.DataFrame:
        """A pandas data frame, one row for each run and metric.

        Columns: run, group, task, signal, field, baseline, seed, role, status, message, parameters, values, flops,
        train_s, total_s, device, folder, origin, metric, unit, value.

        Raises:
            InrbenchError: if pandas is not installed.
        """
        try:
            import pandas
        except ImportError:
            raise InrbenchError(f"to_frame needs pandas: pip install '{PANDAS_EXTRA}'") from None
        return pandas.DataFrame(self.to_records())

    def best(self, task: str = "") -> ResultRun:
        """The first run of the field that ranks first; where fields share that rank, of the first of them.

        A run that was made here comes before those that only an exported table tells of.

        Args:
            task: the label of the task; "": the first one.

        Raises:
            InrbenchError: if there is no such task, or no field has a rank.
        """
        labels = [board.label for board in self.boards]
        if task and task not in labels:
            raise InrbenchError(f"no task {task!r}; there are {', '.join(labels)}")
        index = labels.index(task) if task else 0
        first = next((row for row in self.leaderboards()[index].rows if row.rank == 1), None)
        if first is None:
            raise InrbenchError(f"{labels[index]}: no field has a rank")
        return min((run for run in first.runs if run.status == "ok"), key=lambda run: bool(run.origin))

    def export(self, path: str | Path) -> None:
        """Write all runs to a csv or parquet file that `load_results` and `evaluate(known=...)` read.

        It has their settings, metrics, costs and versions, one row for each run; no arrays, weights or paths.

        Args:
            path: its suffix says the format; parquet needs `inrbench[parquet]`.

        Raises:
            InrbenchError: if there is no run, the suffix is another one, or pyarrow is not installed.
            StorageError: if the file cannot be written.
        """
        # Here, because the module is made of the classes above: at the top the imports would be circular.
        from inrbench_core.results.export import export_results

        export_results(self, Path(path))
