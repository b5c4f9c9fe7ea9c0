"""Print the README's table of all tasks from the results of specs/tasks/*.yaml and specs/compressive/*.yaml.

    for spec in specs/tasks/*.yaml; do inrbench eval --spec $spec --out results/tables/$(basename $spec .yaml); done
    python tools/task_table.py results/tables

One column a field, with its tuned options where the spec tunes it, and in square brackets the figure with the spec's
own options where tuning chose others; for each table a row of the metric that ranks, and one of the task's primary
metric if that is another: mean ± 95 % interval over seeds, the best field in bold, = where a field cannot be told
apart from it, values for each parameter of the best field, the best baseline, those that are transform coding, and the
gap that is told apart.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from inrbench_core.results.formats import format_summary
from inrbench_core.results.leaderboard import Leaderboard, Row, make_leaderboards
from inrbench_core.results.load import load_results
from inrbench_core.results.numbers import format_number, header
from inrbench_core.results.results import ResultBoard, Results

COLUMNS = ["relu", "neff+relu", "rff+relu", "siren", "finer", "kan", "plain grid"]
AFTER = ["values / parameter", "best baseline", "transform coding", "told apart"]
CODES = ("dct", "mdct")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="holds one folder of results for each spec")
    folder = parser.parse_args().folder
    print("| " + " | ".join(["task", "metric", *COLUMNS, *AFTER]) + " |")
    print("| --- " * (2 + len(COLUMNS) + len(AFTER)) + "|")
    for path in sorted(path for path in folder.iterdir() if path.is_dir()):
        boards = load_results(path).boards
        for board in boards:
            fields, before = Results((shown(board),)), before_tuning(board)
            primary = board.metrics[0].name
            leaderboards = make_leaderboards(fields, "")
            if leaderboards[0].rank_by.name != primary:
                leaderboards += make_leaderboards(fields, primary)
            name = path.name if len(boards) == 1 else f"{path.name} {board.label.partition(' ')[2]}"
            for each in leaderboards:
                print(line(each, name, before))


def shown(board: ResultBoard) -> ResultBoard:
    """The table with one row a field: the tuned one where there is one, under the field's own label."""
    tuned = {row.chosen.published for row in board.rows if row.chosen is not None and row.chosen.published}
    rows = []
    for row in board.rows:
        if row.label not in tuned:
            published = row.chosen.published if row.chosen is not None else ""
            rows.append(replace(row, label=published or row.label))
    return replace(board, rows=tuple(rows))


def before_tuning(board: ResultBoard) -> dict[str, Row]:
    """Of each field for which tuning chose other options than the spec's: the row with the spec's."""
    (whole,) = make_leaderboards(Results((board,)), "")
    rows = {row.label: row for row in whole.rows}
    published = {row.chosen.published: ids(row) for row in whole.rows if row.chosen is not None}
    return {label: rows[label] for label, chosen in published.items() if label in rows and ids(rows[label]) != chosen}


def ids(row: Row) -> set[str]:
    """Of the row's runs."""
    return {run.id for run in row.runs}


def line(board: Leaderboard, name: str, before: Mapping[str, Row]) -> str:
    """The task's row for the metric that ranks."""
    metric = board.rank_by
    rows = {row.label: row for row in board.rows}
    best = board.ranked[0] if board.ranked else None
    measures = [
        row
        for row in board.rows
        if row.baseline and row.label not in COLUMNS and not math.isnan(row.metrics[metric.name].mean)
    ]
    comparison = board.comparisons.get("these signals")
    cells = [
        *(cell(rows.get(label), board, best, before.get(label)) for label in COLUMNS),
        f"{best.values_per_parameter:.2g}" if best and not math.isnan(best.values_per_parameter) else "-",
        named([row for row in measures if not row.label.startswith(CODES)], board),
        named([row for row in measures if row.label.startswith(CODES)], board, all_of_them=True),
        "-" if comparison is None else format_number(comparison.resolution, metric.unit),
    ]
    return f"| {name} | {header(metric)} |" + "".join(f" {text} |" for text in cells)


def named(measures: Sequence[Row], board: Leaderboard, *, all_of_them: bool = False) -> str:
    """The best of some baselines, which are sorted by the metric, with its figure; or each of them."""
    metric = board.rank_by
    texts = [f"{row.label} {format_number(row.metrics[metric.name].mean, metric.unit)}" for row in measures]
    return ", ".join(texts if all_of_them else texts[:1]) or "-"


def cell(row: Row | None, board: Leaderboard, best: Row | None, before: Row | None) -> str:
    """A field's figure and the one before tuning, or how its runs ended."""
    if row is None:
        return ""
    metric = board.rank_by
    text = format_summary(row.metrics[metric.name], metric.unit)
    if not row.complete:
        text += " (" + ", ".join(f"{count} {status}" for status, count in row.statuses.items() if status != "ok") + ")"
    if row is best:
        text = f"**{text}**"
    elif "these signals" in row.standing and row.standing["these signals"].tied:
        text += " ="
    return text if before is None else f"{text} [{format_number(before.metrics[metric.name].mean, metric.unit)}]"


if __name__ == "__main__":
    main()
