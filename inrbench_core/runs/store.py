"""RunStore: one experiment's folder, in which each run is one HDF5 file, whole or absent."""

from __future__ import annotations

import io
import json
import os
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from inrbench_core.api.errors import InrbenchError, StorageError
from inrbench_core.runs.record import Array, RunRecord
from inrbench_core.spec.runspec import RunSpec

SCHEMA = "inrbench.run/1"
INDEX_SCHEMA = "inrbench.experiment/1"
_FACTS = ("spec", "metrics", "times", "data", "environment")
_PLAIN = ("status", "message", "traceback", "step", "parameters", "peak_memory_bytes", "compiled")
_GROUPS = ("curve", "outputs", "weights")
_PICTURES = ("preview", "truth")


@dataclass(frozen=True)
class PlannedRun:
    """A line of the experiment's index."""

    id: str
    label: str
    task: str
    task_label: str
    baseline: bool
    seed: int


class RunStore:
    """Reads and writes `folder/experiment.json` and `folder/runs/<id>.h5`.

    Args:
        folder: the experiment's folder; created when something is written.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.runs = folder / "runs"

    def path(self, run_id: str) -> Path:
        """The file of a run."""
        return self.runs / f"{run_id}.h5"

    def begin(self, name: str, runs: Sequence[RunSpec], spec_text: str) -> None:
        """Write the index of the experiment and sweep what dead writers left behind.

        Raises:
            StorageError: if the folder cannot be written, as on a full disk.
        """
        try:
            self._begin(name, runs, spec_text)
        except OSError as error:
            raise StorageError(f"{self.folder}: cannot be written: {error.strerror}") from None

    def _begin(self, name: str, runs: Sequence[RunSpec], spec_text: str) -> None:
        self.runs.mkdir(parents=True, exist_ok=True)
        for orphan in self.runs.glob(".*.tmp"):
            if _writer_is_dead(orphan):
                orphan.unlink(missing_ok=True)
        planned = [
            {
                "id": run.id,
                "label": run.label,
                "task_label": run.task_label,
                "baseline": run.is_baseline,
                "seed": run.seed,
                "task": run.task.to_data()["name"],
            }
            for run in runs
        ]
        index = {"schema": INDEX_SCHEMA, "name": name, "spec": spec_text, "runs": planned}
        _replace(self.folder / "experiment.json", json.dumps(index, indent=1).encode())

    def planned(self) -> list[PlannedRun]:
        """The runs of the experiment that was last started here, in order.

        Raises:
            InrbenchError: if the folder holds no experiment.
        """
        index = self._index()
        names = PlannedRun.__dataclass_fields__
        return [PlannedRun(**{key: run[key] for key in names}) for run in index["runs"]]

    def name(self) -> str:
        """The experiment's name."""
        return str(self._index()["name"])

    def _index(self) -> dict[str, Any]:
        file = self.folder / "experiment.json"
        try:
            index: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise InrbenchError(f"{self.folder}: no results here (no experiment.json)") from None
        except (OSError, ValueError) as error:
            raise InrbenchError(f"{file}: cannot be read: {error}") from None
        if not isinstance(index, dict) or index.get("schema") != INDEX_SCHEMA:
            raise InrbenchError(f"{file}: not the index of an experiment ({INDEX_SCHEMA})")
        return index

    def write(self, record: RunRecord) -> None:
        """Write a run's file: to a temporary name, synced, renamed. Raises OSError, as on a full disk."""
        # HDF5 on a full disk prints pages of its own errors, so it only ever sees memory.
        content = io.BytesIO()
        with h5py.File(content, "w") as file:
            _fill(file, record)
        self.runs.mkdir(parents=True, exist_ok=True)
        _replace(self.path(record.id), content.getbuffer())

    def read(self, run_id: str, *, arrays: bool = True) -> RunRecord | None:
        """A run's record, or None if it has no file or an unreadable one (it then has to be repeated).

        Args:
            run_id: the run.
            arrays: False leaves out outputs and weights, which may be large.
        """
        return read_run(self.path(run_id), arrays=arrays)


def read_run(path: Path, *, arrays: bool = True) -> RunRecord | None:
    """The record in a run's file, which is named by the run's id; None if there is none or it cannot be read."""
    try:
        with h5py.File(path, "r") as file:
            return _read(file, path.stem, arrays=arrays) if file.attrs.get("schema") == SCHEMA else None
    except (OSError, KeyError, ValueError, RuntimeError):
        return None


def _fill(file: h5py.File, record: RunRecord) -> None:
    file.attrs["schema"] = SCHEMA
    for name in _PLAIN:
        file.attrs[name] = getattr(record, name)
    for name in _FACTS:
        # A dataset, because an attribute is limited to 64 KiB.
        file.create_dataset(name, data=json.dumps(dict(getattr(record, name))))
    if record.width is not None:
        file.attrs["width"] = record.width
    for name in _PICTURES:
        picture = getattr(record, name)
        if picture is not None:
            _dataset(file, name, picture)
    for name in _GROUPS:
        group = file.create_group(name)
        for key, array in getattr(record, name).items():
            _dataset(group, key.replace("/", "."), np.asarray(array))


def _dataset(group: h5py.Group, name: str, array: Array) -> None:
    options = {"compression": "gzip", "compression_opts": 4, "shuffle": True} if array.size else {}
    group.create_dataset(name, data=array, **(options if array.ndim else {}))


def _read(file: h5py.File, run_id: str, *, arrays: bool) -> RunRecord:
    wanted = _GROUPS if arrays else ("curve",)
    groups: dict[str, Any] = {name: {key: item[()] for key, item in file[name].items()} for name in wanted}
    facts = {name: json.loads(file[name].asstr()[()]) for name in _FACTS}
    pictures: dict[str, Any] = {name: file[name][()] if name in file else None for name in _PICTURES}
    attributes = file.attrs
    return RunRecord(
        id=run_id,
        status=attributes["status"],
        message=attributes["message"],
        traceback=attributes["traceback"],
        step=int(attributes["step"]),
        parameters=int(attributes["parameters"]),
        peak_memory_bytes=int(attributes["peak_memory_bytes"]),
        compiled=bool(attributes["compiled"]),
        width=int(attributes["width"]) if "width" in attributes else None,
        **facts,
        **pictures,
        **groups,
    )


def _replace(target: Path, content: bytes | memoryview) -> None:
    """Make a file appear under its name, whole even if the machine stops now, or leave what was there."""
    temporary = target.with_name(f".{target.stem}.{socket.gethostname()}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    folder = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _writer_is_dead(temporary: Path) -> bool:
    pid = temporary.name.split(".")[-2]
    if not temporary.name.endswith(f".{socket.gethostname()}.{pid}.tmp") or not pid.isdigit():
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False
