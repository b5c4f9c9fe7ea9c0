"""The reporters of core. Each is a function (spec, results) -> str. Imports no torch."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console

from inrbench_core.api.text import json_text, one_line
from inrbench_core.plugins.builtin import RunsSpec, TableSpec
from inrbench_core.results.leaderboard import Leaderboard, Row, Standing, Summary
from inrbench_core.results.numbers import format_number, header
from inrbench_core.results.remarks import KNOWN, TIED, is_known, remark_lines
from inrbench_core.results.results import Results
from inrbench_core.results.statistics.comparisons import Comparisons, Difference
from inrbench_core.results.statistics.variances import Scope
from inrbench_core.results.tables import WIDE, Column, print_line, print_table

SCHEMA = "inrbench.results/3"
RUNS_SCHEMA = "inrbench.runs/1"
RANKS: Mapping[Scope, str] = {"these signals": "ranks", "such signals": "ranks, such signals"}
# Characters at which names, and how many runs ended how, may be folded.
FOLD_NAME, FOLD_RUNS = 26, 18


def format_summary(summary: Summary, unit: str = "", plus_minus: str = "±", scope: Scope = "these signals") -> str:
    """The mean with its 95 % interval in a scope, to the decimals of the mean; without one where there is none."""
    text = format_number(summary.mean, unit)
    low, high = summary.intervals.get(scope, (math.nan, math.nan))
    if math.isnan(low):
        return text
    half = (high - low) / 2
    if not math.isclose(high - summary.mean, half, rel_tol=1e-6, abs_tol=1e-12):
        return f"{text} [{format_number(low, unit)}, {format_number(high, unit)}]"
    return f"{text} {plus_minus} {_like(half, text)}"


def _like(value: float, text: str) -> str:
    """A figure to the decimals of another one."""
    if "e" in text:
        return f"{value:.1e}"
    return f"{value:.{len(text.partition('.')[2])}f}"


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
    metrics, scopes = board.shown_metrics(), list(board.comparisons)
    wide: Scope = "such signals"
    titles = ["#", *(RANKS[scope] for scope in scopes), "field", *map(header, metrics)]
    titles += [f"{board.rank_by.name}, {wide}"] if wide in scopes else []
    titles += ["parameters", "values/parameter", "train [s]", "runs"]
    rows, first = [], next(iter(board.ranked), None)
    for row in board.rows:
        texts = [str(row.rank) if row.rank else ""]
        texts += [_standing(row.standing.get(scope), is_first=row is first) for scope in scopes]
        name = f"{row.label} (baseline)" if row.baseline else row.label
        texts.append(f"{name} {KNOWN}" if is_known(row) else name)
        texts += [format_summary(row.metrics[metric.name], metric.unit, plus_minus) for metric in metrics]
        if wide in scopes:
            summary = row.metrics[board.rank_by.name]
            known = wide in summary.intervals
            texts.append(format_summary(summary, board.rank_by.unit, plus_minus, wide) if known else "")
        texts += [f"{row.parameters:,}" if row.parameters else "-", _ratio(row.values_per_parameter)]
        texts += [format_summary(row.train_s), runs_text(row)]
        rows.append(texts)
    return titles, rows


def _standing(standing: Standing | None, *, is_first: bool) -> str:
    """The ranks that a row may have, marked where it cannot be told apart from the first one."""
    if standing is None:
        return ""
    ranks = f"{standing.low}-{standing.high}" if standing.high > standing.low else str(standing.low)
    return f"{ranks} {TIED}" if standing.tied and not is_first else ranks


def _ratio(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:,.2f}" if value < 100 else f"{value:,.0f}"


def print_tables(console: Console, boards: Sequence[Leaderboard]) -> None:
    """Ranked tables, each with what is sure of it and the reasons for what is missing in it.

    A figure is never cut: where the console is narrow, the least important columns are left out and named.
    """
    for board in boards:
        titles, rows = cells(board)
        last, name = len(titles) - 1, titles.index("field")
        # The time, then secondary metrics, those of held-out parts last. Name, ranks, ranking metric and runs stay.
        secondary = sorted(range(name + 2, last - 3), key=lambda index: ("held_out" in titles[index], -index))
        order = {index: number for number, index in enumerate([last - 1, *secondary, last - 3, last - 2], start=1)}
        folds = {name: FOLD_NAME, last: FOLD_RUNS}
        columns = [Column(title, folds.get(index, 0), order.get(index, 0)) for index, title in enumerate(titles)]
        styles = ["dim" if row.baseline else "" if row.complete else "yellow" for row in board.rows]
        print_table(console, heading(board), columns, rows, styles, "`inrbench results DIR --format csv` has all")
        for line in remark_lines(board):
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
    writer.writerow(
        [
            *(
                "task",
                "ranked_by",
                "rank",
                "field",
                "baseline",
                "parameters",
                "values_per_parameter",
                "runs_ok",
                "runs",
            ),
            *(f"{name}{suffix}" for suffix in SUFFIXES.values() for name in ("rank_low", "rank_high", "tied")),
            *(f"{name}_{part}" for name in names for part in _PARTS),
            *("train_s_mean", "train_s_std", "chosen", "origin", "problems"),
        ]
    )
    for board in boards:
        for row in board.rows:
            summaries = [row.metrics.get(name, Summary(math.nan, math.nan, 0)) for name in names]
            standings = [row.standing.get(scope) for scope in SUFFIXES]
            writer.writerow(
                [
                    *(board.task_label, board.rank_by.name, row.rank or "", row.label, row.baseline, row.parameters),
                    *(_plain(row.values_per_parameter), row.statuses.get("ok", 0), sum(row.statuses.values())),
                    *(value for one in standings for value in ((one.low, one.high, one.tied) if one else ("",) * 3)),
                    *(_plain(value) for item in summaries for value in _parts(item)),
                    *(_plain(row.train_s.mean), _plain(row.train_s.std)),
                    "; ".join(f"{key}={value}" for key, value in row.chosen.options.items()) if row.chosen else "",
                    "; ".join(dict.fromkeys(run.origin for run in row.runs if run.origin)),
                    "; ".join(row.problems),
                ]
            )
    return buffer.getvalue()


SUFFIXES: Mapping[Scope, str] = {"these signals": "", "such signals": "_such_signals"}
_PARTS = ("mean", "std", *(f"{end}{suffix}" for suffix in SUFFIXES.values() for end in ("low", "high")))


def _parts(summary: Summary) -> list[float]:
    ends = [summary.intervals.get(scope, (math.nan, math.nan)) for scope in SUFFIXES]
    return [summary.mean, summary.std, *(value for pair in ends for value in pair)]


def _plain(value: Any) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    return repr(value) if isinstance(value, float) else str(value)


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def json_data(boards: Sequence[Leaderboard]) -> dict[str, Any]:
    """Everything as plain data; a figure that is not finite is null."""
    return {
        "schema": SCHEMA,
        "tasks": [
            {
                "task": board.task_label,
                "ranked_by": board.rank_by.name,
                "metrics": [metric.to_data() for metric in board.metrics],
                "intervals": dict(board.methods),
                "statistics": {
                    scope: _comparison_data(board, comparison) for scope, comparison in board.comparisons.items()
                },
                "rows": [_row_data(row) for row in board.rows],
                "remarks": remark_lines(board),
            }
            for board in boards
        ],
    }


def _row_data(row: Row) -> dict[str, Any]:
    return {
        "field": row.label,
        "rank": row.rank,
        "ranks": {scope: vars(standing) for scope, standing in row.standing.items()},
        "baseline": row.baseline,
        "parameters": row.parameters,
        "values_per_parameter": _finite(row.values_per_parameter),
        "metrics": {name: _summary_data(item) for name, item in row.metrics.items()},
        "train_s": _summary_data(row.train_s),
        "chosen": vars(row.chosen) if row.chosen else None,
        "statuses": dict(row.statuses),
        "problems": list(row.problems),
        "runs": [run.id for run in row.runs],
        "origins": list(dict.fromkeys(run.origin for run in row.runs if run.origin)),
    }


def _summary_data(item: Summary) -> dict[str, Any]:
    intervals = {scope: [_finite(value) for value in pair] for scope, pair in item.intervals.items()}
    return {"mean": _finite(item.mean), "std": _finite(item.std), "count": item.count, "intervals": intervals}


def difference_data(difference: Difference, pairs: int = 1) -> dict[str, Any]:
    """A difference as plain data, with the interval and the p-value of one among so many pairs."""
    interval = [_finite(value) for value in difference.interval(pairs)]
    return {"difference": _finite(difference.value), "interval": interval, "p": min(1.0, difference.p * pairs)}


def _comparison_data(board: Leaderboard, comparison: Comparisons) -> dict[str, Any]:
    """The resolution, and each pair of rows, the better one first; all intervals hold with 95 % together."""
    labels, half = [row.label for row in board.ranked], comparison.half_widths()
    low, high = comparison.differences - half, comparison.differences + half
    return {
        "method": comparison.method,
        "resolution": _finite(comparison.resolution),
        "pairs": [
            {
                "fields": [labels[one], labels[other]],
                "difference": float(comparison.differences[one, other]),
                "interval": [float(low[one, other]), float(high[one, other])],
                "p": float(comparison.p[one, other]),
                "p_holm": float(comparison.adjusted[one, other]),
            }
            for one in range(len(labels))
            for other in range(one + 1, len(labels))
        ],
        "needed_for_first_two": comparison.difference(0, 1).needed(comparison.pairs),
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
        lines.append("| " + " | ".join("---" if title == "field" else "---:" for title in titles) + " |")
        lines += [_markdown_row(row) for row in rows]
        remarks = remark_lines(board)
        parts.append("\n".join([*lines, *([""] if remarks else []), *(f"- {line}" for line in remarks)]))
    return "\n\n".join(parts) + "\n"


def _markdown_row(texts: Sequence[str]) -> str:
    return "| " + " | ".join(one_line(text).replace("|", "\\|") for text in texts) + " |"


def latex_report(spec: TableSpec, results: Results) -> str:
    """One LaTeX tabular per task; needs the package booktabs."""
    parts = []
    for board in results.leaderboards(spec.sort):
        titles, rows = cells(board, plus_minus="@pm@")
        columns = "".join("l" if title == "field" else "r" for title in titles)
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
                    *(f"% {line}" for line in remark_lines(board)),
                ]
            )
        )
    return "\n\n".join(parts) + "\n"


def _latex(text: str) -> str:
    special = {mark: f"\\{mark}" for mark in "#$%&_{}"}
    special |= {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
    escaped = "".join(special.get(letter, letter) for letter in text)
    return escaped.replace("@pm@", r"$\pm$").replace("↑", r"$\uparrow$").replace("↓", r"$\downarrow$")
