"""The reporters of core. Each is a function (spec, results) -> str. Imports no torch."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console

from inrbench_core.api.entries import Metric
from inrbench_core.api.text import json_text, one_line
from inrbench_core.plugins.builtin import RunsSpec, TableSpec
from inrbench_core.results.leaderboard import Leaderboard, Row, Summary
from inrbench_core.results.results import Results
from inrbench_core.results.tables import WIDE, Column, print_line, print_table

SCHEMA = "inrbench.results/2"
RUNS_SCHEMA = "inrbench.runs/1"
# Characters at which names, and how many runs ended how, may be folded.
FOLD_NAME, FOLD_RUNS = 26, 18


def format_number(value: float, unit: str = "") -> str:
    """A figure with four significant digits, its exponent kept whatever its size; decibels with two decimals."""
    if math.isnan(value):
        return "-"
    if math.isinf(value):
        return "inf" if value > 0 else "-inf"
    if unit == "dB":
        # A logarithm already: next to zero the digits after these mean nothing. Adding zero drops the sign of -0.
        return f"{round(value, 2) + 0.0:.2f}"
    if value != 0 and not 1e-3 <= abs(value) < 1e5:
        return f"{value:.3e}"
    return f"{value:#.4g}".rstrip(".")


def first_figure(metrics: Sequence[Metric], figures: Mapping[str, float]) -> str:
    """The primary metric with its unit, or the next one that is defined: a baseline may have none for some."""
    for metric in metrics:
        value = float(figures.get(metric.name, math.nan))
        if not math.isnan(value):
            return f"{metric.name} {format_number(value, metric.unit)} {metric.unit}".strip()
    return ""


def format_summary(summary: Summary, unit: str = "", plus_minus: str = "±") -> str:
    """Mean, and the deviation where there are two figures at least, to the decimals of the mean."""
    text = format_number(summary.mean, unit)
    if math.isnan(summary.std):
        return text
    if "e" in text:
        return f"{text} {plus_minus} {summary.std:.1e}"
    decimals = len(text.partition(".")[2])
    return f"{text} {plus_minus} {summary.std:.{decimals}f}"


def header(metric: Metric) -> str:
    """A column's title: name, unit and, where there is a better side, an arrow to it."""
    unit = f" [{metric.unit}]" if metric.unit else ""
    arrow = {True: " ↑", False: " ↓", None: ""}[metric.higher_is_better]
    return f"{metric.name}{unit}{arrow}"


def runs_text(row: Row) -> str:
    """How many runs are ok, and how the others ended."""
    total = sum(row.statuses.values())
    others = ", ".join(f"{count} {status}" for status, count in sorted(row.statuses.items()) if status != "ok")
    return f"{row.statuses.get('ok', 0)}/{total}" + (f" ({others})" if others else "")


def heading(board: Leaderboard) -> str:
    """The task, over how many signals and seeds it is, and what ranks."""
    signals, seeds = board.counts
    parts = [f"{count} {word}s" for count, word in ((signals, "signal"), (seeds, "seed")) if count > 1]
    return one_line(f"{board.task_label} ({', '.join([*parts, f'ranked by {board.rank_by.name}'])})")


def cells(board: Leaderboard, plus_minus: str = "±") -> tuple[list[str], list[list[str]]]:
    """Titles and rows of a leaderboard as text, for any table."""
    metrics = board.shown_metrics()
    titles = ["#", "field", *map(header, metrics), "parameters", "train [s]", "runs"]
    rows = [
        [
            str(row.rank) if row.rank else "",
            f"{row.label} (baseline)" if row.baseline else row.label,
            *(format_summary(row.metrics[metric.name], metric.unit, plus_minus) for metric in metrics),
            f"{row.parameters:,}" if row.parameters else "-",
            format_summary(row.train_s, plus_minus=plus_minus),
            runs_text(row),
        ]
        for row in board.rows
    ]
    return titles, rows


def problem_lines(board: Leaderboard) -> list[str]:
    """One line for each reason for which a run has no figures, or a row no rank."""
    return [one_line(f"{row.label}: {problem}") for row in board.rows for problem in row.problems]


def print_tables(console: Console, boards: Sequence[Leaderboard]) -> None:
    """Ranked tables, each with the reasons for what is missing in it.

    A figure is never cut: where the console is narrow, the least important columns are left out and named.
    """
    for board in boards:
        titles, rows = cells(board)
        last = len(titles) - 1
        # The time, then secondary metrics, those of held-out parts last. Name, ranking metric and runs stay.
        secondary = sorted(range(3, last - 2), key=lambda index: ("held_out" in titles[index], -index))
        order = {index: number for number, index in enumerate([last - 1, *secondary, last - 2], start=1)}
        folds = {1: FOLD_NAME, last: FOLD_RUNS}
        columns = [Column(title, folds.get(index, 0), order.get(index, 0)) for index, title in enumerate(titles)]
        styles = ["dim" if row.baseline else "" if row.complete else "yellow" for row in board.rows]
        print_table(console, heading(board), columns, rows, styles, "`inrbench results DIR --format csv` has all")
        for line in problem_lines(board):
            print_line(console, line)


def table_report(spec: TableSpec, results: Results) -> str:
    """Ranked tables as plain text, as wide as they need to be."""
    buffer = io.StringIO()
    print_tables(Console(file=buffer, width=WIDE, emoji=False), results.leaderboards(spec.sort))
    return buffer.getvalue()


