"""Tables for the terminal that fit its width without cutting a figure. Imports no torch."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from inrbench_core.api.text import one_line

# Characters; wider than any table.
WIDE = 10_000
# Characters at which texts are folded where a table would not fit otherwise.
NARROWEST = 8


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Args:
        title: its heading.
        fold_at: for text, which is left-aligned: long cells are folded at fewer characters only where leaving out
            columns does not help; 0: figures, which are right-aligned and stay whole.
        leave_out: where the console is narrow, columns are left out in the order of these numbers; 0: it stays.
    """

    title: str
    fold_at: int = 0
    leave_out: int = 0


def print_table(
    console: Console,
    title: str,
    columns: Sequence[Column],
    rows: Sequence[Sequence[str]],
    styles: Sequence[str] = (),
    hint: str = "",
) -> None:
    """Print a table; columns that do not fit are left out, and named below it.

    Args:
        console: where to; as wide as it says.
        title: above the table.
        columns: from left to right.
        rows: one text for each column.
        styles: of the rows; default: plain.
        hint: where what is left out is to be found.
    """
    texts = [[one_line(text) for text in row] for row in rows]
    shown = list(range(len(columns)))
    droppable = sorted((i for i in shown if columns[i].leave_out), key=lambda i: columns[i].leave_out)
    widths = [
        max(map(cell_len, [column.title, *(row[index] for row in texts)])) for index, column in enumerate(columns)
    ]
    while droppable and _width(columns, widths, shown) > console.width:
        shown.remove(droppable.pop(0))
    table = _table(one_line(title), columns, texts, styles, shown)
    narrowest = _width(columns, widths, shown, NARROWEST)
    if narrowest > console.width:
        # A line that the terminal wraps is better than a figure that is cut.
        table.width = narrowest
    console.print(table, crop=False)
    hidden = [column.title for index, column in enumerate(columns) if index not in shown]
    if hidden:
        print_line(console, f"not shown at this width: {', '.join(hidden)}" + (f"; {hint}" if hint else ""))


def print_line(console: Console, text: str) -> None:
    """A remark below a table: indented, and folded between words only, so that a path can be copied."""
    lines = textwrap.wrap(
        one_line(text),
        width=console.width,
        initial_indent="  ",
        subsequent_indent="    ",
        break_long_words=False,
        break_on_hyphens=False,
    )
    console.print("\n".join(lines), highlight=False, markup=False, soft_wrap=True)


def _width(columns: Sequence[Column], widths: Sequence[int], shown: Sequence[int], most: int = WIDE) -> int:
    """The width of the table if each text is folded where it may be, or after `most` characters."""
    cells = (min(widths[i], columns[i].fold_at, most) if columns[i].fold_at else widths[i] for i in shown)
    # Three characters between two columns, and two at each end.
    return sum(cells) + 3 * (len(shown) - 1) + 4


def _table(
    title: str, columns: Sequence[Column], rows: Sequence[Sequence[str]], styles: Sequence[str], shown: Sequence[int]
) -> Table:
    """The table with some of its columns."""
    table = Table(title=escape(title), title_justify="left", box=box.SIMPLE_HEAD)
    for index in shown:
        column = columns[index]
        table.add_column(
            escape(column.title),
            justify="left" if column.fold_at else "right",
            no_wrap=not column.fold_at,
            overflow="fold",
        )
    for number, row in enumerate(rows):
        table.add_row(*(escape(row[index]) for index in shown), style=styles[number] if styles else None)
    return table
