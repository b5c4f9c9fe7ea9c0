"""The local executor: warm worker processes that can be killed, each with its share of the cores."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import shutil
import signal
import time
from collections import deque
from collections.abc import Iterator, Mapping
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Any

from inrbench_core.api.executor import Executor, ExecutorEvent, Progress
from inrbench_core.plugins.builtin import LocalSpec
from inrbench_core.plugins.failures import one_line

MAX_DEFAULT_JOBS = 8
TRIES = 2


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _most_threads() -> int:
    """What the user allows each process, as torch itself reads it."""
    allowed = os.environ.get("OMP_NUM_THREADS", "")
    return int(allowed) if allowed.isdecimal() and int(allowed) else cores()


class LocalExecutor(Executor):
    """One worker process per job; a worker that dies costs one retry of its run, and no other run.

    Args:
        spec: jobs and time limit.
        runs: how many runs the experiment has, done ones too, so that resuming shares out the cores
            as before and gives the same numbers.
        device: the experiment's device.
    """

    def __init__(self, spec: LocalSpec, *, runs: int, device: str) -> None:
        self.timeout_s = spec.timeout_s
        default = 1 if _may_be_cuda(device) else min(runs, cores(), MAX_DEFAULT_JOBS)
        self.jobs = spec.jobs or max(1, default)
        self.threads = min(_most_threads(), max(1, cores() // self.jobs))
        self._queue: deque[tuple[str, Mapping[str, Any]]] = deque()
        self._tries: dict[str, int] = {}
        self._workers: list[_Worker] = []

    def submit(self, run_id: str, payload: Mapping[str, Any]) -> None:
        self._queue.append((run_id, payload))

    def events(self) -> Iterator[ExecutorEvent]:
        try:
            while self._queue or any(worker.run_id for worker in self._workers):
                yield from self._hand_out()
                yield from self._collect()
        finally:
            self.shutdown()

    def shutdown(self) -> None:
        for worker in self._workers:
            worker.kill()
        self._workers.clear()

    def _hand_out(self) -> Iterator[ExecutorEvent]:
        while len(self._workers) < min(self.jobs, len(self._queue) + self._busy()):
            self._workers.append(_Worker(self.threads))
        for worker in self._workers:
            if worker.run_id is None and self._queue:
                run_id, payload = self._queue.popleft()
                self._tries[run_id] = self._tries.get(run_id, 0) + 1
                worker.start(run_id, payload)
                yield ExecutorEvent(run_id, "started")

    def _busy(self) -> int:
        return sum(worker.run_id is not None for worker in self._workers)

    def _collect(self) -> Iterator[ExecutorEvent]:
        by_source: dict[Any, _Worker] = {worker.connection: worker for worker in self._workers}
        for source in wait(list(by_source), timeout=0.5):
            worker = by_source[source]
            try:
                what, content = worker.connection.recv()
            except (EOFError, OSError):
                yield from self._bury(worker, f"its worker process died ({worker.exit_reason()})")
                continue
            yield from self._hear(worker, what, content)
        if self.timeout_s is not None:
            for worker in list(self._workers):
                if worker.run_id is not None and time.monotonic() - worker.since > self.timeout_s:
                    self._tries[worker.run_id] = TRIES
                    yield from self._bury(worker, f"it ran past the time limit of {self.timeout_s:g} s")

    def _hear(self, worker: _Worker, what: str, content: Any) -> Iterator[ExecutorEvent]:
        assert worker.run_id is not None
        run_id = worker.run_id
        if what == "progress":
            yield ExecutorEvent(run_id, "progress", progress=content)
            return
        worker.run_id = None
        if what == "finished":
            yield ExecutorEvent(run_id, "finished")
        else:
            yield ExecutorEvent(run_id, "lost", error=content)

    def _bury(self, worker: _Worker, reason: str) -> Iterator[ExecutorEvent]:
        worker.kill()
        self._workers.remove(worker)
        if worker.run_id is None:
            return
        if self._tries[worker.run_id] < TRIES:
            self._queue.appendleft((worker.run_id, worker.payload))
        else:
            yield ExecutorEvent(worker.run_id, "lost", error=reason)


class _Worker:
    """A process that fits one field at a time."""

    def __init__(self, threads: int) -> None:
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        self.process: SpawnProcess = context.Process(target=_serve, args=(theirs, threads), daemon=True)
        self.process.start()
        theirs.close()
        self.run_id: str | None = None
        self.payload: Mapping[str, Any] = {}
        self.since = 0.0

    def start(self, run_id: str, payload: Mapping[str, Any]) -> None:
        self.run_id, self.payload, self.since = run_id, payload, time.monotonic()
        # If it is dead, the next recv says so, and the run is retried.
        with contextlib.suppress(OSError):
            self.connection.send(payload)

    def kill(self) -> None:
        self.process.kill()
        self.process.join()
        self.connection.close()

    def exit_reason(self) -> str:
        self.process.join(timeout=5)
        code = self.process.exitcode
        if code is not None and code < 0:
            return f"signal {signal.Signals(-code).name}"
        return f"exit status {code}"


def _serve(connection: Connection, threads: int) -> None:
    """A worker's main loop: a payload in, progress and one answer out, until the parent is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's business.
    os.environ["OMP_NUM_THREADS"] = str(threads)
    import torch

    from inrbench_core.runs.worker import work

    torch.set_num_threads(threads)
    while True:
        try:
            payload = connection.recv()
        except EOFError:
            return
        try:
            work(payload, lambda progress: _report(connection, progress))
            answer = ("finished", "")
        except Exception as error:
            answer = ("lost", one_line(error))
        with contextlib.suppress(OSError):
            connection.send(answer)


def _report(connection: Connection, progress: Progress) -> None:
    try:
        connection.send(("progress", progress))
    except OSError:
        # The parent is gone. An exception would be taken for a failure of the run and recorded as such.
        os._exit(1)


def _may_be_cuda(device: str) -> bool:
    # Importing torch takes seconds, which this process otherwise spends nowhere.
    if device == "cpu" or not (shutil.which("nvidia-smi") or os.path.exists("/proc/driver/nvidia")):
        return False
    import torch

    return torch.cuda.is_available()
