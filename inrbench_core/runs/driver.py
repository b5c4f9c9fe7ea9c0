"""The driver: what is done stays done, the rest goes to the executor. Nobody else writes to the store."""

from __future__ import annotations

import contextlib
import math
import time
import warnings
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from inrbench_core.api.errors import InrbenchError, StorageError
from inrbench_core.api.executor import Executor, ExecutorContext, ExecutorEvent, Job, Progress
from inrbench_core.plugins.catalog import Catalog
from inrbench_core.plugins.failures import one_line
from inrbench_core.runs.events import EventStream, StartedExperiment
from inrbench_core.runs.interrupts import noted_interrupts
from inrbench_core.runs.outcome import failure
from inrbench_core.runs.plan import Plan, Strategy
from inrbench_core.runs.record import RunRecord, Status
from inrbench_core.runs.run import AnyRun
from inrbench_core.runs.runfile import NotARun, encode
from inrbench_core.runs.stacking import stacks
from inrbench_core.runs.store import RunStore

TRIES = 2
# The executor holds no more jobs than these, so that a plan of a million runs costs it nothing.
MOST_SUBMITTED = 256
POLL_S = 0.5


@dataclass
class _Submitted:
    """A job that the executor has."""

    job: Job
    runs: dict[str, AnyRun]
    tries: int
    since: float | None = None
    missing: int = 0
    # Ids of the runs that have begun.
    begun: set[str] = field(default_factory=set)


@dataclass
class Outcome:
    """What came of an experiment.

    Args:
        records: the record of every run that has one, by id; good ones of before count.
        failed: ids of the runs that were carried out now and did not go well.
        stopped: whether the time was over before all was done.
        shortest_s: what the shortest of the runs that were not begun for lack of time takes, in s; 0 if it is
            not known, infinity if there is none.
    """

    records: dict[str, RunRecord] = field(default_factory=dict)
    failed: set[str] = field(default_factory=set)
    stopped: bool = False
    shortest_s: float = math.inf


@dataclass(frozen=True)
class _Cost:
    """What a run took: the best estimate for other seeds and signals of its row."""

    flops: float = 0.0
    memory_bytes: float = 0.0
    seconds: float = 0.0


