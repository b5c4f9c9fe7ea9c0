"""What a Ray worker does with a job: a process of its own fits, while this one sends Ray what it says.

A task yields its events, so they need no queue and no actor. The fit has a process of its own, as with the local
executor, because the one that yields cannot fit at the same time. That process is kept for the next task, and is ended
by the kernel with Ray's worker.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from multiprocessing.connection import wait
from typing import Any

from inrbench_core.api.executor import Job
from inrbench_core.runs.child import Child
from inrbench_executor_ray.code import Parcel, unpack

# Progress is sent on at most this often, in s.
_PROGRESS_S = 0.5

_child: Child | None = None


def carry_out(data: Mapping[str, Any], parcels: Mapping[str, Parcel], threads: int) -> Iterator[tuple[str, Any]]:
    """Carry out a job in a process of its own.

    Args:
        data: the job, see `Job.to_data`.
        parcels: its files by their paths on the driver's machine.
        threads: of the process.

    Yields:
        ("started", None), ("progress", (run id, progress)), ("finished", (run id, file)), and at last ("ended", None)
        or ("lost", (reason, whether to try again)).
    """
    yield "started", None
    places = {path: str(unpack(parcel)) for path, parcel in parcels.items()}
    child = _ready(threads)
    child.send((Job.from_data(data), places))
    told, phase = 0.0, ""
    while True:
        wait(child.sources)
        # Looked at before its socket is emptied: what it sent before it died still counts.
        dead = child.process.poll() is not None
        for what, content in child.receive():
            if what == "progress":
                _, progress = content
                if time.monotonic() - told < _PROGRESS_S and progress.phase == phase:
                    continue
                told, phase = time.monotonic(), progress.phase
            if what != "started":
                yield what, content
            if what in ("ended", "lost"):
                return
        if dead or child.ended:
            reason = child.exit_reason()
            _end()
            yield "lost", (f"its worker process on {os.uname().nodename} died ({reason})", True)
            return


def _ready(threads: int) -> Child:
    """The process that the last task has left, if it lives, else a new one."""
    global _child
    if _child is not None and _child.process.poll() is not None:
        _end()
    if _child is None:
        _child = Child("inrbench_core.runs.serve", {"OMP_NUM_THREADS": str(threads)})
    return _child


def _end() -> None:
    global _child
    if _child is not None:
        _child.kill()
        _child = None
