"""The executor: hands jobs to a process that is connected to Ray, and events on to the driver. Imports no Ray.

Ray is kept out of the driver's process: `ray.init` can hang, ends the process that it runs in when the cluster is
gone, replaces signal handlers and writes to the terminal. A process of our own can be given up on.
"""

from __future__ import annotations

import contextlib
import tempfile
import time
import warnings
from collections import deque
from collections.abc import Collection, Iterable
from itertools import count
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any

from inrbench_core import Executor, ExecutorContext, ExecutorEvent, Job
from inrbench_core.api.errors import UnsupportedError
from inrbench_core.runs.child import Child, event_of
from inrbench_executor_ray.plugin import RaySpec

# How long Ray may take to end its workers before the connection is cut.
_SHUTDOWN_S = 10.0
# After so long without progress it says what it waits for.
_SAY_S = 10.0


class ClusterLost(Exception):
    """The Ray cluster does not answer any more."""


class RayExecutor(Executor):
    """Carries out each job as a Ray task.

    Args:
        spec: where the cluster is and what a run asks for.
        context: the experiment.

    Raises:
        UnsupportedError: if there is no such cluster, it does not answer, or device and options do not fit together.
    """

    def __init__(self, spec: RaySpec, context: ExecutorContext) -> None:
        super().__init__(spec, context)
        self.spec: RaySpec = spec
        self.workers = spec.jobs
        self._gpus = _gpus(spec, context.device)
        self._queue: deque[Job] = deque()
        self._events: deque[ExecutorEvent] = deque()
        # The jobs that the relay has, by a number for each submission: a job may be submitted again under its id.
        self._jobs: dict[int, str] = {}
        self._numbers = count()
        self._lost = ""
        self._log = tempfile.NamedTemporaryFile(prefix="inrbench-ray-", suffix=".log")  # noqa: SIM115
        self._relay: Child | None = Child("inrbench_executor_ray.relay", {"INRBENCH_RAY_LOG": self._log.name})
        self._heard = time.monotonic()
        try:
            self._connect()
        except BaseException:
            self.shutdown()
            raise

    def submit(self, job: Job) -> None:
        if self._lost:
            raise ClusterLost(self._lost)
        self._queue.append(job)
        self._hand_out()

    def unfinished(self) -> Collection[str]:
        return {job.id for job in self._queue} | set(self._jobs.values()) | {event.job_id for event in self._events}

    def events(self, timeout_s: float) -> Iterable[ExecutorEvent]:
        self._hand_out()
        if self._relay is not None:
            self._listen(self._relay, 0.0 if self._events else timeout_s)
        self._hand_out()
        while self._events:
            yield self._events.popleft()
        if self._lost and (self._jobs or self._queue):
            self._jobs.clear()
            self._queue.clear()
            raise ClusterLost(self._lost)

    def cancel(self, job_id: str) -> None:
        self._queue = deque(job for job in self._queue if job.id != job_id)
        for number in [number for number, found in self._jobs.items() if found == job_id]:
            del self._jobs[number]
            self._send("cancel", number)
        self._events = deque(event for event in self._events if event.job_id != job_id)

    def shutdown(self) -> None:
        self._queue.clear()
        self._jobs.clear()
        self._events.clear()
        relay, self._relay = self._relay, None
        if relay is not None:
            relay.send(("shutdown", None))
            until = time.monotonic() + _SHUTDOWN_S
            while not relay.ended and relay.process.poll() is None and time.monotonic() < until:
                wait(relay.sources, timeout=0.1)
                relay.receive()
            relay.kill()
        self._log.close()

    def _connect(self) -> None:
        assert self._relay is not None
        options = {**self.spec.model_dump(), "gpus_per_run": self._gpus}
        self._relay.send(("connect", options))
        since, said = time.monotonic(), False
        while not self._lost:
            wait(self._relay.sources, timeout=0.2)
            for what, content in self._receive(self._relay):
                if what == "connected":
                    return
                # What Ray says when it cannot connect.
                self._lost = str(content)
            self._look_after(self._relay)
            if not said and time.monotonic() - since > _SAY_S:
                said = True
                warnings.warn(f"waiting for the Ray cluster at {self.spec.address}", stacklevel=2)
        raise UnsupportedError(
            f"executor ray: {self._lost}; start Ray with 'ray start --head', or use address: local"
            if self.spec.address != "local"
            else f"executor ray: {self._lost}"
        )

    def _hand_out(self) -> None:
        while self._queue and (self.spec.jobs is None or len(self._jobs) < self.spec.jobs):
            job, number = self._queue.popleft(), next(self._numbers)
            self._jobs[number] = job.id
            self._send("submit", (number, job))

    def _send(self, what: str, content: Any) -> None:
        if self._relay is not None:
            self._relay.send((what, content))

    def _listen(self, relay: Child, timeout_s: float) -> None:
        wait(relay.sources, timeout=timeout_s)
        for what, content in self._receive(relay):
            if what == "event":
                number, message = content
                self._take(number, *message)
            elif what == "waiting":
                warnings.warn(content, stacklevel=2)
        self._look_after(relay)

    def _receive(self, relay: Child) -> list[tuple[str, Any]]:
        messages = relay.receive()
        if messages:
            self._heard = time.monotonic()
        return messages

    def _look_after(self, relay: Child) -> None:
        """Give up on a connection that has ended, or that has been silent for too long."""
        if self._lost:
            return
        if relay.ended or relay.process.poll() is not None:
            self._lost = (
                f"the connection to the Ray cluster at {self.spec.address} has ended ({self._last_words(relay)})"
            )
        elif time.monotonic() - self._heard > self.spec.wait_s:
            self._lost = f"the Ray cluster at {self.spec.address} has not answered for {self.spec.wait_s:g} s"
        if self._lost:
            relay.kill()
            self._relay = None

    def _last_words(self, relay: Child) -> str:
        with contextlib.suppress(OSError):
            lines = Path(self._log.name).read_text(errors="replace").split("\n")
            found = [line.strip() for line in lines if line.strip()]
            if found:
                return found[-1][:300]
        return relay.exit_reason()

    def _take(self, number: int, what: str, content: Any) -> None:
        job_id = self._jobs.get(number)
        if job_id is None:
            return
        self._events.append(event_of(job_id, what, content))
        if what in ("ended", "lost"):
            del self._jobs[number]


def _gpus(spec: RaySpec, device: str) -> float:
    """GPUs of a run."""
    on_gpu = device.startswith("cuda")
    gpus = float(on_gpu) if spec.gpus_per_run is None else spec.gpus_per_run
    if device not in ("cpu", "cuda"):
        raise UnsupportedError(
            f"device: {device} is a GPU of this machine; with the executor ray use 'cuda', and Ray chooses the GPU"
        )
    if on_gpu and not gpus:
        raise UnsupportedError("gpus_per_run: 0 and device: cuda; give a run a GPU or a share of one")
    return gpus
