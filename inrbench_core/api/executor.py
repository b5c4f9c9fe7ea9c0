"""What an executor implements: submit runs, then iterate over what happens to them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True)
class Progress:
    """How far a fit has come.

    Args:
        step: optimiser steps done.
        steps: optimiser steps planned.
        seconds: time spent training, in s, without evaluation and compilation.
        loss: mean loss per element of the last step.
        metrics: the latest evaluation's metrics; empty before the first.
    """

    step: int
    steps: int
    seconds: float
    loss: float
    metrics: Mapping[str, float]


@dataclass(frozen=True)
class ExecutorEvent:
    """Something that happened to a run.

    Args:
        run_id: the run.
        what: started, progress, finished (its file is written) or lost (its worker died for good
            or overran the time limit; `error` says which).
    """

    run_id: str
    what: Literal["started", "progress", "finished", "lost"]
    progress: Progress | None = None
    error: str = ""


class Executor(ABC):
    """Carries out runs, here or elsewhere.

    A payload is a JSON-able mapping; a worker hands it to `inrbench_core.runs.worker:work`, which
    fits the field and writes the run's file.
    """

    @abstractmethod
    def submit(self, run_id: str, payload: Mapping[str, Any]) -> None:
        """Queue one run."""

    @abstractmethod
    def events(self) -> Iterator[ExecutorEvent]:
        """What happens, as it happens, until every submitted run is finished or lost."""

    @abstractmethod
    def shutdown(self) -> None:
        """End all workers at once; runs in progress are abandoned. May be called twice."""