class Driver:
    """Carries out the runs that a strategy hands out and that have no good result yet.

    Args:
        plan: the experiment.
        store: where results are kept; its lock is held.
        catalog: for life-cycle hooks.
        plugin_files: plugin files that workers load as well.
        known: the record of every planned run that has one.
        fresh: repeat runs that are done.
        deadline: when to stop, on the clock of `time.monotonic`. A job is not begun where it is known to take longer
            than what is left; one that is still under way then is recorded as interrupted.
    """

    def __init__(
        self,
        plan: Plan,
        store: RunStore,
        catalog: Catalog,
        *,
        plugin_files: Sequence[Path],
        known: dict[str, RunRecord],
        fresh: bool,
        deadline: float = math.inf,
    ) -> None:
        self.plan = plan
        self.store = store
        self.events = EventStream(catalog.manager)
        self.plugin_files = tuple(str(file.resolve()) for file in plugin_files)
        self.outcome = Outcome(dict(known))
        self.done = frozenset() if fresh else frozenset(plan.done(known))
        self.deadline = deadline
        # By row.
        self._costs: dict[str, _Cost] = {}
        for run_id, record in known.items():
            if run_id in plan.runs:
                self._learn_cost(plan.runs[run_id], record)
        # The runs of a job and how often it was tried; the job itself is made when it is submitted.
        self._waiting: deque[tuple[dict[str, AnyRun], int]] = deque()
        self._submitted: dict[str, _Submitted] = {}

    def drive(self, strategy: Strategy, on_growth: Callable[[Plan], None] = lambda plan: None) -> Outcome:
        """Carry out all that the strategy hands out.

        Args:
            strategy: of this plan.
            on_growth: is told the new plan when the strategy has added runs.

        Raises:
            KeyboardInterrupt: after workers are ended and runs under way are recorded as interrupted.
            StorageError: if results cannot be written any more, as on a full disk.
        """
        # Listeners see it grow.
        runs = dict(self.plan.runs)
        executor: Executor | None = None
        self.events.send(
            "inrbench_experiment_started",
            experiment=StartedExperiment(self.plan.experiment.name, self.store.folder, runs, self.done),
            store=self.store,
        )
        try:
            with noted_interrupts() as check_interrupts:
                while not self.outcome.stopped:
                    check_interrupts()
                    given = strategy.next(self.outcome.records)
                    if strategy.plan is not self.plan:
                        self.plan = strategy.plan
                        runs.update(self.plan.runs)
                        on_growth(self.plan)
                    if not given:
                        break
                    todo = [run for run in given if run.id not in self.done]
                    self._waiting.extend(({run.id: run}, 0) for run in todo)
                    if self._waiting and executor is None:
                        executor = self._start()
                    if executor is not None:
                        self._stack(executor)
                        self._carry_out(executor, check_interrupts)
                check_interrupts()
        except KeyboardInterrupt:
            if executor is not None:
                self._shut_down(executor)
            self._record_interrupted("interrupted by the user")
            raise
        finally:
            if executor is not None:
                self._shut_down(executor)
        return self.outcome

    def _stack(self, executor: Executor) -> None:
        """Put the runs that may train together into one job each.

        Not where there is a time limit: one by one, more runs end before it, and each has its own.
        """
        limited = self.deadline < math.inf or self.plan.experiment.timeout_s is not None
        if self.plan.experiment.stack and executor.workers is not None and not limited:
            runs = [run for waiting, _ in self._waiting for run in waiting.values()]
            jobs = stacks(runs, executor.workers)
            self._waiting = deque(({run.id: run for run in job}, 0) for job in jobs)

    def _start(self) -> Executor | None:
        """The executor, or None if it cannot be made: the runs that wait for it have failed then.

        Raises:
            InrbenchError: by which an executor says that it cannot work here.
        """
        context = ExecutorContext(jobs=self.plan.count, device=self.plan.device)
        try:
            executor: Executor = self.plan.experiment.executor.build(context)
        except InrbenchError:
            raise
        except (Exception, SystemExit) as error:
            self._give_up(f"the executor cannot be started: {one_line(error)}")
            return None
        return executor

    def _learn_cost(self, run: AnyRun, record: RunRecord) -> None:
        if record.status == "ok":
            seconds = record.times.get("total", 0.0)
            self._costs[run.group] = _Cost(record.flops, float(record.peak_memory_bytes), seconds)

    def _carry_out(self, executor: Executor, check_interrupts: Callable[[], None]) -> None:
        """Until every waiting job has ended. What an executor raises costs the runs that it has not done."""
        while self._waiting or self._submitted:
            check_interrupts()
            if time.monotonic() >= self.deadline:
                self._stop(executor)
                return
            self._submit(executor)
            self._withdraw(executor)
            happened: list[Any] = []
            raised, unfinished = "", set()
            try:
                # What it has told before it raises counts.
                for event in executor.events(min(POLL_S, max(0.0, self.deadline - time.monotonic()))):
                    happened.append(event)
                if not happened:
                    unfinished = set(executor.unfinished())
            except (Exception, SystemExit) as error:
                raised = one_line(error)
            for event in happened:
                self._take(event)
            if raised:
                self._give_up(f"the executor raised {raised}")
            elif not happened:
                self._look_for_lost(unfinished)
            self._end_overdue(executor)

    def _submit(self, executor: Executor) -> None:
        while self._waiting and len(self._submitted) < MOST_SUBMITTED:
            runs, tries = self._waiting.popleft()
            if not self._fits(runs):
                continue
            job = self._job(list(runs.values()))
            self._submitted[job.id] = _Submitted(job, runs, tries + 1)
            try:
                executor.submit(job)
            except (Exception, SystemExit) as error:
                self._lose(self._submitted[job.id], f"the executor raised {one_line(error)}", retry=False)

    def _job(self, runs: Sequence[AnyRun]) -> Job:
        costs = [self._costs.get(run.group, _Cost()) for run in runs]
        return Job(
            id=runs[0].id,
            runs=tuple(run.to_data() for run in runs),
            plugin_files=self.plugin_files,
            files=tuple(dict.fromkeys(file for run in runs for file in run.files)),
            flops=sum(cost.flops for cost in costs),
            bytes=max(cost.memory_bytes for cost in costs),
        )

    def _fits(self, runs: Mapping[str, AnyRun]) -> bool:
        """Whether a job, begun now, would end before the deadline, as far as is known; else it is noted as left."""
        seconds = sum(self._costs.get(run.group, _Cost()).seconds for run in runs.values())
        if time.monotonic() + seconds < self.deadline:
            return True
        self.outcome.stopped = True
        self.outcome.shortest_s = min(self.outcome.shortest_s, seconds)
        return False

    def _withdraw(self, executor: Executor) -> None:
        """Take back the jobs that have waited so long that they cannot end before the deadline."""
        for item in list(self._submitted.values()):
            if item.since is None and not self._fits(item.runs):
                self._cancel(executor, item)
                del self._submitted[item.job.id]

    def _stop(self, executor: Executor) -> None:
        """Abandon what is left at the deadline; what is under way is recorded as interrupted."""
        self.outcome.stopped = True
        self._waiting.clear()
        for item in self._submitted.values():
            self._cancel(executor, item)
        self._record_interrupted("interrupted at the time limit of the experiment")
        self._submitted.clear()

    def _cancel(self, executor: Executor, item: _Submitted) -> str:
        """Have the executor abandon a job. Returns what it raised, or ""."""
        try:
            executor.cancel(item.job.id)
        except (Exception, SystemExit) as error:
            return one_line(error)
        return ""

    def _take(self, event: Any) -> None:
        if not _is_event(event):
            warnings.warn(f"the executor handed over a {type(event).__name__} that is no event", stacklevel=2)
            return
        item = self._submitted.get(event.job_id)
        if item is None:
            warnings.warn(f"the executor told of a job that it was not given: {event.job_id}", stacklevel=2)
            return
        run = item.runs.get(event.run_id)
        if event.what == "started":
            item.since = time.monotonic()
            # Those of a job with several begin with their first progress.
            if len(item.job.runs) == 1:
                for started in item.runs.values():
                    self._begin(item, started)
        elif event.what == "progress" and run is not None:
            if run.id not in item.begun:
                self._begin(item, run)
            self.events.send("inrbench_progress", run=run, progress=event.progress)
        elif event.what == "finished" and run is not None:
            self._keep(run, event.content)
            del item.runs[run.id]
        elif event.what == "ended":
            self._lose(item, "the executor ended its job without a result", retry=False)
        elif event.what == "lost":
            self._lose(item, event.error, retry=event.retry)

    def _begin(self, item: _Submitted, run: AnyRun) -> None:
        item.begun.add(run.id)
        self.events.send("inrbench_run_started", run=run)

    def _lose(self, item: _Submitted, reason: str, *, retry: bool) -> None:
        del self._submitted[item.job.id]
        # None are left if it was lost between its last run and its end.
        if item.runs and retry and item.tries < TRIES:
            # One by one: whatever one of them does to its worker, the others are safe from it now.
            self._waiting.extendleft(({run.id: run}, item.tries) for run in reversed(item.runs.values()))
        else:
            self._fail(item.runs, reason)

    def _look_for_lost(self, unfinished: set[str]) -> None:
        """An executor that says nothing of a job and does not have it any more has lost it."""
        for job_id, item in list(self._submitted.items()):
            item.missing = 0 if job_id in unfinished else item.missing + 1
            # Twice in a row: an event of it may be on its way.
            if item.missing > 1:
                self._lose(item, "the executor lost its job", retry=True)

    def _end_overdue(self, executor: Executor) -> None:
        limit = self.plan.experiment.timeout_s
        if limit is None:
            return
        for item in list(self._submitted.values()):
            if item.since is not None and time.monotonic() - item.since > limit:
                reason = f"timed out after {limit:g} s"
                if raised := self._cancel(executor, item):
                    reason += f", and the executor raised when told to stop it: {raised}"
                self._lose(item, reason, retry=False)

    def _give_up(self, reason: str) -> None:
        warnings.warn(f"{reason}; the runs that it had are recorded as failed", stacklevel=2)
        left = [*(item.runs for item in self._submitted.values()), *(runs for runs, _ in self._waiting)]
        self._submitted.clear()
        self._waiting.clear()
        for runs in left:
            self._fail(runs, reason)

    def _fail(self, runs: Mapping[str, AnyRun], reason: str) -> None:
        for run in list(runs.values()):
            self._keep(run, self._failure(run, "failed", reason))

    def _failure(self, run: AnyRun, status: Status, message: str) -> bytes:
        return encode(failure(run, status, message))

    def _keep(self, run: AnyRun, content: bytes) -> None:
        try:
            record = self.store.put(run.id, content)
        except NotARun as error:
            self._keep(
                run, self._failure(run, "failed", f"the executor handed over a file that is not usable: {error}")
            )
            return
        except OSError as error:
            # Nothing that is fitted from now on could be kept.
            raise StorageError(
                f"{self.store.folder}: cannot be written: {error.strerror}; stopped. "
                "What is done is kept, and the same command continues from there"
            ) from None
        self._learn_cost(run, record)
        if record.status != "ok":
            self.outcome.failed.add(run.id)
        old = self.outcome.records.get(run.id)
        if old is None or record.status == "ok" or old.status != "ok":
            self.outcome.records[run.id] = record
        self.events.send("inrbench_run_finished", run=run, record=record)

    def _record_interrupted(self, reason: str) -> None:
        for item in list(self._submitted.values()):
            for run in (run for run in item.runs.values() if run.id in item.begun):
                # A full disk must not hide that the user interrupted.
                with contextlib.suppress(OSError):
                    self.store.put(run.id, self._failure(run, "interrupted", reason))
                    # An interrupt may come between the writing of a good file and its being counted.
                    self.outcome.records.update(self.store.records([run.id]))

    def _shut_down(self, executor: Executor) -> None:
        try:
            executor.shutdown()
        except (Exception, SystemExit) as error:
            warnings.warn(f"the executor raised at shutdown: {one_line(error)}", stacklevel=2)


def _is_event(event: Any) -> bool:
    """Whether it is what the contract of executors says, which an outsider's may not keep."""
    return (
        isinstance(event, ExecutorEvent)
        and isinstance(event.content, bytes)
        and all(isinstance(text, str) for text in (event.job_id, event.run_id, event.error))
        and (event.what != "progress" or isinstance(event.progress, Progress))
    )
