"""What a worker does with a payload, in whatever process or machine an executor put it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from inrbench_core.api.executor import Progress
from inrbench_core.plugins.catalog import Catalog
from inrbench_core.plugins.loading import load_catalog
from inrbench_core.runs.execute import execute
from inrbench_core.runs.store import RunStore
from inrbench_core.spec.runspec import RunSpec


@lru_cache(maxsize=1)
def _catalog(plugin_files: tuple[str, ...]) -> Catalog:
    return load_catalog([Path(file) for file in plugin_files])


def work(payload: Mapping[str, Any], on_progress: Callable[[Progress], None] | None = None) -> None:
    """Carry out the payload's run and write its file.

    Raises:
        OSError: if the file cannot be written, as on a full disk.
    """
    run = RunSpec.from_data(payload["run"], _catalog(tuple(payload["plugin_files"])))
    if run.id != payload["id"]:
        raise RuntimeError(f"the worker has other versions of plugins than the sender: {run.versions()}")
    RunStore(Path(payload["folder"])).write(execute(run, on_progress))
