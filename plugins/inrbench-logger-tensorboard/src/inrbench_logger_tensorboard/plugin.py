"""The life-cycle hooks of this distribution. Imports neither torch nor tensorboard until it is switched on."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from inrbench_core import hookimpl

if TYPE_CHECKING:
    from inrbench_logger_tensorboard.log import Log

SWITCH = "INRBENCH_TENSORBOARD"


class _State:
    # None: switched off, or no experiment has begun.
    log: Log | None = None


_state = _State()


@hookimpl
def inrbench_experiment_started(experiment: Any, store: Any) -> None:
    _state.log = None
    where = os.environ.get(SWITCH, "")
    if where in ("", "0"):
        return
    # Here, because importing torch takes seconds.
    from inrbench_logger_tensorboard.log import Log

    _state.log = Log(store.folder / "tensorboard" if where == "1" else Path(where) / experiment.name, store)


@hookimpl
def inrbench_run_started(run: Any) -> None:
    if _state.log is not None:
        _state.log.start(run)


@hookimpl
def inrbench_progress(run: Any, progress: Any) -> None:
    if _state.log is not None:
        _state.log.progress(run, progress)


@hookimpl
def inrbench_run_finished(run: Any, record: Any) -> None:
    if _state.log is not None:
        _state.log.finish(run, record)


@hookimpl
def inrbench_experiment_finished(results: Any) -> None:
    if _state.log is not None:
        _state.log.close()
