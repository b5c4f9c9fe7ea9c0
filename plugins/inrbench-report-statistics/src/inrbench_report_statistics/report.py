"""The reporter: what `summarise` gives, as text, Markdown or JSON, and as a picture."""

from __future__ import annotations

import io
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from inrbench_core import InrbenchError, Results
from inrbench_core.api.text import json_text, one_line
from inrbench_core.results.tables import WIDE, Column, print_line, print_table
from inrbench_report_statistics.plugin import StatisticsSpec
from inrbench_report_statistics.summary import TAUS, summarise

# With more fields or blocks, pairs and single blocks are in the JSON only.
WIDEST = 12


@dataclass(frozen=True)
class Part:
    """A table and the lines below it.

    Args:
        title: above it.
        titles: of the columns; the first is text.
        rows: one text for each column; without rows there is no table.
        remarks: below it.
    """

    title: str
    titles: Sequence[str]
    rows: Sequence[Sequence[str]]
    remarks: Sequence[str] = ()


def statistics_report(spec: StatisticsSpec, results: Results) -> str:
    """Fields compared across tasks.

    Args:
        spec: the metric that ranks, the form of the text, and a picture to write.
        results: final runs.

    Raises:
        InrbenchError: if no task has that metric, or the picture cannot be written.
    """
    data = summarise(results, spec.sort)
    if spec.picture:
        _draw(data, Path(spec.picture))
    if spec.output == "json":
        return json_text(data) + "\n"
    parts = list(_parts(data))
    return "\n\n".join(map(_markdown, parts)) + "\n" if spec.output == "markdown" else _text(parts)


def _draw(data: dict[str, Any], target: Path) -> None:
    if not data["fields"]:
        raise InrbenchError(f"picture={target}: {data['remarks'][0]}")
    # Here, because the tables do without matplotlib.
    from inrbench_report_statistics.picture import draw

    try:
        draw(data, target)
    except (OSError, ValueError) as error:
        # matplotlib raises ValueError for a suffix that it has no format for.
        raise InrbenchError(f"picture={target}: cannot be written: {one_line(str(error))}") from None


def _parts(data: dict[str, Any]) -> Iterator[Part]:
    fields, blocks, of = data["fields"], data["blocks"], data["of"]
    left_out = [f"{label}: left out: {reason}" for label, reason in data["left_out"].items()]
    remarks = [*_test_lines(data), *data["remarks"], *left_out]
    count = f"{len(blocks)} {of}{'' if len(blocks) == 1 else 's'}"
    if not fields:
        yield Part("fields across tasks", [], [], remarks)
        return
    titles = ["field", "mean rank ↓", "score ↑", "IQM score ↑", "win rate ↑"]
    titles += [f"within {tau:g}x" for tau in TAUS] + (["p to first"] if data["nemenyi"] else [])
    rows = []
    for index, entry in enumerate(fields):
        figures = [_with_interval(entry, name) for name in ("mean_rank", "score")]
        figures += [_number(entry["interquartile_score"]), _with_interval(entry, "win_rate")]
        figures += [_number(share) for share in entry["within"].values()]
        figures += [_p_value(data["nemenyi"][0][index]) if index else ""] if data["nemenyi"] else []
        rows.append([entry["field"], *figures])
    yield Part(f"{len(fields)} fields across {count}", titles, rows, remarks)
    if len(blocks) <= WIDEST:
        titles = ["score ↑", *(f"{block['label']} ({block['metric']})" for block in blocks)]
        yield Part(f"score of each {of}", titles, [[e["field"], *map(_number, e["scores"])] for e in fields])
    if len(fields) <= WIDEST:
        names = [entry["field"] for entry in fields]
        rates = [
            ["" if row == column else _number(rate) for column, rate in enumerate(rates)]
            for row, rates in enumerate(data["win_rates"])
        ]
        rows = [[name, *cells] for name, cells in zip(names, rates, strict=True)]
        yield Part("win rates by pair", ["row against column", *names], rows)


def _test_lines(data: dict[str, Any]) -> list[str]:
    if not data["friedman"]:
        return []
    statistic, p = data["friedman"]["statistic"], _p_value(data["friedman"]["p"], "= ")
    return [
        f"Friedman's test over {data['of']}s: chi2({len(data['fields']) - 1}) = {statistic:.2f}, p {p}; "
        "p to first: Nemenyi's comparison with the first field, corrected for all pairs"
    ]


def _number(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.2f}"


def _with_interval(entry: dict[str, Any], name: str) -> str:
    low, high = entry[f"{name}_low"], entry[f"{name}_high"]
    return _number(entry[name]) + ("" if low is None else f" [{low:.2f}, {high:.2f}]")


def _p_value(p: float, sign: str = "") -> str:
    return "< 0.001" if p < 1e-3 else f"{sign}{p:.3f}"


def _text(parts: Sequence[Part]) -> str:
    buffer = io.StringIO()
    console = Console(file=buffer, width=WIDE, emoji=False)
    for part in parts:
        columns = [Column(title, fold_at=0 if index else WIDE) for index, title in enumerate(part.titles)]
        if part.rows:
            print_table(console, part.title, columns, part.rows)
        else:
            console.print(part.title)
        for remark in part.remarks:
            print_line(console, remark)
    return buffer.getvalue()


def _markdown(part: Part) -> str:
    lines = [f"### {one_line(part.title)}"]
    if part.rows:
        marks = ["---", *("---:" for _ in part.titles[1:])]
        lines += ["", *map(_row, (part.titles, marks, *part.rows))]
    return "\n".join([*lines, *([""] if part.remarks else []), *(f"- {one_line(remark)}" for remark in part.remarks)])


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(one_line(cell).replace("|", "\\|") for cell in cells) + " |"
