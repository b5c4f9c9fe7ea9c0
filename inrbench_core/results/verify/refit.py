"""Fitting runs again: the only probe that does not rest on what the files say."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from inrbench_core.results.results import ResultRun
from inrbench_core.results.verify.own_figures import unit_of
from inrbench_core.results.verify.recompute import Recomputation, recorded_threads, unchecked
from inrbench_core.results.verify.report import Note, Remark, Unchecked, finding, title
from inrbench_core.results.verify.subject import record_of
from inrbench_core.runs.execute import execute
from inrbench_core.runs.record import RunRecord

# A fit on another machine, or with another number of threads, rounds otherwise, and training amplifies that;
# docs/verify.md says how far it was seen to go.
DECIBELS, RELATIVE = 0.5, 0.02


class Refits:
    """Fits runs again.

    Args:
        recomputation: of the folder.
        tell: is told each run before it is fitted.

    Attributes:
        done: how many runs were fitted.
    """

    def __init__(self, recomputation: Recomputation, tell: Callable[[ResultRun], None]) -> None:
        self.recomputation = recomputation
        self.tell = tell
        self.done = 0

    def remarks(self, runs: Iterable[ResultRun]) -> Iterator[Remark]:
        """Fit each run, and say whether its metrics hold."""
        for run in runs:
            self.tell(run)
            try:
                planned = self.recomputation.planned(run)
            except (Exception, SystemExit) as error:
                yield unchecked(run, error)
                continue
            with recorded_threads(record_of(run)):
                again = execute(planned)
            if again.status in ("failed", "interrupted"):
                yield Unchecked((title(run),), f"fitting it again failed: {again.message}")
                continue
            self.done += 1
            yield from _compared(run, again)


def _compared(run: ResultRun, again: RunRecord) -> Iterator[Remark]:
    record = record_of(run)
    if again.status != "ok":
        what = f"fitted again it ended as {again.status}: {again.message}"
        yield finding("refit", [run], what, "see whether its code or its libraries changed")
        return
    pairs = {name: (record.metrics[name], again.metrics[name]) for name in record.metrics if name in again.metrics}
    if all(repr(stored) == repr(found) for stored, found in pairs.values()):
        yield Note(f"{title(run)}: fitted again, all {len(pairs)} metrics are bit-equal")
        return
    lines = [
        f"{name} {stored:.6g} -> {found:.6g}" for name, (stored, found) in pairs.items() if repr(stored) != repr(found)
    ]
    wrong = [name for name, (stored, found) in pairs.items() if not _holds(stored, found, unit_of(record, name))]
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
