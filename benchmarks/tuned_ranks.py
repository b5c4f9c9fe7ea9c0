"""How far the rank of a field depends on its learning rate: rows with one rate beside the tuned ones.

    inrbench eval --spec specs/components.yaml
    python benchmarks/tuned_ranks.py results/components

Prints, for each table, Spearman's correlation of the ranks of all fields at the spec's rates with their ranks after
tuning, and the fields that moved most, with what was chosen. Ranks count among fields that have both figures.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from scipy.stats import rankdata, spearmanr

from inrbench_core.results.leaderboard import Leaderboard, Row
from inrbench_core.results.load import load_results
from inrbench_core.results.numbers import format_number


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="results of a spec with tuning:")
    parser.add_argument("--moved", type=int, default=10, help="how many of the fields that moved most are listed")
    parser.add_argument("--sort", default="", help="the metric that ranks; default: the table's own")
    options = parser.parse_args()
    for board in load_results(options.folder).leaderboards(options.sort):
        print_board(board, options.moved)


def print_board(board: Leaderboard, moved: int) -> None:
    """The correlation, and a table of the fields that moved most."""
    metric = board.rank_by
    pairs = both(board)
    if len(pairs) < 3:
        print(f"{board.task_label}: {len(pairs)} fields have a figure before and after tuning; three are needed\n")
        return
    sign = 1.0 if metric.higher_is_better is False else -1.0
    before, after = ([sign * row.metrics[metric.name].mean for row in side] for side in zip(*pairs, strict=True))
    correlation = float(spearmanr(before, after).statistic)
    print(
        f"{board.task_label}: {len(pairs)} fields by {metric.name}; Spearman of one rate and tuned: {correlation:.2f}\n"
    )
    print(f"| field | rank at one rate | rank tuned | {metric.name} at one rate | {metric.name} tuned | chosen |")
    print("| --- | ---: | ---: | ---: | ---: | --- |")
    ranks = list(zip(rankdata(before, method="min"), rankdata(after, method="min"), strict=True))
    order = sorted(range(len(pairs)), key=lambda index: -abs(int(ranks[index][0]) - int(ranks[index][1])))
    for index in order[:moved]:
        published, tuned = pairs[index]
        figures = " | ".join(format_number(row.metrics[metric.name].mean, metric.unit) for row in (published, tuned))
        chosen = ", ".join(f"{key}={value}" for key, value in tuned.chosen.options.items()) if tuned.chosen else ""
        print(f"| {published.label} | {ranks[index][0]:.0f} | {ranks[index][1]:.0f} | {figures} | {chosen} |")
    print()


def both(board: Leaderboard) -> list[tuple[Row, Row]]:
    """Each field with its tuned row, where both have the figure that ranks in all of their runs."""
    rows = {row.label: row for row in board.rows if not row.baseline}
    found = []
    for tuned in rows.values():
        published = rows.get(tuned.chosen.published) if tuned.chosen else None
        if published is not None and all(
            row.complete and row.metrics[board.rank_by.name].count == len(row.runs) for row in (published, tuned)
        ):
            found.append((published, tuned))
    return found


if __name__ == "__main__":
    main()
