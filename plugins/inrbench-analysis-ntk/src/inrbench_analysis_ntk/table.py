"""The table of `inrbench ntk`: what the kernel at the start says of each field, beside how well it fits at the end.

Imports no torch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console

from inrbench_analysis_ntk.overview import FieldCurves
from inrbench_analysis_ntk.seen import Seen, at_end, at_start, first_with, last_with, seen_by_part
from inrbench_core.api.errors import InrbenchError
from inrbench_core.results.formats import (
    FOLD_NAME,
    FOLD_RUNS,
    format_summary,
    heading,
    json_data,
    runs_text,
)
from inrbench_core.results.leaderboard import Leaderboard, Row, Summary
from inrbench_core.results.numbers import format_number, header
from inrbench_core.results.results import ResultRun, Results
from inrbench_core.results.tables import Column, print_line, print_table

SCHEMA = "inrbench.ntk/1"
ANALYSIS = "ntk"
# Of the kernel at the start; what it predicts for the end of the fit; what is known at the end alone.
START = ("participation_ratio", "decay_exponent", "target_energy_100", "silent_share")
PREDICTED = ("linearised_error", "linearised_held_out_error")
END = ("drift",)
CURVES_START = (
    *("eigenvalues", "target_energy", "frequency", "frequency_hz", "response", "predicted_steps"),
    *("ring_target", "ring_error", "linearised_steps", "linearised_fit", "linearised_held_out"),
)
CURVES_END = (
    *("eigenvalues", "target_energy", "response", "ring_error", "measured_steps"),
    *("adam_eigenvalues", "adam_response", "adam_predicted_steps"),
)


@dataclass(frozen=True)
class NtkRow:
    """A field of a table; of a problem with several fields, one of them.

    Args:
        label: what the table calls it.
        row: the field's row of the leaderboard.
        metrics: means over the runs that have the figure.
        curves: of the first run that has any; None if there is none.
        source: which run that is, where there are several signals or seeds; else "".
        problems: why figures are missing, one line each.
    """

    label: str
    row: Row
    metrics: Mapping[str, Summary]
    curves: FieldCurves | None
    source: str
    problems: tuple[str, ...]


@dataclass(frozen=True)
class NtkTable:
    """The fields of one task.

    Args:
        board: the task's leaderboard.
        rows: ranked by the task's metric if the fields were trained, else in the order of the spec.
        trained: whether they were.
    """

    board: Leaderboard
    rows: tuple[NtkRow, ...]
    trained: bool

    @property
    def curves(self) -> list[FieldCurves]:
        """Of every field that has any."""
        return [row.curves for row in self.rows if row.curves is not None]


def make_tables(results: Results) -> list[NtkTable]:
    """One table for each task of the results; answers that need no network have no kernel and are left out."""
    tables = []
    for board, ranked in zip(results.boards, results.leaderboards(), strict=True):
        fields = [row for row in ranked.rows if not _is_answer(row)]
        good = [run.record for row in fields for run in row.runs if run.record is not None and run.status == "ok"]
        trained = not good or any(record.step for record in good)
        if not trained:
            # An answer may have a field's name; it is before the fields.
            place = {(row.label, row.baseline): index for index, row in enumerate(board.rows)}
            fields.sort(key=lambda row: place[row.label, row.baseline])
        tables.append(NtkTable(ranked, tuple(line for row in fields for line in _rows(row, ranked.counts)), trained))
    return tables


def _is_answer(row: Row) -> bool:
    """Whether it is a baseline that is no field."""
    records = [run.record for run in row.runs if run.record is not None]
    return row.baseline and all(record.run.get("field") is None for record in records)


def _rows(row: Row, counts: tuple[int, int]) -> list[NtkRow]:
    seen, problems = [], list(row.problems)
    for run in row.runs:
        try:
            if run.status == "ok" and run.record is not None:
                # Read but not kept: the arrays of all runs together may be large.
                seen.append((run, seen_by_part(run.record.read_arrays().analyses.get(ANALYSIS, {}))))
        except InrbenchError as error:
            problems.append(str(error))
    parts = sorted({part for _, found in seen for part, moments in found.items() if moments}) or [""]
    of_part = {part: [(run, found[part]) for run, found in seen if found.get(part)] for part in parts}
    return [_row(row, part, found, counts, problems) for part, found in of_part.items()]


def _row(
    row: Row,
    part: str,
    seen: Sequence[tuple[ResultRun, list[Seen]]],
    counts: tuple[int, int],
    problems: Sequence[str],
) -> NtkRow:
    label = f"{row.label}: {part}" if part else row.label
    metrics = {name: Summary.of([at_start(moments, name) for _, moments in seen]) for name in START + PREDICTED}
    metrics |= {name: Summary.of([at_end(moments, name) for _, moments in seen]) for name in END}
    curves = FieldCurves(label, _group(seen[0][0]), seen[0][1]) if seen else None
    signals, seeds = counts
    words = [seen[0][0].signal] * (signals > 1) + [f"seed {seen[0][0].seed}"] * (seeds > 1) if seen else []
    return NtkRow(label, row, metrics, curves, ", ".join(words), tuple(problems))


def _group(run: ResultRun) -> str:
    """The field and the components in it but the last, which is its nonlinearity: "mlp, rff", "kan"."""
    field: Mapping[str, Any] = run.record.run["field"] if run.record is not None else {}
    inner = [str(value["name"]) for value in field.values() if isinstance(value, Mapping) and "name" in value]
    return ", ".join([str(field.get("name", "")), *inner[:-1]])


def print_ntk_tables(console: Console, tables: Sequence[NtkTable]) -> None:
    """Print the tables, each with the reasons for what is missing in it; columns without a figure are left out."""
    for table in tables:
        names = [
            name
            for name in START + PREDICTED + END
            if (table.trained or name not in END) and any(row.metrics[name].count for row in table.rows)
        ]
        quality = table.board.rank_by
        columns = [Column("field", FOLD_NAME), Column("parameters", leave_out=1)]
        # The less a figure says of the fit, the sooner it is left out where the terminal is narrow.
        order = ("decay_exponent", "linearised_error", "silent_share", "linearised_held_out_error", "drift")
        columns += [Column(name, leave_out=2 + order.index(name) if name in order else 0) for name in names]
        columns += [Column(header(quality))] if table.trained else []
        columns.append(Column("runs", FOLD_RUNS))
        cells = [_cells(row, names, table) for row in table.rows]
        styles = ["dim" if row.row.baseline else "" if row.row.complete else "yellow" for row in table.rows]
        title = heading(table.board) if table.trained else f"{table.board.task_label} (before the first step)"
        print_table(console, title, columns, cells, styles, "--json has all")
        for line in dict.fromkeys(f"{row.row.label}: {problem}" for row in table.rows for problem in row.problems):
            print_line(console, line)
        if any(row.source for row in table.rows):
            print_line(console, "figures are means over runs; curves and pictures are those of a field's first run")


def _cells(row: NtkRow, names: Sequence[str], table: NtkTable) -> list[str]:
    quality = table.board.rank_by
    return [
        f"{row.label} (baseline)" if row.row.baseline else row.label,
        f"{row.row.parameters:,}" if row.row.parameters else "-",
        *(format_number(row.metrics[name].mean) for name in names),
        *([format_summary(row.row.metrics[quality.name], quality.unit)] if table.trained else []),
        runs_text(row.row),
    ]


def table_data(table: NtkTable) -> dict[str, Any]:
    """A table with its curves as plain data; a figure that is not finite is null."""
    (board,) = json_data([table.board])["tasks"]
    # Not by their labels: an answer may have a field's.
    of_row = {id(row): data for row, data in zip(table.board.rows, board.pop("rows"), strict=True)}
    rows = []
    for row in table.rows:
        shared = of_row[id(row.row)]
        metrics = {
            name: {"mean": finite(found.mean), "std": finite(found.std), "count": found.count}
            for name, found in row.metrics.items()
        }
        curves = {"start": {}, "end": {}} if row.curves is None else _curves(row.curves.seen)
        facts = {"quality": shared["metrics"], "problems": list(row.problems), "ntk": metrics, "curves": curves}
        rows.append(
            {
                **{key: value for key, value in shared.items() if key != "metrics"},
                **facts,
                "label": row.label,
                "curves_of": row.source,
            }
        )
    return {**board, "trained": table.trained, "rows": rows}


def _curves(seen: list[Seen]) -> dict[str, dict[str, list[float | None]]]:
    start = {name: first_with(seen, name) for name in CURVES_START}
    end = {name: last_with(seen, name) for name in CURVES_END}
    return {
        moment: {name: [finite(float(x)) for x in one.arrays[name]] for name, one in found.items() if one is not None}
        for moment, found in (("start", start), ("end", end))
    }


def finite(value: float) -> float | None:
    """The value as JSON knows it."""
    return value if abs(value) < float("inf") else None
