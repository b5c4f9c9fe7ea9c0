"""The local executor: warm worker processes that can be killed, each with its share of the cores and of the GPUs."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Collection, Iterable
from multiprocessing.connection import wait
from typing import Any

from inrbench_core.api.executor import Executor, ExecutorContext, ExecutorEvent, Job
from inrbench_core.plugins.builtin import LocalSpec
from inrbench_core.runs.child import Child, event_of
from inrbench_core.runs.gpus import visible_gpus

MAX_DEFAULT_JOBS = 8


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _most_threads() -> int:
    """What the user allows each process, as torch itself reads it."""
    allowed = os.environ.get("OMP_NUM_THREADS", "")
    return int(allowed) if allowed.isdecimal() and int(allowed) else cores()


class LocalExecutor(Executor):
    """One worker process for each job at a time; a worker that dies costs its own job only.

    On `device: cuda` each worker sees one GPU, the one with the fewest workers; on `cuda:N` all see that one.

    Args:
        spec: how many jobs at a time.
        context: the experiment.
    """

    def __init__(self, spec: LocalSpec, context: ExecutorContext) -> None:
        super().__init__(spec, context)
        self.gpus = visible_gpus() if context.device == "cuda" else []
        most = max(1, len(self.gpus)) if context.device.startswith("cuda") else min(cores(), MAX_DEFAULT_JOBS)
        self.workers: int = spec.jobs or max(1, min(context.jobs, most))
        self.threads = min(_most_threads(), max(1, cores() // self.workers))
        self._queue: deque[Job] = deque()
        self._events: deque[ExecutorEvent] = deque()
        self._workers: list[_Worker] = []

    def submit(self, job: Job) -> None:
        self._queue.append(job)

    def unfinished(self) -> Collection[str]:
        under_way = {worker.job.id for worker in self._workers if worker.job is not None}
        return under_way | {job.id for job in self._queue} | {event.job_id for event in self._events}

    def events(self, timeout_s: float) -> Iterable[ExecutorEvent]:
        self._hand_out()
        self._collect(0.0 if self._events else timeout_s)
        # A worker that is free begins its next job while the driver still writes the file of the last one.
        self._hand_out()
        while self._events:
            yield self._events.popleft()

    def cancel(self, job_id: str) -> None:
        self._queue = deque(job for job in self._queue if job.id != job_id)
        for worker in list(self._workers):
            if worker.job is not None and worker.job.id == job_id:
                self._remove(worker)
        self._events = deque(event for event in self._events if event.job_id != job_id)

    def shutdown(self) -> None:
        self._queue.clear()
        for worker in list(self._workers):
            self._remove(worker)

    def _remove(self, worker: _Worker) -> None:
        worker.kill()
        self._workers.remove(worker)

    def _hand_out(self) -> None:
        busy = sum(worker.job is not None for worker in self._workers)
        while len(self._workers) < min(self.workers, len(self._queue) + busy):
            self._workers.append(_Worker(self.threads, self._free_gpu()))
        for worker in self._workers:
            if worker.job is None and self._queue:
                worker.start(self._queue.popleft())

    def _free_gpu(self) -> str | None:
        """The GPU with the fewest workers; None: a worker sees what this process sees."""
        taken = [worker.gpu for worker in self._workers]
        return min(self.gpus, key=taken.count, default=None)

    def _collect(self, timeout_s: float) -> None:
        wait([source for worker in self._workers for source in worker.sources], timeout=timeout_s)
        for worker in list(self._workers):
            # Looked at before its socket is emptied: what it sent before it died still counts.
            dead = worker.process.poll() is not None
            for what, content in worker.receive():
                self._take(worker, what, content)
            if dead or worker.ended:
                self._bury(worker)

    def _take(self, worker: _Worker, what: str, content: Any) -> None:
        if worker.job is None:
            return
        self._events.append(event_of(worker.job.id, what, content))
        if what in ("ended", "lost"):
            worker.job = None

    def _bury(self, worker: _Worker) -> None:
        reason = worker.exit_reason()
        self._remove(worker)
        if worker.job is not None:
            error = f"its worker process died ({reason})"
            self._events.append(ExecutorEvent(worker.job.id, "lost", error=error, retry=True))


class _Worker(Child):
    """A process that does one job at a time, and sees one GPU or what its parent sees."""

    def __init__(self, threads: int, gpu: str | None) -> None:
        visible = {} if gpu is None else {"CUDA_VISIBLE_DEVICES": gpu}
        super().__init__("inrbench_core.runs.serve", {"OMP_NUM_THREADS": str(threads), **visible})
        self.gpu = gpu
        self.job: Job | None = None

    def start(self, job: Job) -> None:
        self.job = job
        self.send((job, {}))
