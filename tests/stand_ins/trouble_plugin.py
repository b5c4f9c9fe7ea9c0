"""A plugin file with a task whose evaluation goes wrong in the way that is asked for; see trouble_plugin_torch."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from inrbench_core import Metric, TaskEntry, TaskSpec, hookimpl

Trouble = Literal["", "die", "die_once", "fork", "c_fork", "fork_and_sleep", "hold", "sleep", "bad_preview"]


class TroubleSpec(TaskSpec):
    """sin(f x) on a line, with f in a file of the user's."""

    source: str = Field("3", description="the frequency f, in rad per unit, or a file that holds it")
    do: Trouble = ""
    samples: int = Field(64, ge=1)


@hookimpl
def inrbench_tasks() -> Any:
    metrics = (Metric("psnr", "dB"), Metric("mae", higher_is_better=False))
    yield TaskEntry("trouble", TroubleSpec, "trouble_plugin_torch:prepare", metrics=metrics, baselines=("zero",), api=1)
