"""A plugin file with executors of an outsider's: a sound one in subprocesses of its own, and faulty ones."""

from __future__ import annotations

from typing import Any, Literal

from inrbench_core import ComponentSpec, ExecutorEntry, hookimpl

Fault = Literal[
    "",
    "cannot_start",
    "raises_in_submit",
    "raises_in_events",
    "raises_in_unfinished",
    "raises_in_shutdown",
    "exits_in_events",
    "loses_jobs",
    "loses_jobs_once",
    "unknown_jobs",
    "garbage_bytes",
    "other_run",
    "no_bytes",
    "no_events",
    "ends_without_result",
    "finishes_twice",
    "lost_after_the_last_run",
]


class SubprocessSpec(ComponentSpec):
    """One Python process for each job, which shares no folder with this one."""


class InlineSpec(ComponentSpec):
    """Jobs in the driver's own process, with a fault in the job of the run with seed 1."""

    fault: Fault = ""


@hookimpl
def inrbench_executors() -> Any:
    yield ExecutorEntry("subprocess", SubprocessSpec, "subprocess_executor:SubprocessExecutor", api=1)
    yield ExecutorEntry("inline", InlineSpec, "inline_executor:InlineExecutor", api=1)
