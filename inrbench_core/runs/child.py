"""A process of our own that can be killed: in a group of its own, and ended when its parent dies. Imports no torch."""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

from inrbench_core.api.executor import ExecutorEvent
from inrbench_core.runs.serve import take_message

_CHUNK = 1 << 20
# By default glibc maps each block over 32 MiB anew, page by page, which takes up to a third of a large training step.
# Below these sizes a process keeps its memory for the next block. Other C libraries do not read them.
_ALLOCATOR = {"MALLOC_MMAP_THRESHOLD_": str(1 << 30), "MALLOC_TRIM_THRESHOLD_": str(1 << 30)}


def event_of(job_id: str, what: str, content: Any) -> ExecutorEvent:
    """What a worker process has sent of its job, as an event for the driver; see `serve.serve`."""
    if what == "progress":
        run_id, progress = content
        return ExecutorEvent(job_id, "progress", run_id=run_id, progress=progress)
    if what == "finished":
        run_id, file = content
        return ExecutorEvent(job_id, "finished", run_id=run_id, content=file)
    if what == "lost":
        error, retry = content
        return ExecutorEvent(job_id, "lost", error=error, retry=retry)
    return ExecutorEvent(job_id, "started" if what == "started" else "ended")


class Child:
    """A process that runs a module, with a socket between it and this process.

    Args:
        module: what `python -m` runs; it takes its socket from `serve.connect`.
        environment: what is added to the environment. The thresholds of glibc's allocator are raised, too, where this
            process's environment does not set them.
    """

    def __init__(self, module: str, environment: Mapping[str, str]) -> None:
        # Not by multiprocessing: that imports the user's script again, which then has to guard itself.
        self.socket, theirs = socket.socketpair()
        paths = [path or os.getcwd() for path in sys.path]
        descriptor = theirs.fileno()
        # Ctrl-C is the driver's business: what is blocked here is blocked in the child, from its first moment on.
        blocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-m", module, str(descriptor), str(os.getpid())],
                stdin=subprocess.DEVNULL,
                # What a plugin prints must not spoil what the command prints on stdout.
                stdout=2,
                pass_fds=[descriptor],
                process_group=0,
                env={**_ALLOCATOR, **os.environ, **environment, "PYTHONPATH": os.pathsep.join(paths)},
            )
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
        theirs.close()
        # Readable when the process ends. The socket does not tell: a child that it forked may hold it open.
        self.sentinel = os.pidfd_open(self.process.pid) if hasattr(os, "pidfd_open") else None
        # Whether it can send no more.
        self.ended = False
        self._received = bytearray()

    @property
    def sources(self) -> list[Any]:
        """What `multiprocessing.connection.wait` can wait for: messages, and the end of the process."""
        return [self.socket] if self.sentinel is None else [self.socket, self.sentinel]

    def send(self, content: Any) -> None:
        """Send a picklable object; a process that is dead does not get it, which `sources` tells."""
        with contextlib.suppress(OSError):
            self.socket.sendall(pickle.dumps(content))

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
        """End it with its own children: one that lives on would hold memory."""
        with contextlib.suppress(OSError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.kill()
        self.process.wait()
        self.socket.close()
        if self.sentinel is not None:
            os.close(self.sentinel)
            self.sentinel = None

    def exit_reason(self) -> str:
        """Why it has ended, in a few words."""
        try:
            code = self.process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            return "it does not answer"
        return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit status {code}"
