"""The reporters `time-to-target` and `pareto`. Imports no torch."""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Sequence

from rich.console import Console

from inrbench_core.api.entries import Metric
from inrbench_core.api.errors import InrbenchError
from inrbench_core.api.suggest import did_you_mean
from inrbench_core.plugins.builtin import ParetoSpec, TimeToTargetSpec
from inrbench_core.results.leaderboard import Leaderboard
from inrbench_core.results.numbers import format_number, header
from inrbench_core.results.remarks import KNOWN, is_known, origin_lines
from inrbench_core.results.results import Results
from inrbench_core.results.tables import WIDE, Column, print_line, print_table
from inrbench_core.results.tradeoffs import ParetoRow, curve_metrics, find_targets, pareto_front, time_to_target

COSTS = {"parameters": "parameters", "flops": "FLOPs", "seconds": "train [s]"}


def time_to_target_report(spec: TimeToTargetSpec, results: Results) -> str:
    """Steps and seconds to a target quality, one table per task.

    Raises:
        InrbenchError: if there is no such metric or row, or a run's file is not readable any more.
    """
    boards = results.leaderboards(spec.sort)
    if isinstance(spec.target, str) and spec.target:
        labels = {row.label for board in boards for row in board.rows}
        if spec.target not in labels:
            hint = did_you_mean(spec.target, labels) or "; there are " + ", ".join(sorted(labels))
            raise InrbenchError(f"target: no row {spec.target!r}{hint}")
    return _printed(boards, lambda console, board: _print_times(console, board, spec))


def pareto_report(spec: ParetoSpec, results: Results) -> str:
    """Fronts of quality against cost, one table per task.

    Raises:
        InrbenchError: if there is no such metric.
    """
    return _printed(results.leaderboards(spec.sort), lambda console, board: _print_front(console, board, spec.against))


def _printed(boards: Sequence[Leaderboard], show: Callable[[Console, Leaderboard], None]) -> str:
    buffer = io.StringIO()
    console = Console(file=buffer, width=WIDE, emoji=False)
    for board in boards:
        show(console, board)
    return buffer.getvalue()


def _print_times(console: Console, board: Leaderboard, spec: TimeToTargetSpec) -> None:
    evaluated = curve_metrics(board)
    metric = board.rank_by if spec.sort else next(iter(evaluated), board.rank_by)
    if metric not in evaluated:
        others = f"; curves have {', '.join(other.name for other in evaluated)}" if evaluated else ""
        print_line(console, f"{board.task_label}: no run has a curve of {metric.name}{others}")
        return
    targets, meaning = find_targets(board, metric, spec.target)
    lines, limit = time_to_target(board, metric, targets)
    title = f"{board.task_label}: {metric.name}, {_target_text(metric, list(targets.values()))} ({meaning})"
    columns = ["field", "reached", "median steps", "median train [s]", f"mean steps, at most {limit:,}"]
    rows = [
        [
            line.label,
            f"{line.reached}/{line.runs}",
            _or_never(line.median_steps, f"{line.median_steps:,.0f}"),
            _or_never(line.median_s, format_number(line.median_s)),
            _or_never(line.mean_steps, f"{line.mean_steps:,.0f}"),
        ]
        for line in lines
    ]
    print_table(console, title, _columns(columns), rows)
    print_line(
        console,
        "Up to the first evaluation at the target. A run that never is counts as later than all others in medians, and "
        f"with {limit:,} steps in the mean; never: at least half of the runs; -: a run failed or has no curve.",
    )
    _print_left_out(console, board, [line.label for line in lines], "without a curve")


def _target_text(metric: Metric, targets: Sequence[float]) -> str:
    texts = list(
        dict.fromkeys(f"{format_number(value, metric.unit)} {metric.unit}".strip() for value in sorted(targets))
    )
    if not texts:
        return "no target"
    return f"target {texts[0]}" + (f" to {texts[-1]}, by signal" if len(texts) > 1 else "")


def _or_never(value: float, text: str) -> str:
    return "-" if math.isnan(value) else "never" if math.isinf(value) else text


def _print_front(console: Console, board: Leaderboard, against: str) -> None:
    metric, lines = board.rank_by, pareto_front(board, against)
    title = f"{board.task_label}: {metric.name} against {COSTS[against]}"
    if not lines:
        print_line(console, f"{title}: no field has a rank and known {against}")
        return
    known = {row.label for row in board.rows if is_known(row)}
    rows = [
        [
            f"{line.label} {KNOWN}" if line.label in known else line.label,
            f"{line.cost:,.0f}" if against == "parameters" else format_number(line.cost),
            format_number(line.quality, metric.unit),
            _place(line),
        ]
        for line in lines
    ]
    columns = [*_columns(["field", COSTS[against], header(metric)]), Column("front", fold_at=WIDE)]
    print_table(console, title, columns, rows)
    print_line(
        console,
        "By means over signals and seeds. Not told apart: no field that dominates it has surely a better quality "
        "(paired t over seeds, Holm's correction over all pairs).",
    )
    for text in origin_lines(board):
        print_line(console, text)
    _print_left_out(console, board, [line.label for line in lines], f"without a rank or known {against}")


def _print_left_out(console: Console, board: Leaderboard, shown: Sequence[str], reason: str) -> None:
    left_out = [row.label for row in board.rows if not row.baseline and row.label not in shown]
    if left_out:
        print_line(console, f"{reason}: {', '.join(left_out)}")


def _place(line: ParetoRow) -> str:
    if not line.dominated_by:
        return "front"
    return (
        f"dominated by {line.dominated_by}" + {True: "", False: ", not told apart", None: ", not tested"}[line.surely]
    )


def _columns(titles: Sequence[str]) -> list[Column]:
    return [Column(title, fold_at=0 if index else WIDE) for index, title in enumerate(titles)]
