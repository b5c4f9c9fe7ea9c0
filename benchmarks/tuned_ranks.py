"""How far the rank of a field depends on its learning rate: all fields at the spec's rates beside the tuned ones.

    inrbench eval --spec specs/components.yaml
    python benchmarks/tuned_ranks.py results/components

Prints, for each table, every field with its figure and its rank among all fields, tuned and at the spec's rate, ranks
as 95 % intervals on these signals; the baselines that have the figure; Spearman's correlation of both ranks; and the
fields that moved most. Ranks count among fields that have both figures.
"""

from __future__ import annotations

import argparse
import math
from dataclasses import replace
from pathlib import Path

from scipy.stats import spearmanr

from inrbench_core.api.entries import Metric
from inrbench_core.results.leaderboard import Leaderboard, Row, make_leaderboards
from inrbench_core.results.load import load_results
from inrbench_core.results.numbers import format_number, header
from inrbench_core.results.results import ResultBoard, ResultRow, Results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="results of a spec with tuning:")
    parser.add_argument("--moved", type=int, default=10, help="how many of the fields that moved most are listed")
    parser.add_argument("--sort", default="", help="the metric that ranks; default: the table's own")
    options = parser.parse_args()
    for board in load_results(options.folder).boards:
        print_board(board, options.sort, options.moved)


def print_board(board: ResultBoard, sort: str, moved: int) -> None:
    """All fields, baselines, the correlation, and a table of the fields that moved most."""
    (whole,) = make_leaderboards(Results((board,)), sort)
    metric = whole.rank_by
    published_rows, tuned_rows = both(board, metric)
    if len(tuned_rows) < 3:
        print(f"{board.label}: {len(tuned_rows)} fields have a figure before and after tuning; three are needed\n")
        return
    before, after = ranked(board, published_rows, sort), ranked(board, tuned_rows, sort)
    at_one_rate = {row.label: row for row in before.ranked}
    pairs = [(at_one_rate[row.chosen.published], row) for row in after.ranked if row.chosen]
    others = [each for each in after.metrics[1:] if not math.isnan(after.ranked[0].metrics[each.name].mean)][:1]
    shown = [metric, *others]
    heads = [f"{header(each)}, {when}" for each in shown for when in ("tuned", "one rate")]
    print(f"### {board.label}: {len(pairs)} fields, ranked by {metric.name}\n")
    print(f"| field | ranks tuned | ranks at one rate | {' | '.join(heads)} | chosen |")
    print("| --- | ---: | ---: |" + " ---: |" * len(heads) + " --- |")
    for published, tuned in pairs:
        figures = [cell(row, each) for each in shown for row in (tuned, published)]
        print(f"| {published.label} | {ranks(tuned)} | {ranks(published)} | {' | '.join(figures)} | {chosen(tuned)} |")
    for row in after.rows:
        if row.baseline and not all(math.isnan(row.metrics[each.name].mean) for each in shown):
            figures = [text for each in shown for text in (cell(row, each), "")]
            print(f"| {row.label} (baseline) | | | {' | '.join(figures)} | |")
    places = [(place(published), place(tuned)) for published, tuned in pairs]
    correlation = float(spearmanr(*zip(*places, strict=True)).statistic)
    print(f"\nSpearman of the ranks at one rate and tuned: {correlation:.2f}. Moved most:\n")
    print(f"| field | rank at one rate | rank tuned | {metric.name} at one rate | {metric.name} tuned | chosen |")
    print("| --- | ---: | ---: | ---: | ---: | --- |")
    for (old, new), (published, tuned) in sorted(
        zip(places, pairs, strict=True), key=lambda moves: -abs(moves[0][0] - moves[0][1])
    )[:moved]:
        figures = [cell(row, metric) for row in (published, tuned)]
        print(f"| {published.label} | {old} | {new} | {' | '.join(figures)} | {chosen(tuned)} |")
    print()


def both(board: ResultBoard, metric: Metric) -> tuple[list[ResultRow], list[ResultRow]]:
    """The rows at the spec's rates, and the tuned ones, of the fields of which all runs of both have the figure."""

    def has_figures(row: ResultRow) -> bool:
        return not any(math.isnan(run.metrics.get(metric.name, math.nan)) for run in row.runs)

    rows = {row.label: row for row in board.rows}
    before, after = [], []
    for tuned in board.rows:
        published = rows.get(tuned.chosen.published) if tuned.chosen else None
        if published is not None and has_figures(published) and has_figures(tuned):
            before.append(published)
            after.append(tuned)
    return before, after


def ranked(board: ResultBoard, rows: list[ResultRow], sort: str) -> Leaderboard:
    """The table of these rows and the task's baselines."""
    measures = [row for row in board.rows if row.baseline and row not in rows]
    (leaderboard,) = make_leaderboards(Results((replace(board, rows=(*rows, *measures)),)), sort)
    return leaderboard


def place(row: Row) -> int:
    assert row.rank is not None
    return row.rank


def ranks(row: Row) -> str:
    """The ranks that it may have, or its rank where nothing is sure."""
    standing = row.standing.get("these signals")
    return f"{standing.low}-{standing.high}" if standing else str(row.rank)


def cell(row: Row, metric: Metric) -> str:
    mean = row.metrics[metric.name].mean
    return "-" if math.isnan(mean) else format_number(mean, metric.unit)


def chosen(row: Row) -> str:
    return ", ".join(f"{key}={value}" for key, value in row.chosen.options.items()) if row.chosen else ""


if __name__ == "__main__":
    main()
