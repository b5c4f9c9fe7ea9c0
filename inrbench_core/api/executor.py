"""What an executor implements: jobs in, events out. Imports no torch."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from inrbench_core.api.spec import ComponentSpec

Phase = Literal["preparing", "compiling", "training", "evaluating"]


@dataclass(frozen=True)
class Progress:
    """How far a fit has come.

    Args:
        step: optimiser steps done.
        steps: optimiser steps planned.
        seconds: time spent training, in s, without evaluation and compilation.
        loss: mean loss per element of the last step; NaN before the first.
        metrics: the latest evaluation's metrics; empty before the first.
        phase: what is being done: preparing, compiling, training, evaluating.
        together: how many fits, this one included, take their steps together; `seconds` is this one's share.
    """

    step: int
    steps: int
    seconds: float
    loss: float
    metrics: Mapping[str, float] = field(default_factory=dict)
    phase: Phase = "training"
    together: int = 1


@dataclass(frozen=True)
class Job:
    """The unit that an executor carries out: one run, or several that one stacked fit does together.

    Args:
        id: unique within an experiment.
        runs: what to do, plain data; see `inrbench_core.runs.work`.
        plugin_files: paths of the plugin files that a worker loads.
        files: paths of the user's files that the runs read. On a machine that does not have them under these paths
            a worker is told where they are: `work(job, files={path: local path})`.
        flops: estimate of the floating-point operations that it takes; 0 if unknown.
        bytes: estimate of the memory that it takes, in bytes; 0 if unknown.
    """

    id: str
    runs: tuple[Mapping[str, Any], ...]
    plugin_files: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    flops: float = 0.0
    bytes: float = 0.0

    def to_data(self) -> dict[str, Any]:
        """A JSON-able mapping from which `from_data` makes the same job."""
        lists = {name: list(getattr(self, name)) for name in ("plugin_files", "files")}
        runs = [dict(run) for run in self.runs]
        return {"id": self.id, "runs": runs, **lists, "flops": self.flops, "bytes": self.bytes}

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Job:
        """The job that `to_data` described."""
        tuples = {name: tuple(data[name]) for name in ("runs", "plugin_files", "files")}
        return cls(id=data["id"], flops=data["flops"], bytes=data["bytes"], **tuples)


@dataclass(frozen=True)
class ExecutorEvent:
    """Something that happened to a job.

    Args:
        job_id: the job.
        what: started; progress (of the run `run_id`); finished (one run, whose file is `content`); ended (the job has
            nothing more to come); lost (its worker died, or could not do it: `error` says why).
        run_id: the run, for progress and finished.
        progress: how far it has come.
        content: the finished run's file.
        error: one line.
        retry: for lost: whether it may go well if it is tried again, as after a worker's death.
    """

    job_id: str
    what: Literal["started", "progress", "finished", "ended", "lost"]
    run_id: str = ""
    progress: Progress | None = None
    content: bytes = b""
    error: str = ""
    retry: bool = False


@dataclass(frozen=True)
class ExecutorContext:
    """What an executor is told of the experiment.

    Args:
        jobs: how many jobs the whole experiment has, those with results too, so that resuming shares out the cores
            as before and gives the same numbers.
        device: cpu, cuda or cuda:N.
    """

    jobs: int
    device: str


class Executor(ABC):
    """Carries out jobs, here or elsewhere.

    A worker calls `inrbench_core.runs.work.work(job)`, in a process that does one job at a time: initialisation draws
    from torch's global generator, so that threads would mix up each other's seeds. `work` yields each run's finished
    file as bytes, which the executor hands on in its events. Only the driver writes to the folder of results; no disk
    need be shared. Retries and time limits are the driver's business too.

    Args:
        spec: the executor's options.
        context: the experiment.

    Attributes:
        workers: how many jobs it carries out at a time, where that is known; where it is None each job has one run.
    """

    workers: int | None = None

    def __init__(self, spec: ComponentSpec, context: ExecutorContext) -> None:
        self.spec = spec
        self.context = context

    @abstractmethod
    def submit(self, job: Job) -> None:
        """Queue one job. A job that was lost may be submitted again under the same id."""

    @abstractmethod
    def events(self, timeout_s: float) -> Iterable[ExecutorEvent]:
        """What has happened since the last call, in order; waits up to `timeout_s` seconds for the first event."""

    @abstractmethod
    def unfinished(self) -> Collection[str]:
        """Ids of the submitted jobs that are waiting or under way, and of those whose end `events` has yet to tell.

        A job that is not among them, and whose end was not told, counts as lost.
        """

    @abstractmethod
    def cancel(self, job_id: str) -> None:
        """Abandon a job, waiting or under way; no event of it comes any more."""

    @abstractmethod
    def shutdown(self) -> None:
        """End all workers at once; jobs under way are abandoned. May be called twice."""
