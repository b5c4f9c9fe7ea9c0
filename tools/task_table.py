"""Print the README's table of all tasks from the results of specs/tasks/*.yaml.

    for spec in specs/tasks/*.yaml; do inrbench eval --spec $spec --out results/tasks/$(basename $spec .yaml); done
    python tools/task_table.py results/tasks

One column a field; for each task a row of its primary metric, and one of what it gets where it was not trained:
mean ± 95 % interval over seeds, the best field in bold, = where a field cannot be told apart from it, and the gap that
is told apart.
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path

from inrbench_core.results.formats import format_summary
from inrbench_core.results.leaderboard import Leaderboard, Row
from inrbench_core.results.load import load_results
from inrbench_core.results.numbers import format_number, header

COLUMNS = ["relu", "neff+relu", "rff+relu", "siren", "finer", "kan", "plain grid"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="holds one folder of results for each task")
    folder = parser.parse_args().folder
    print("| task | metric |" + "".join(f" {name} |" for name in COLUMNS) + " best baseline | told apart |")
    print("| --- | --- |" + " --- |" * (len(COLUMNS) + 2))
    for path in sorted(path for path in folder.iterdir() if path.is_dir()):
        results = load_results(path)
        for index, board in enumerate(results.boards):
            primary, *others = board.metrics
            for metric in [primary, *(m for m in others if m.name.endswith("_held_out"))]:
                print(line(results.leaderboards(metric.name)[index]))


def line(board: Leaderboard) -> str:
    """The task's row for the metric that ranks."""
    metric = board.rank_by
    rows = {row.label: row for row in board.rows}
    best = board.ranked[0] if board.ranked else None
    # Sorted by the metric, so that the first is the best.
    measures = [row for row in board.rows if row.baseline and not row.parameters and row.metrics[metric.name].count]
    measure = "-"
    if measures and not math.isnan(value := measures[0].metrics[metric.name].mean):
        measure = f"{measures[0].label} {format_number(value, metric.unit)}"
    comparison = board.comparisons.get("these signals")
    resolution = "-" if comparison is None else format_number(comparison.resolution, metric.unit)
    cells = [*(cell(rows.get(name), board, best) for name in COLUMNS), measure, resolution]
    return f"| {board.task_label} | {header(metric)} |" + "".join(f" {text} |" for text in cells)


def cell(row: Row | None, board: Leaderboard, best: Row | None) -> str:
    """A field's figure, or how its runs ended."""
    if row is None:
        return ""
    text = format_summary(row.metrics[board.rank_by.name], board.rank_by.unit)
    if not row.complete:
        text += " (" + ", ".join(f"{count} {status}" for status, count in row.statuses.items() if status != "ok") + ")"
    if row is best:
        return f"**{text}**"
    return f"{text} =" if "these signals" in row.standing and row.standing["these signals"].tied else text


if __name__ == "__main__":
    main()
