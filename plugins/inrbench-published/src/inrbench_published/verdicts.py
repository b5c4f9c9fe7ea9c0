"""Published figures beside ours: how far apart, whether that says anything, and what it says. Imports no torch."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from inrbench_core.results.numbers import format_number
from inrbench_core.results.results import ResultBoard, ResultRow
from inrbench_published.settings import Figure, Published

# Fields from which on an order can be compared.
LEAST_FIELDS = 3
# Standard deviations over draws of initial weights up to which a gap is no more than these draws make.
LIKELY = 2.0


@dataclass(frozen=True)
class Compared:
    """One field.

    Args:
        label: of the row.
        figure: the published one, or None.
        here: our mean over signals and seeds, with what the metric's definition adds; NaN if there is none.
        verdict: within, or not, and why.
    """

    label: str
    figure: Figure | None
    here: float
    verdict: str

    @property
    def published(self) -> float:
        """The published figure, or NaN."""
        return math.nan if self.figure is None else self.figure.value

    @property
    def gap(self) -> float:
        """Ours less the published one, or NaN."""
        return self.here - self.published


@dataclass(frozen=True)
class Order:
    """The fields with both figures, best first, by the source and by us.

    Args:
        published: labels.
        here: the same labels.
        spearman: rank correlation of the two.
    """

    published: tuple[str, ...]
    here: tuple[str, ...]
    spearman: float


@dataclass(frozen=True)
class Comparison:
    """One setting.

    Args:
        rows: those of the spec, then those that only the source has.
        left_out: labels of rows that were not carried out.
        other_data: why the figures are those of other data, or "".
        unit: of the metric.
        order: None for fewer than three fields with both figures, or where one side has them all equal.
    """

    rows: tuple[Compared, ...]
    left_out: tuple[str, ...]
    other_data: str
    unit: str
    order: Order | None


def compare(
    published: Published, board: ResultBoard, changes: Mapping[str, Sequence[str]] | None = None, *, own_signals: bool
) -> Comparison:
    """Compare a table with what was published.

    Args:
        published: the figures.
        board: the table of the setting's spec, which has the published metric.
        changes: by the label of the row, what is not as published, the signals apart; see `changes.what_changed`.
        own_signals: whether the signals are those that the spec names.
    """
    metric = next(metric for metric in board.metrics if metric.name == published.metric)
    names = sorted({run.signal for row in board.rows for run in row.runs})
    other = _other_data(published, names, own_signals=own_signals)
    asked = [row for row in board.rows if not row.baseline or row.label in published.figures]
    rows, left_out = [], []
    for row in asked:
        if not row.skip and all(run.record is None for run in row.runs):
            left_out.append(row.label)
            continue
        figure, here = published.figures.get(row.label), _mean(row, published.metric) + published.add
        incomparable = [*(["other data"] if other else []), *(changes or {}).get(row.label, ())]
        verdict = _verdict(published, figure, row, here, metric.unit, incomparable)
        rows.append(Compared(row.label, figure, here, verdict))
    rows += [
        Compared(label, figure, math.nan, f"not here: {figure.not_here}")
        for label, figure in published.figures.items()
        if figure.not_here
    ]
    better = -1.0 if metric.higher_is_better is False else 1.0
    return Comparison(tuple(rows), tuple(left_out), other, metric.unit, _order(rows, better))


def _other_data(published: Published, names: Sequence[str], *, own_signals: bool) -> str:
    """Why the figures are those of other data; "" if the data are those of the source, as far as names tell."""
    if published.signals == "own":
        return "" if own_signals else f"the figures are those of {published.data}"
    if published.signals == "unknown":
        return f"the source does not say which: {published.data}"
    stems = {Path(name).stem.removesuffix(published.suffix) for name in names}
    # A signal that ships with a package may have the name of a file.
    if not own_signals and stems == set(published.signals):
        return ""
    return f"the figures are those of {published.data}; these are of {', '.join(names)}"


def _mean(row: ResultRow, metric: str) -> float:
    """Over signals and seeds; NaN unless every run has the figure."""
    values = [run.metrics.get(metric, math.nan) for run in row.runs]
    return fmean(values) if values else math.nan


def _verdict(
    published: Published, figure: Figure | None, row: ResultRow, here: float, unit: str, incomparable: Sequence[str]
) -> str:
    if row.skip:
        return f"skipped: {row.skip}"
    if math.isnan(here):
        bad = next((run for run in row.runs if run.status != "ok"), None)
        if bad is None:
            return f"no figure: {published.metric} is not defined here"
        return f"no figure: {bad.status}" + (f": {bad.record.message}" if bad.record and bad.record.message else "")
    if figure is None:
        return "no published figure"
    if incomparable:
        return f"not comparable: {', '.join(incomparable)}"
    tolerance = f"{published.tolerance:g} {unit}".strip()
    gap = here - figure.value
    if abs(gap) <= published.tolerance or (figure.at_least and gap > 0):
        return f"within {tolerance}"
    reason = figure.differs or "the cause is not known"
    if abs(gap) <= LIKELY * figure.spread:
        reason = f"draws of initial weights move it by {format_number(figure.spread, unit)} {unit} (standard deviation)"
    return f"not within {tolerance}: {reason}"


def _order(rows: Sequence[Compared], better: float) -> Order | None:
    both = [row for row in rows if not math.isnan(row.gap)]
    theirs, ours = [better * row.published for row in both], [better * row.here for row in both]
    if len(both) < LEAST_FIELDS or len(set(theirs)) < 2 or len(set(ours)) < 2:
        return None
    # Here, because it takes half a second.
    from scipy.stats import spearmanr

    def best_first(values: Sequence[float]) -> tuple[str, ...]:
        return tuple(both[index].label for index in sorted(range(len(both)), key=lambda index: -values[index]))

    return Order(best_first(theirs), best_first(ours), float(spearmanr(theirs, ours).statistic))
