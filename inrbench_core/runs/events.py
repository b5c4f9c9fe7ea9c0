"""One stream of events, for the display of progress and for plugins alike."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pluggy

from inrbench_core.plugins.failures import one_line
from inrbench_core.runs.run import AnyRun


@dataclass(frozen=True)
class StartedExperiment:
    """What the life-cycle hooks are told of an experiment.

    Args:
        name: of the experiment.
        folder: of its results.
        runs: every run that is planned so far, by id; a choice of options adds some while the experiment runs.
        done: ids of the runs of the experiment that are not repeated (see `Plan.done`), those among them that it plans
            later.
    """

    name: str
    folder: Path
    runs: Mapping[str, AnyRun]
    done: frozenset[str]


class EventStream:
    """Calls the life-cycle hooks; an implementation that raises is reported once and not called again.

    Args:
        manager: pluggy's manager, which holds plugins and listeners.
    """

    def __init__(self, manager: pluggy.PluginManager) -> None:
        self.manager = manager
        self._broken: set[Any] = set()

    def send(self, hook_name: str, **arguments: Any) -> None:
        """Call every implementation of a hook with those of the arguments that it takes."""
        for implementation in getattr(self.manager.hook, hook_name).get_hookimpls():
            if implementation.plugin in self._broken:
                continue
            try:
                implementation.function(**{name: arguments[name] for name in implementation.argnames})
            except (Exception, SystemExit) as error:
                self._broken.add(implementation.plugin)
                warnings.warn(
                    f"{hook_name} of {implementation.plugin_name} raised and is not called any more: {one_line(error)}",
                    stacklevel=2,
                )
