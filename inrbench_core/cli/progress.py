"""Showing an experiment as it runs: live on a terminal, plain lines elsewhere. All on stderr.

The displays are ordinary implementations of the life-cycle hooks, registered while `eval` runs.
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice

import pluggy
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, Group, RenderResult
from rich.live import Live
from rich.measure import Measurement
from rich.progress import BarColumn, MofNCompleteColumn, ProgressColumn, Task, TaskID, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars
from rich.table import Column
from rich.text import Text

from inrbench_core.api.executor import Progress
from inrbench_core.api.hookspecs import hookimpl
from inrbench_core.api.text import one_line
from inrbench_core.cli.common import emit, make_console
from inrbench_core.cli.duration import duration
from inrbench_core.results.numbers import first_figure, format_number
from inrbench_core.runs.eta import Estimate
from inrbench_core.runs.events import StartedExperiment
from inrbench_core.runs.record import RunRecord
from inrbench_core.runs.run import AnyRun, FitRun

QUIET_SECONDS = 60.0


@contextmanager
def listening(manager: pluggy.PluginManager, *, quiet: bool) -> Iterator[None]:
    """Have the display that fits where stderr goes listen to the events."""
    if quiet:
        yield
        return
    display = LiveDisplay() if sys.stderr.isatty() else PlainDisplay()
    manager.register(display, name="progress display")
    try:
        with display:
            yield
    finally:
        manager.unregister(display)


def outcome(run: AnyRun, record: RunRecord) -> str:
    """How a run ended, in a few words."""
    if record.status == "ok":
        return first_figure(run.task_entry.metrics, record.metrics)
    return f"{record.status}: {record.message}"


class Display:
    """What both displays know: how many runs there are, and how long the rest will take."""

    def __init__(self) -> None:
        self.total = self.count = 0
        self.estimate = Estimate()
        self.experiment: StartedExperiment | None = None

    def __enter__(self) -> Display:
        return self

    def __exit__(self, *error: object) -> None: ...

    def begin(self, experiment: StartedExperiment) -> None:
        """Take in the plan."""
        self.experiment = experiment
        self.follow()

    def follow(self) -> None:
        """Take in the runs that were planned since, such as those of options that trial runs have chosen."""
        if self.experiment is None or len(self.experiment.runs) == self.total:
            return
        new = list(islice(self.experiment.runs.values(), self.total, None))
        todo = [run for run in new if run.id not in self.experiment.done]
        self.total += len(new)
        self.count += len(new) - len(todo)
        self.estimate.add(todo)

    def finish(self, run: AnyRun, record: RunRecord) -> None:
        """Take in that a run has ended."""
        self.count += 1
        self.estimate.finished(run, record)

    def left(self) -> str:
        """The time that is left, in a few words, or "" while it is not known and when all is done."""
        seconds = self.estimate.seconds_left()
        return "" if math.isnan(seconds) or self.count >= self.total else f"about {duration(seconds)} left"


def phase_text(run: AnyRun, progress: Progress) -> str:
    """What a run is doing, and how well."""
    if progress.phase != "training" or not progress.step:
        return progress.phase
    return first_figure(run.task_entry.metrics, progress.metrics) or f"loss {format_number(progress.loss)}"


class PlainDisplay(Display):
    """One line for each finished run, and one a minute for those under way."""

    def __init__(self) -> None:
        super().__init__()
        self.last = time.monotonic()

    @hookimpl
    def inrbench_experiment_started(self, experiment: StartedExperiment) -> None:
        self.begin(experiment)
        kept = f", {self.count} of them done" if self.count else ""
        self._say(f"{self.total} runs{kept}")
        if self.count < self.total:
            self._say("starting workers")

    @hookimpl
    def inrbench_run_started(self, run: AnyRun) -> None:
        self.follow()
        self.estimate.started(run)

    @hookimpl
    def inrbench_progress(self, run: AnyRun, progress: Progress) -> None:
        self.estimate.progress(run, progress)
        if progress.phase == "compiling" or time.monotonic() - self.last > QUIET_SECONDS:
            at = f"step {progress.step}/{progress.steps}" if progress.step else ""
            text = ", ".join(filter(None, [at, phase_text(run, progress), self.left()]))
            self._say(f"  {run.title}: {text}")

    @hookimpl
    def inrbench_run_finished(self, run: AnyRun, record: RunRecord) -> None:
        self.finish(run, record)
        took = f" in {record.times['total']:.1f} s" if "total" in record.times else ""
        left = f"; {self.left()}" if self.left() else ""
        self._say(f"[{self.count}/{self.total}] {run.title}: {outcome(run, record)}{took}{left}")

    def _say(self, text: str) -> None:
        self.last = time.monotonic()
        emit(text + "\n", stderr=True)


class _Shortened:
    """Text of which the end is shown where there is little room: the names of field and seed are there."""

    def __init__(self, text: str) -> None:
        self.text = one_line(text)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        text = self.text
        while cell_len(text) > options.max_width and text:
            text = "…" + text.lstrip("…")[1:] if len(text) > 1 else ""
        yield Text(text, no_wrap=True, end="")

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        return Measurement(1, cell_len(self.text))


class _TitleColumn(ProgressColumn):
    def render(self, task: Task) -> _Shortened:
        return _Shortened(task.description)


class LiveDisplay(Display):
    """An overall bar with the time left, and a line for each run under way."""

    def __init__(self) -> None:
        super().__init__()
        console = make_console(stderr=True)
        self.overall = Bars(
            TextColumn("[bold]runs"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[note]}", markup=False),
            console=console,
        )
        self.fits = Bars(
            # Of all columns only the first may be cut: the others hold figures.
            _TitleColumn(table_column=Column(ratio=1)),
            BarColumn(bar_width=12),
            MofNCompleteColumn(),
            TextColumn("{task.fields[note]}", markup=False),
            console=console,
            expand=True,
        )
        self.live = Live(Group(self.overall, self.fits), console=console, refresh_per_second=8, transient=True)
        self.bar = self.overall.add_task("runs", total=None, note="")
        self.lines: dict[str, TaskID] = {}

    def __enter__(self) -> LiveDisplay:
        self.live.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.live.stop()

    @hookimpl
    def inrbench_experiment_started(self, experiment: StartedExperiment) -> None:
        self.begin(experiment)
        note = "starting workers" if self.count < self.total else ""
        self.overall.update(self.bar, total=self.total, completed=self.count, note=note)

    @hookimpl
    def inrbench_run_started(self, run: AnyRun) -> None:
        self.follow()
        self.estimate.started(run)
        steps = run.training.steps if isinstance(run, FitRun) else None
        if run.id not in self.lines:
            self.lines[run.id] = self.fits.add_task(run.title, total=steps, note="")
        self.overall.update(self.bar, total=self.total, completed=self.count, note=self.left())

    @hookimpl
    def inrbench_progress(self, run: AnyRun, progress: Progress) -> None:
        self.estimate.progress(run, progress)
        if run.id in self.lines:
            self.fits.update(self.lines[run.id], completed=progress.step, note=phase_text(run, progress))
        self.overall.update(self.bar, note=self.left())

    @hookimpl
    def inrbench_run_finished(self, run: AnyRun, record: RunRecord) -> None:
        self.finish(run, record)
        self.overall.update(self.bar, completed=self.count, note=self.left())
        if run.id in self.lines:
            self.fits.remove_task(self.lines.pop(run.id))
        self.live.console.print(Text(f"{run.title}: {outcome(run, record)}"), highlight=False)
