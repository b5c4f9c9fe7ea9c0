"""Print the README's table of all tasks from the results of specs/tasks/*.yaml.

    for spec in specs/tasks/*.yaml; do inrbench eval --spec $spec --out results/tasks/$(basename $spec .yaml); done
    python tools/task_table.py results/tasks

One column a field; for each task a row of its primary metric, and one of what it gets where it was not trained:
mean ± deviation over seeds, the best field in bold.
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path

from inrbench_core.api.entries import Metric
from inrbench_core.results.formats import format_number, format_summary, header
from inrbench_core.results.leaderboard import Leaderboard, Row
from inrbench_core.results.load import load_results

COLUMNS = ["relu", "neff+relu", "rff+relu", "siren", "finer", "kan", "plain grid"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="holds one folder of results for each task")
    folder = parser.parse_args().folder
    print("| task | metric |" + "".join(f" {name} |" for name in COLUMNS) + " best baseline |")
    print("| --- | --- |" + " --- |" * (len(COLUMNS) + 1))
    for path in sorted(path for path in folder.iterdir() if path.is_dir()):
        results = load_results(path)
        for board, ranked in zip(results.boards, results.leaderboards(), strict=True):
            primary, *others = board.metrics
            for metric in [primary, *(m for m in others if m.name.endswith("_held_out"))]:
                print(line(ranked, metric))


def line(board: Leaderboard, metric: Metric) -> str:
    """The task's row for one metric."""
    sign = 1.0 if metric.higher_is_better else -1.0
    rows = {row.label: row for row in board.rows}
    values = {row.label: row.metrics[metric.name].mean for row in board.rows}
    known = {label: sign * value for label, value in values.items() if not math.isnan(value)}
    comparable = [label for label in known if rows[label].complete and not rows[label].baseline]
    best = max(comparable, key=known.__getitem__, default=None)
    untrained = (label for label in known if rows[label].baseline and not rows[label].parameters)
    baseline = max(untrained, key=known.__getitem__, default=None)
    cells = [cell(rows.get(name), metric, bold=name == best) for name in COLUMNS]
    measure = "-" if baseline is None else f"{baseline} {format_number(values[baseline], metric.unit)}"
    return f"| {board.task_label} | {header(metric)} |" + "".join(f" {text} |" for text in [*cells, measure])


def cell(row: Row | None, metric: Metric, *, bold: bool) -> str:
    """A field's figure, or how its runs ended."""
    if row is None:
        return ""
    text = format_summary(row.metrics[metric.name], metric.unit)
    if not row.complete:
        text += " (" + ", ".join(f"{count} {status}" for status, count in row.statuses.items() if status != "ok") + ")"
    return f"**{text}**" if bold else text


if __name__ == "__main__":
    main()
