"""A worker process of the local executor: `python -m inrbench_core.runs.serve DESCRIPTOR PARENT`."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
import time
from multiprocessing.connection import Connection
from typing import Any

from inrbench_core.api.executor import Job, Progress
from inrbench_core.plugins.failures import one_line

_PR_SET_PDEATHSIG = 1
_WATCH_S = 0.5


def serve(connection: Connection) -> None:
    """A job in, events out, until the parent is gone."""
    import torch

    from inrbench_core.runs.work import work

    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))

    def report(run_id: str, progress: Progress) -> None:
        _send(connection, "progress", (run_id, progress))

    while True:
        try:
            job: Job = connection.recv()
        except EOFError:
            return
        _send(connection, "started", None)
        try:
            for run_id, content in work(job, report):
                _send(connection, "finished", (run_id, content))
        except Exception as error:
            _send(connection, "lost", one_line(error))
        else:
            _send(connection, "ended", None)


def _send(connection: Connection, what: str, content: Any) -> None:
    try:
        connection.send((what, content))
    except OSError:
        # The parent is gone. An exception would be taken for a failure of the run.
        os._exit(1)


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


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's business.
    _end_with(int(sys.argv[2]))
    serve(Connection(int(sys.argv[1])))
