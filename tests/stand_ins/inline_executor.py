"""An executor without processes, for tests of the driver: sound but for the fault that is asked for."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable, Iterator
from typing import Any

from inrbench_core import Executor, ExecutorContext, ExecutorEvent, Job
from inrbench_core.runs.work import work

AT_FAULT = 1


class InlineExecutor(Executor):
    """Does a job whenever it is asked for events.

    Args:
        spec: `fault` is what goes wrong with jobs of seed 1.
        context: the experiment.
    """

    def __init__(self, spec: Any, context: ExecutorContext) -> None:
        super().__init__(spec, context)
        if spec.fault == "cannot_start":
            raise OSError("no route to the cluster")
        self.queue: deque[Job] = deque()
        self.submitted: list[str] = []

    def submit(self, job: Job) -> None:
        if self._has(job, "raises_in_submit"):
            raise ConnectionError("the queue is full")
        self.submitted.append(job.id)
        first = self.submitted.count(job.id) == 1
        lost = any(self._has(job, fault) for fault in ("loses_jobs", "raises_in_unfinished"))
        if not (lost or (self._has(job, "loses_jobs_once") and first)):
            self.queue.append(job)

    def unfinished(self) -> Collection[str]:
        if self.spec.fault == "raises_in_unfinished":
            raise ConnectionError("no answer")
        return {job.id for job in self.queue}

    def events(self, timeout_s: float) -> Iterable[ExecutorEvent]:
        if self.queue:
            job = self.queue.popleft()
            yield ExecutorEvent(job.id, "started")
            yield from self._done(job)

    def _done(self, job: Job) -> Iterator[Any]:
        if self._has(job, "raises_in_events"):
            raise ConnectionError("no answer")
        if self._has(job, "exits_in_events"):
            raise SystemExit(0)
        if self._has(job, "ends_without_result"):
            yield ExecutorEvent(job.id, "ended")
            return
        for run_id, content in list(work(job)):
            yield from self._finished(job, run_id, content)
        if self._has(job, "lost_after_the_last_run"):
            yield ExecutorEvent(job.id, "lost", error="its worker died", retry=True)
        else:
            yield ExecutorEvent(job.id, "ended")

    def _finished(self, job: Job, run_id: str, content: bytes) -> Iterator[Any]:
        sound = ExecutorEvent(job.id, "finished", run_id=run_id, content=content)
        if self._has(job, "garbage_bytes"):
            yield ExecutorEvent(job.id, "finished", run_id=run_id, content=b"\x89HDF\r\n\x1a\n" + bytes(1000))
        elif self._has(job, "other_run"):
            other = {**job.runs[0], "seed": 2}
            ((_, content),) = work(Job(job.id, (other,), job.plugin_files))
            yield ExecutorEvent(job.id, "finished", run_id=run_id, content=content)
        elif self._has(job, "no_bytes"):
            yield ExecutorEvent(job.id, "finished", run_id=run_id, content="text")  # type: ignore[arg-type]
        elif self._has(job, "no_events"):
            yield from (None, "finished", ExecutorEvent([], "ended"), sound)  # type: ignore[arg-type]
        elif self._has(job, "unknown_jobs"):
            yield from (ExecutorEvent("unheard-of", what) for what in ("started", "finished", "ended", "lost"))
            yield ExecutorEvent(job.id, "finished", run_id="unheard-of", content=content)
            yield sound
        elif self._has(job, "finishes_twice"):
            yield from (sound, sound)
        else:
            yield sound

    def cancel(self, job_id: str) -> None:
        self.queue = deque(job for job in self.queue if job.id != job_id)

    def shutdown(self) -> None:
        if self.spec.fault == "raises_in_shutdown":
            raise ConnectionError("no answer")

    def _has(self, job: Job, fault: str) -> bool:
        return self.spec.fault == fault and job.runs[0]["seed"] == AT_FAULT
