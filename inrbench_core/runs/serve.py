"""A worker process of the local executor: `python -m inrbench_core.runs.serve DESCRIPTOR PARENT`."""

from __future__ import annotations

import ctypes
import os
import pickle
import signal
import socket
import struct
import sys
import threading
import time
from typing import Any

from inrbench_core.api.errors import InrbenchError
from inrbench_core.api.executor import Progress
from inrbench_core.plugins.failures import one_line

_LENGTH = struct.Struct("!Q")
_PR_SET_PDEATHSIG = 1
_WATCH_S = 0.5


def serve(connection: socket.socket) -> None:
    """A job and the places of its files in, see `work`; events out, until the parent is gone."""
    import torch

    from inrbench_core.runs.work import work

    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))

    def report(run_id: str, progress: Progress) -> None:
        send(connection, "progress", (run_id, progress))

    jobs = connection.makefile("rb")
    while True:
        try:
            job, places = pickle.load(jobs)
        except EOFError:
            return
        send(connection, "started", None)
        try:
            for run_id, content in work(job, report, places):
                send(connection, "finished", (run_id, content))
        except Exception as error:
            # It would end so again.
            send(connection, "lost", (str(error) if isinstance(error, InrbenchError) else one_line(error), False))
        else:
            send(connection, "ended", None)


def send(connection: socket.socket, what: str, content: Any) -> None:
    """Send the parent a message, which its `take_message` reads."""
    message = pickle.dumps((what, content))
    try:
        connection.sendall(_LENGTH.pack(len(message)) + message)
    except OSError:
        # The parent is gone. An exception would be taken for a failure of the run.
        os._exit(1)


def take_message(received: bytearray) -> Any:
    """Take the first message out of what a worker sent; None if it has not come in whole."""
    if len(received) < _LENGTH.size:
        return None
    end = _LENGTH.size + _LENGTH.unpack_from(received)[0]
    if len(received) < end:
        return None
    message = pickle.loads(received[_LENGTH.size : end])
    del received[:end]
    return message


def _guard_forks(connection: socket.socket) -> None:
    """A child that a plugin forks must not answer in the worker's place, nor outlive it."""
    parents: list[int] = []

    def before() -> None:
        # The kernel counts the end of the thread that forks as the parent's death.
        parents[:] = [os.getpid()] if threading.current_thread() is threading.main_thread() else []

    def in_child() -> None:
        if connection.fileno() >= 0:
            os.close(connection.detach())
        for parent in parents:
            _end_with(parent)

    os.register_at_fork(before=before, after_in_child=in_child)


def _end_with(parent: int) -> None:
    """Have this process killed when its parent dies, even in the middle of a long step."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)
    else:
        threading.Thread(target=_watch, args=(parent,), daemon=True).start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_WATCH_S)
    os._exit(1)


def connect() -> socket.socket:
    """The socket to the parent, as this process's arguments name both; the process ends when the parent dies."""
    _end_with(int(sys.argv[2]))
    ours = socket.socket(fileno=int(sys.argv[1]))
    _guard_forks(ours)
    return ours


if __name__ == "__main__":
    serve(connect())