def csv_report(spec: TableSpec, results: Results) -> str:
    """One row per task and field, figures unrounded; a cell is empty where there is no figure."""
    boards = results.leaderboards(spec.sort)
    names = list(dict.fromkeys(metric.name for board in boards for metric in board.shown_metrics()))
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    figures = [f"{name}_{part}" for name in [*names, "train_s"] for part in ("mean", "std")]
    writer.writerow(
        ["task", "ranked_by", "rank", "field", "baseline", "parameters", "runs_ok", "runs", *figures, "problems"]
    )
    for board in boards:
        for row in board.rows:
            summaries = [row.metrics.get(name, Summary(math.nan, math.nan, 0)) for name in names]
            total = sum(row.statuses.values())
            shared = [board.task_label, board.rank_by.name, row.rank or "", row.label, row.baseline, row.parameters]
            values = [_plain(value) for item in [*summaries, row.train_s] for value in (item.mean, item.std)]
            writer.writerow([*shared, row.statuses.get("ok", 0), total, *values, "; ".join(row.problems)])
    return buffer.getvalue()


def _plain(value: Any) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    return repr(value) if isinstance(value, float) else str(value)


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def json_data(boards: Sequence[Leaderboard]) -> dict[str, Any]:
    """Everything as plain data; a figure that is not finite is null."""

    def summary(item: Summary) -> dict[str, Any]:
        return {"mean": _finite(item.mean), "std": _finite(item.std), "count": item.count}

    return {
        "schema": SCHEMA,
        "tasks": [
            {
                "task": board.task_label,
                "ranked_by": board.rank_by.name,
                "metrics": [metric.to_data() for metric in board.metrics],
                "rows": [
                    {
                        "field": row.label,
                        "rank": row.rank,
                        "baseline": row.baseline,
                        "parameters": row.parameters,
                        "metrics": {name: summary(item) for name, item in row.metrics.items()},
                        "train_s": summary(row.train_s),
                        "statuses": dict(row.statuses),
                        "problems": list(row.problems),
                        "runs": [run.id for run in row.runs],
                    }
                    for row in board.rows
                ],
            }
            for board in boards
        ],
    }


def json_report(spec: TableSpec, results: Results) -> str:
    """`json_data` as text."""
    return json_text(json_data(results.leaderboards(spec.sort))) + "\n"


def runs_data(results: Results) -> dict[str, Any]:
    """One mapping for each run, with its metrics; a figure that is not finite is null."""
    runs = [
        {
            **{key: _finite(value) for key, value in run.facts().items()},
            "metrics": {name: _finite(value) for name, value in run.metrics.items()},
        }
        for run in results.runs
    ]
    return {"schema": RUNS_SCHEMA, "runs": runs}


def runs_report(spec: RunsSpec, results: Results) -> str:
    """Comma-separated values, one row per run, figures unrounded."""
    runs = list(results.runs)
    names = list(dict.fromkeys(metric.name for board in results.boards for metric in board.metrics))
    facts = list(runs[0].facts()) if runs else ["run"]
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow([*facts, *names])
    for run in runs:
        writer.writerow([*map(_plain, run.facts().values()), *(_plain(run.metrics.get(name)) for name in names)])
    return buffer.getvalue()


def markdown_report(spec: TableSpec, results: Results) -> str:
    """One Markdown table per task."""
    parts = []
    for board in results.leaderboards(spec.sort):
        titles, rows = cells(board)
        lines = [f"### {heading(board)}", "", _markdown_row(titles)]
        lines.append("| " + " | ".join("---" if index == 1 else "---:" for index in range(len(titles))) + " |")
        lines += [_markdown_row(row) for row in rows]
        problems = problem_lines(board)
        parts.append("\n".join([*lines, *([""] if problems else []), *(f"- {line}" for line in problems)]))
    return "\n\n".join(parts) + "\n"


def _markdown_row(texts: Sequence[str]) -> str:
    return "| " + " | ".join(one_line(text).replace("|", "\\|") for text in texts) + " |"


def latex_report(spec: TableSpec, results: Results) -> str:
    """One LaTeX tabular per task; needs the package booktabs."""
    parts = []
    for board in results.leaderboards(spec.sort):
        titles, rows = cells(board, plus_minus="@pm@")
        columns = "".join("l" if index == 1 else "r" for index in range(len(titles)))
        body = [" & ".join(map(_latex, row)) + r" \\" for row in rows]
        parts.append(
            "\n".join(
                [
                    f"% {heading(board)}",
                    rf"\begin{{tabular}}{{{columns}}}",
                    r"\toprule",
                    " & ".join(map(_latex, titles)) + r" \\",
                    r"\midrule",
                    *body,
                    r"\bottomrule",
                    r"\end{tabular}",
                    *(f"% {line}" for line in problem_lines(board)),
                ]
            )
        )
    return "\n\n".join(parts) + "\n"


def _latex(text: str) -> str:
    special = {mark: f"\\{mark}" for mark in "#$%&_{}"}
    special |= {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
    escaped = "".join(special.get(letter, letter) for letter in text)
    return escaped.replace("@pm@", r"$\pm$").replace("↑", r"$\uparrow$").replace("↓", r"$\downarrow$")
