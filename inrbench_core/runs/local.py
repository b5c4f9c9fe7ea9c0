"""The local executor: warm worker processes that can be killed, each with its share of the cores."""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
import socket
import subprocess
import sys
from collections import deque
from collections.abc import Collection, Iterable
from multiprocessing.connection import wait
from typing import Any

from inrbench_core.api.executor import Executor, ExecutorContext, ExecutorEvent, Job
from inrbench_core.plugins.builtin import LocalSpec
from inrbench_core.runs.serve import take_message

MAX_DEFAULT_JOBS = 8
_CHUNK = 1 << 20


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _most_threads() -> int:
    """What the user allows each process, as torch itself reads it."""
    allowed = os.environ.get("OMP_NUM_THREADS", "")
    return int(allowed) if allowed.isdecimal() and int(allowed) else cores()


class LocalExecutor(Executor):
    """One worker process for each job at a time; a worker that dies costs its own job only.

    Args:
        spec: how many jobs at a time.
        context: the experiment.
    """

    def __init__(self, spec: LocalSpec, context: ExecutorContext) -> None:
        super().__init__(spec, context)
        default = 1 if context.device.startswith("cuda") else min(context.jobs, cores(), MAX_DEFAULT_JOBS)
        self.jobs = spec.jobs or max(1, default)
        self.threads = min(_most_threads(), max(1, cores() // self.jobs))
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
        while len(self._workers) < min(self.jobs, len(self._queue) + busy):
            self._workers.append(_Worker(self.threads))
        for worker in self._workers:
            if worker.job is None and self._queue:
                worker.start(self._queue.popleft())

    def _collect(self, timeout_s: float) -> None:
        sources: dict[Any, _Worker] = {}
        for worker in self._workers:
            sources[worker.socket] = worker
            if worker.sentinel is not None:
                sources[worker.sentinel] = worker
        wait(list(sources), timeout=timeout_s)
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
        job_id = worker.job.id
        if what == "started":
            self._events.append(ExecutorEvent(job_id, "started"))
        elif what == "progress":
            run_id, progress = content
            self._events.append(ExecutorEvent(job_id, "progress", run_id=run_id, progress=progress))
        elif what == "finished":
            run_id, file = content
            self._events.append(ExecutorEvent(job_id, "finished", run_id=run_id, content=file))
        else:
            worker.job = None
            event = ExecutorEvent(job_id, "ended") if what == "ended" else ExecutorEvent(job_id, "lost", error=content)
            self._events.append(event)

    def _bury(self, worker: _Worker) -> None:
        reason = worker.exit_reason()
        self._remove(worker)
        if worker.job is not None:
            error = f"its worker process died ({reason})"
            self._events.append(ExecutorEvent(worker.job.id, "lost", error=error, retry=True))


class _Worker:
    """A process that does one job at a time, in a process group of its own."""

    def __init__(self, threads: int) -> None:
        # Not by multiprocessing: that imports the user's script again, which then has to guard itself.
        self.socket, theirs = socket.socketpair()
        paths = [path or os.getcwd() for path in sys.path]
        environment = {"OMP_NUM_THREADS": str(threads), "PYTHONPATH": os.pathsep.join(paths)}
        descriptor = theirs.fileno()
        # Ctrl-C is the driver's business: what is blocked here is blocked in the worker, from its first moment on.
        blocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-m", "inrbench_core.runs.serve", str(descriptor), str(os.getpid())],
                stdin=subprocess.DEVNULL,
                # What a plugin prints must not spoil what the command prints on stdout.
                stdout=2,
                pass_fds=[descriptor],
                process_group=0,
                env={**os.environ, **environment},
            )
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
        theirs.close()
        # Readable when the process ends. The socket does not tell: a child that the worker forked may hold it open.
        self.sentinel = os.pidfd_open(self.process.pid) if hasattr(os, "pidfd_open") else None
        self.job: Job | None = None
        # Whether it can send no more.
        self.ended = False
        self._received = bytearray()

    def start(self, job: Job) -> None:
        self.job = job
        # If the worker is dead, its sentinel says so, and the job is lost.
        with contextlib.suppress(OSError):
            self.socket.sendall(pickle.dumps(job))

    def receive(self) -> list[tuple[str, Any]]:
        """The messages that have come in whole; never waits for the rest of one, whose sender may be dead."""
        try:
            while content := self.socket.recv(_CHUNK, socket.MSG_DONTWAIT):
                self._received += content
            self.ended = True
        except BlockingIOError:
            pass
        except OSError:
            self.ended = True
        messages = []
        while (message := take_message(self._received)) is not None:
            messages.append(message)
        return messages

    def kill(self) -> None:
        # Its own children as well: one that lives on would hold memory.
        with contextlib.suppress(OSError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.kill()
        self.process.wait()
        self.socket.close()
        if self.sentinel is not None:
            os.close(self.sentinel)
            self.sentinel = None

    def exit_reason(self) -> str:
        try:
            code = self.process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            return "it does not answer"
        return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit status {code}"
