"""Fitting runs again: the only probe that does not rest on what the files say."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

from inrbench_core.api.errors import InrbenchError
from inrbench_core.results.results import ResultRun
from inrbench_core.results.verify.recompute import Recomputation, recorded_threads
from inrbench_core.results.verify.report import Note, Remark, Unchecked, finding, title
from inrbench_core.runs.execute import execute

# A fit on another machine, or with another number of threads, rounds otherwise, and training amplifies that;
# docs/verify.md says how far it was seen to go.
DECIBELS, RELATIVE = 0.5, 0.02


def check_refits(
    recomputation: Recomputation, count: int, seed: int, tell: Callable[[ResultRun], None]
) -> Iterator[Remark]:
    """Fit some runs again, and compare their metrics.

    Args:
        recomputation: of the folder.
        count: how many runs at most.
        seed: of the choice among all runs of fields that are ok and were made in this folder.
        tell: is told each run before it is fitted.
    """
    subject = recomputation.subject
    runs = {
        run.id: run
        for board in subject.results.boards
        for run in subject.board_runs(board)
        if run.status == "ok" and run.record is not None and run.record.run["field"] is not None
    }
    chosen = random.Random(seed).sample(sorted(runs), min(count, len(runs)))
    for run_id in chosen:
        tell(runs[run_id])
        yield from _refitted(recomputation, runs[run_id])


def _refitted(recomputation: Recomputation, run: ResultRun) -> Iterator[Remark]:
    record = run.record
    assert record is not None
    try:
        planned = recomputation.planned(run)
    except InrbenchError as error:
        yield Unchecked((title(run),), str(error))
        return
    with recorded_threads(record):
        again = execute(planned)
    if again.status in ("failed", "interrupted"):
        yield Unchecked((title(run),), f"fitting it again failed: {again.message}")
        return
    if again.status != "ok":
        what = f"fitted again it ended as {again.status}: {again.message}"
        yield finding("refit", [run], what, "see whether its code or its libraries changed")
        return
    units = {str(metric["name"]): str(metric["unit"]) for metric in record.declared}
    pairs = {name: (record.metrics[name], again.metrics[name]) for name in record.metrics if name in again.metrics}
    if all(repr(stored) == repr(found) for stored, found in pairs.values()):
        yield Note(f"{title(run)}: fitted again, all {len(pairs)} metrics are bit-equal")
        return
    lines = [
        f"{name} {stored:.6g} -> {found:.6g}" for name, (stored, found) in pairs.items() if repr(stored) != repr(found)
    ]
    wrong = [name for name, (stored, found) in pairs.items() if not _holds(stored, found, units.get(name, ""))]
    for name in wrong:
        stored, found = pairs[name]
        advice = "see whether its data, its code or its libraries changed"
        yield finding("refit", [run], name, advice, stored=stored, found=found)
    if not wrong:
        yield Note(
            f"{title(run)}: fitted again, its metrics hold within {DECIBELS:g} dB or {RELATIVE:.0%}: {', '.join(lines)}"
        )


def _holds(stored: float, found: float, unit: str) -> bool:
    if stored == found or (stored != stored and found != found):
        return True
    return abs(stored - found) <= (DECIBELS if unit == "dB" else RELATIVE * abs(stored))
