"""How long the rest of an experiment will take, from what its runs have taken so far. Imports no torch."""

from __future__ import annotations

import math
import statistics
import time
from collections import Counter
from collections.abc import Iterable

from inrbench_core.api.executor import Progress
from inrbench_core.runs.record import RunRecord
from inrbench_core.runs.run import AnyRun, FitRun


class Estimate:
    """Seconds that are left of a set of runs.

    What a run takes is known from the others of its row (another seed, another signal) as soon as the first of them
    has done a few steps; a row that has not begun is taken to be as slow as the mean of those that have.

    Args:
        todo: the runs that are to be carried out.
    """

    def __init__(self, todo: Iterable[AnyRun] = ()) -> None:
        # By row, because there may be a million runs and this is asked ten times a second.
        self._waiting: Counter[str] = Counter()
        self.add(todo)
        self._by_group: dict[str, float] = {}
        self._since: dict[str, float] = {}
        self._whole: dict[str, float] = {}
        # Of a worker's time, by run under way.
        self._shares: dict[str, float] = {}
        self._most_at_once = 1

    def add(self, todo: Iterable[AnyRun]) -> None:
        """Some more runs are to be carried out."""
        self._waiting.update(run.group for run in todo if isinstance(run, FitRun))

    def started(self, run: AnyRun) -> None:
        """A run begins now."""
        if isinstance(run, FitRun) and run.id not in self._since:
            self._waiting[run.group] -= 1
            self._since[run.id] = time.monotonic()
            self._shares[run.id] = 1.0

    def progress(self, run: AnyRun, progress: Progress) -> None:
        """A run has come further."""
        if run.id in self._since:
            # Runs that take their steps together count as one.
            self._shares[run.id] = 1.0 / progress.together
            self._note_shares()
        if progress.step and run.id in self._since:
            # Evaluation, preparation and compilation come on top, and are in the time since its start.
            elapsed = time.monotonic() - self._since[run.id]
            rest = progress.seconds / progress.step * (progress.steps - progress.step)
            self._whole[run.id] = elapsed + rest
            self._by_group.setdefault(run.group, self._whole[run.id])

    def finished(self, run: AnyRun, record: RunRecord) -> None:
        """A run has ended."""
        if self._since.pop(run.id, None) is None and isinstance(run, FitRun):
            self._waiting[run.group] -= 1
        self._note_shares()
        self._whole.pop(run.id, None)
        self._shares.pop(run.id, None)
        if isinstance(run, FitRun) and record.status == "ok" and "total" in record.times:
            self._by_group[run.group] = record.times["total"]

    def _note_shares(self) -> None:
        # Not when a run begins, before it has told whether it is alone.
        self._most_at_once = max(self._most_at_once, round(sum(self._shares.values())))

    def seconds_left(self) -> float:
        """Estimate, in s; NaN while nothing is known."""
        if not self._by_group:
            return math.nan
        typical = statistics.fmean(self._by_group.values())
        now = time.monotonic()
        left = [max(0.0, self._whole.get(run_id, typical) - (now - since)) for run_id, since in self._since.items()]
        waiting = [(self._by_group.get(group, typical), count) for group, count in self._waiting.items() if count > 0]
        total = sum(left) + sum(seconds * count for seconds, count in waiting)
        longest = max([*left, *(seconds for seconds, _ in waiting)], default=0.0)
        return max(longest, total / self._most_at_once)
