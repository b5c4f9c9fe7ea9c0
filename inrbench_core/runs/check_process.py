"""Looking at a plan in a process of its own, in which plugins may hang or end; imports no torch in the parent."""

from __future__ import annotations

import math
import pickle
import socket
import time
import warnings
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.connection import wait
from pathlib import Path

from inrbench_core.api.errors import InrbenchError
from inrbench_core.plugins.failures import one_line
from inrbench_core.plugins.loading import load_catalog
from inrbench_core.runs.child import Child
from inrbench_core.runs.plan import Plan, make_plan
from inrbench_core.runs.serve import connect, send
from inrbench_core.spec.builder import build_experiment
from inrbench_core.spec.yaml_io import Document, SpecError, SpecProblem

# The labels of task, field and signal.
CostKey = tuple[str, str, str]
POLL_S = 0.5


@dataclass(frozen=True)
class Cost:
    """What one run of a row takes.

    Args:
        parameters: trainable parameters of the model.
        width: the width that a budget was solved to, or None.
        seconds: estimate, in s, of training and evaluation; NaN where it was not measured.
    """

    parameters: int
    width: int | None
    seconds: float = math.nan


@dataclass(frozen=True)
class Step:
    """What a check is about to do.

    Args:
        done: fields that are checked.
        total: all fields that are to be checked.
        what: the signal, or the field and the signal, in a few words.
    """

    done: int
    total: int
    what: str


@dataclass(frozen=True)
class Answer:
    """What a check found.

    Args:
        costs: the cost of a run by the labels of task, field and signal.
        problems: a line for each signal that is not readable and each budget that cannot be met.
        unchecked: what could not be checked, and why.
    """

    costs: dict[CostKey, Cost]
    problems: list[SpecProblem]
    unchecked: list[str]


@dataclass(frozen=True)
class _Question:
    """From what a process makes the plan again, and what it is to look at; see `check_apart`."""

    document: Document
    settings: tuple[str, ...]
    plugin_files: tuple[Path, ...]
    device: str
    todo: frozenset[str]
    everything: bool


def check_apart(
    plan: Plan,
    plugin_files: Sequence[Path],
    todo: Collection[str],
    *,
    everything: bool = False,
    threads: int | None = None,
    on_step: Callable[[Step], None] = lambda step: None,
) -> Mapping[CostKey, Cost]:
    """Check data and budgets of a plan, see `check_plan`, in another process.

    What a plugin does to that process costs a warning: its runs then record what goes wrong. Each step has as much
    time as a run.

    Args:
        plan: what to look at.
        plugin_files: plugin files to load there.
        todo: ids of the runs that are to be done; rows without any are left out.
        everything: look at all fields and measure some steps of each, not only at those with a budget.
        threads: threads that torch uses there; None: as many as it likes.
        on_step: is told each step before it is done.

    Returns:
        the cost of a run by the labels of task, field and signal.

    Raises:
        SpecError: with a line for each signal that is not readable and each budget that cannot be met.
        InrbenchError: if nothing can be checked, as where there is no such device.
    """
    experiment = plan.experiment
    question = _Question(
        experiment.document, experiment.settings, tuple(plugin_files), plan.device, frozenset(todo), everything
    )
    environment = {} if threads is None else {"OMP_NUM_THREADS": str(threads)}
    child = Child("inrbench_core.runs.check_process", environment)
    try:
        child.send(question)
        answer = _answer_of(child, experiment.timeout_s, on_step)
    finally:
        child.kill()
    for line in answer.unchecked:
        warnings.warn(f"not all data and budgets are checked: {line}", stacklevel=2)
    if answer.problems:
        raise SpecError(experiment.document.file, answer.problems)
    return answer.costs


def _answer_of(child: Child, limit_s: float | None, on_step: Callable[[Step], None]) -> Answer:
    """The answer, or an empty one that says why there is none."""
    what, since = "", math.inf
    while True:
        wait(child.sources, timeout=POLL_S)
        # Looked at before its socket is emptied: what it sent before it died still counts.
        dead = child.process.poll() is not None
        for kind, content in child.receive():
            if kind == "answer":
                assert isinstance(content, Answer)
                return content
            if kind == "refused":
                raise InrbenchError(content)
            if kind == "lost":
                return Answer({}, [], [content])
            what, since = content.what, time.monotonic()
            on_step(content)
        if dead or child.ended:
            return Answer({}, [], [f"{what}: the process that checks it died ({child.exit_reason()})".lstrip(": ")])
        if limit_s is not None and time.monotonic() - since > limit_s:
            return Answer({}, [], [f"{what}: timed out after {limit_s:g} s"])


def _check(connection: socket.socket) -> None:
    """A question in, steps and an answer out."""
    question: _Question = pickle.load(connection.makefile("rb"))
    try:
        # Here, because the parent does without torch.
        from inrbench_core.runs.check import check_plan

        catalog = load_catalog(question.plugin_files)
        plan = make_plan(build_experiment(question.document, catalog, question.settings), catalog, question.device)
        answer = check_plan(
            plan,
            question.todo,
            everything=question.everything,
            on_step=lambda step: send(connection, "step", step),
        )
    except InrbenchError as error:
        send(connection, "refused", str(error))
    except Exception as error:
        send(connection, "lost", one_line(error))
    else:
        send(connection, "answer", answer)


if __name__ == "__main__":
    _check(connect())
