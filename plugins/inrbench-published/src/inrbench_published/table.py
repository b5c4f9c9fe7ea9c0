"""A comparison as a table and as plain data. Imports no torch."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from rich.console import Console

from inrbench_core.results.numbers import format_number
from inrbench_core.results.tables import Column, print_line, print_table
from inrbench_published.settings import Setting
from inrbench_published.verdicts import Compared, Comparison


def comparison_data(setting: Setting, comparison: Comparison) -> dict[str, Any]:
    """A comparison as plain data, unrounded; None for what is not there."""
    published, order = setting.published, comparison.order
    return {
        "name": setting.name,
        "source": published.source,
        "grade": published.grade,
        "metric": published.metric,
        "unit": comparison.unit,
        "tolerance": published.tolerance,
        "data": published.data,
        "other_data": comparison.other_data or None,
        "rows": [
            {
                "field": row.label,
                "published": _known(row.published),
                "at_least": row.figure is not None and row.figure.at_least,
                "here": _known(row.here),
                "gap": _known(row.gap),
                "verdict": row.verdict,
            }
            for row in comparison.rows
        ],
        "left_out": list(comparison.left_out),
        "order": None
        if order is None
        else {"published": list(order.published), "here": list(order.here), "spearman": order.spearman},
        "notes": setting.notes,
    }


def print_comparison(console: Console, setting: Setting, comparison: Comparison, folder: Path) -> None:
    """The table, the order of the fields, and what is not as in the source."""
    published = setting.published
    unit = f" [{comparison.unit}]" if comparison.unit else ""
    figures = [Column(f"{title}{unit}") for title in ("published", "here", "gap")]
    columns = [Column("field", 20), *figures, Column("verdict", 40)]
    rows = [_cells(row, comparison.unit) for row in comparison.rows]
    print_table(console, f"{setting.name}: {published.metric}", columns, rows)
    print_line(console, f"source (grade {published.grade}): {published.source}")
    if comparison.other_data:
        print_line(console, f"{comparison.other_data}; so only the order of the fields can be compared")
    if order := comparison.order:
        print_line(console, f"order of {len(order.here)} fields: Spearman {order.spearman:.2f}")
        print_line(console, f"published: {' > '.join(order.published)}")
        print_line(console, f"here: {' > '.join(order.here)}")
    if comparison.left_out:
        rest = ", ".join(comparison.left_out)
        print_line(console, f"not carried out: {rest}; inrbench reproduce {setting.name} carries out all")
    print_line(console, setting.notes)
    print_line(console, f"results: {folder}")


def _cells(row: Compared, unit: str) -> list[str]:
    above = "> " if row.figure is not None and row.figure.at_least else ""
    sign = "+" if row.gap > 0 else ""
    published, here, gap = (format_number(value, unit) for value in (row.published, row.here, row.gap))
    return [row.label, above + published, here, sign + gap, row.verdict]


def _known(value: float) -> float | None:
    return None if math.isnan(value) else value
