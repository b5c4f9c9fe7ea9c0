"""The probe of seeds that are in the folder and not in the table. Imports no torch."""

from __future__ import annotations

import math
import random
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import fmean

from inrbench_core.results.merging import every_run
from inrbench_core.results.results import ResultBoard, ResultRow
from inrbench_core.results.verify.report import Finding, Note, Remark
from inrbench_core.results.verify.subject import Subject, record_of
from inrbench_core.runs.identity import group_of
from inrbench_core.runs.record import RunRecord
from inrbench_core.spec.variants import canonical

# The chance of a finding in a folder whose seeds were not chosen by their results.
FALSE_ALARM = 0.05
# Up to so many choices of seeds are all looked at; of more, so many are drawn.
ALL_CHOICES, DRAWN_CHOICES = 100_000, 20_000


@dataclass(frozen=True)
class _Comparison:
    """Seeds of a row beside those that are left out of it, by means in which larger is better.

    Args:
        row: what to call the row.
        metric: that they are compared by.
        sign: of the metric in these means.
        seeds: that are left out.
        inside: the mean of each seed in the table.
        outside: of each seed that is left out.
        unlisted: whether no experiment of the folder names the runs that are left out.
    """

    row: str
    metric: str
    sign: float
    seeds: tuple[int, ...]
    inside: tuple[float, ...]
    outside: tuple[float, ...]
    unlisted: bool


def check_selection(subject: Subject) -> Iterator[Remark]:
    """No results of other seeds of a field are left out of its table that are worse by more than chance."""
    listed = {run.id for run in every_run(subject.results)}
    left_out: dict[str, dict[str, RunRecord]] = defaultdict(dict)
    for run_id, record in subject.records.items():
        if record.status == "ok" and run_id not in listed:
            left_out[_row_key(record)][run_id] = record
    compared = [
        comparison
        for board in subject.results.boards
        for row in board.rows
        if not row.baseline and (comparison := _compared(subject, board, row, left_out)) is not None
    ]
    for comparison in compared:
        yield _judged(comparison, len(compared))


def _compared(
    subject: Subject, board: ResultBoard, row: ResultRow, left_out: Mapping[str, Mapping[str, RunRecord]]
) -> _Comparison | None:
    """The seeds of a row and those left out, on the signals that all of the row have; None if there are none."""
    direction = next((metric.higher_is_better for metric in board.metrics if metric.name == board.rank_by), None)
    runs = [run for run in subject.made_here(row) if run.status == "ok"]
    left = left_out.get(_row_key(record_of(runs[0])), {}) if runs else {}
    if direction is None or not left:
        return None
    sign = 1.0 if direction else -1.0
    shown, hidden = _by_seed(map(record_of, runs), board.rank_by), _by_seed(left.values(), board.rank_by)
    common = {signal for found in shown.values() for signal in found} & {
        signal for found in hidden.values() for signal in found
    }
    inside, outside = (_means(found, common, sign) for found in (shown, hidden))
    outside = {seed: mean for seed, mean in outside.items() if seed not in inside}
    if not inside or not outside:
        return None
    return _Comparison(
        f"{board.label} / {row.label}",
        board.rank_by,
        sign,
        tuple(sorted(outside)),
        tuple(inside.values()),
        tuple(outside.values()),
        not subject.listed & left.keys(),
    )


def _judged(found: _Comparison, rows: int) -> Remark:
    """A finding if, by chance alone, hardly any of so many rows would show seeds as good as these."""
    chance = _chance(found.inside, found.outside)
    seeds = f"{'seed' if len(found.seeds) == 1 else 'seeds'} {', '.join(map(str, found.seeds))}"
    place = "neither in the table nor in any experiment of the folder" if found.unlisted else "not in the table"
    text = (
        f"{found.row}: the folder has results of {seeds}, which are {place}; by {found.metric}, {chance:.1%} of "
        f"all choices of {len(found.inside)} of the {len(found.inside) + len(found.outside)} seeds are at least as "
        "good as the one in the table"
    )
    if chance * rows >= FALSE_ALARM:
        return Note(text)
    shown, left_out = found.sign * fmean(found.inside), found.sign * fmean(found.outside)
    of_rows = f" ({rows} rows were compared)" if rows > 1 else ""
    what = f"{text}{of_rows}; means in the table and outside"
    return Finding("selected-seeds", what, "name all seeds in the spec and run it again", stored=shown, found=left_out)


def _by_seed(records: Iterable[RunRecord], metric: str) -> dict[int, dict[str, float]]:
    """Seed -> signal -> the metric."""
    found: dict[int, dict[str, float]] = {}
    for record in records:
        value = record.metrics.get(metric, math.nan)
        if math.isfinite(value):
            found.setdefault(record.run["seed"], {})[record.run["signal_label"]] = value
    return found


def _means(found: Mapping[int, Mapping[str, float]], signals: Collection[str], sign: float) -> dict[int, float]:
    """The mean over these signals of each seed that has all of them, larger is better."""
    return {
        seed: sign * fmean(values[signal] for signal in signals)
        for seed, values in found.items()
        if signals and values.keys() >= set(signals)
    }


def _chance(inside: Sequence[float], outside: Sequence[float]) -> float:
    """The share of all choices of as many seeds whose sum is at least that of the one that was made."""
    pool, count = [*inside, *outside], len(inside)
    least = sum(inside) - 1e-12 * max(1.0, abs(sum(inside)))
    if math.comb(len(pool), count) <= ALL_CHOICES:
        sums = [sum(choice) for choice in combinations(pool, count)]
        return sum(value >= least for value in sums) / len(sums)
    draw = random.Random(0)
    good = sum(sum(draw.sample(pool, count)) >= least for _ in range(DRAWN_CHOICES))
    # The choice that was made counts as one of those drawn: the share is never 0.
    return (good + 1) / (DRAWN_CHOICES + 1)


def _row_key(record: RunRecord) -> str:
    run = record.run
    return canonical([group_of(run), run["code"], run["targets"], run["device"].partition(":")[0]])
