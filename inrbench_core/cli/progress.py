"""Showing an experiment as it runs: live on a terminal, plain lines elsewhere. All on stderr."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from rich.console import Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars

from inrbench_core.api.executor import Progress
from inrbench_core.cli.common import make_console
from inrbench_core.results.formats import first_figure, format_number
from inrbench_core.runs.experiment import Listener
from inrbench_core.runs.record import RunRecord
from inrbench_core.spec.runspec import RunSpec

QUIET_SECONDS = 60.0


@contextmanager
def make_listener(*, quiet: bool) -> Iterator[Listener]:
    """The listener that fits where stderr goes."""
    if quiet:
        yield SilentListener()
    elif sys.stderr.isatty():
        with LiveListener() as listener:
            yield listener
    else:
        yield PlainListener()


def seconds_left(progress: Progress) -> float:
    """Estimated training time left, in s, at the speed so far."""
    return progress.seconds / progress.step * (progress.steps - progress.step) if progress.step else float("nan")


def outcome(run: RunSpec, record: RunRecord) -> str:
    """How a run ended, in a few words."""
    if record.status == "ok":
        return first_figure(run.task_entry.metrics, record.metrics)
    return f"{record.status}: {record.message}"


def title(run: RunSpec) -> str:
    """What to call a run."""
    return f"{run.task_label} / {run.label} / seed {run.seed}"


class SilentListener:
    """Shows nothing."""

    def planned(self, runs: Sequence[RunSpec], done: Sequence[RunSpec]) -> None: ...
    def started(self, run: RunSpec) -> None: ...
    def progress(self, run: RunSpec, progress: Progress) -> None: ...
    def finished(self, run: RunSpec, record: RunRecord) -> None: ...


class PlainListener(SilentListener):
    """One line for each finished run, and one a minute for those under way."""

    def __init__(self) -> None:
        self.total = self.count = 0
        self.last = time.monotonic()

    def planned(self, runs: Sequence[RunSpec], done: Sequence[RunSpec]) -> None:
        self.total, self.count = len(runs), len(done)
        kept = f", {len(done)} of them done before" if done else ""
        self._say(f"{len(runs)} runs{kept}")

    def progress(self, run: RunSpec, progress: Progress) -> None:
        if time.monotonic() - self.last > QUIET_SECONDS:
            left = f"about {seconds_left(progress):.0f} s left"
            at = f"step {progress.step}/{progress.steps}, loss {format_number(progress.loss)}"
            figure = first_figure(run.task_entry.metrics, progress.metrics)
            self._say(f"  {title(run)}: {', '.join(filter(None, [at, figure, left]))}")

    def finished(self, run: RunSpec, record: RunRecord) -> None:
        self.count += 1
        took = f" in {record.times['total']:.1f} s" if "total" in record.times else ""
        self._say(f"[{self.count}/{self.total}] {title(run)}: {outcome(run, record)}{took}")

    def _say(self, text: str) -> None:
        self.last = time.monotonic()
        print(text, file=sys.stderr, flush=True)


class LiveListener(SilentListener):
    """An overall bar, and a line for each fit under way."""

    def __init__(self) -> None:
        console = make_console(stderr=True)
        columns = (BarColumn(bar_width=24), MofNCompleteColumn())
        self.overall = Bars(TextColumn("[bold]runs"), *columns, TimeElapsedColumn(), console=console)
        self.fits = Bars(
            TextColumn("  {task.description}", markup=False),
            *columns,
            TextColumn("{task.fields[note]}", markup=False),
            console=console,
        )
        self.live = Live(Group(self.overall, self.fits), console=console, refresh_per_second=8, transient=True)
        self.bar = self.overall.add_task("runs", total=None)
        self.lines: dict[str, TaskID] = {}

    def __enter__(self) -> LiveListener:
        self.live.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.live.stop()

    def planned(self, runs: Sequence[RunSpec], done: Sequence[RunSpec]) -> None:
        self.overall.update(self.bar, total=len(runs), completed=len(done))

    def started(self, run: RunSpec) -> None:
        steps = run.training.steps if run.training else None
        if run.id not in self.lines:
            self.lines[run.id] = self.fits.add_task(title(run), total=steps, note="")

    def progress(self, run: RunSpec, progress: Progress) -> None:
        figure = first_figure(run.task_entry.metrics, progress.metrics)
        note = f"loss {format_number(progress.loss)}  {figure}  {seconds_left(progress):.0f} s left"
        self.fits.update(self.lines[run.id], completed=progress.step, note=note)

    def finished(self, run: RunSpec, record: RunRecord) -> None:
        self.overall.advance(self.bar)
        if run.id in self.lines:
            self.fits.remove_task(self.lines.pop(run.id))
        self.live.console.print(f"{title(run)}: {outcome(run, record)}", highlight=False, markup=False)
