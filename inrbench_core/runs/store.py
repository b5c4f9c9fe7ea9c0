"""RunStore: a folder of results. Each run is one file, whole or absent; only the driver writes. Imports no torch."""

from __future__ import annotations

import fcntl
import json
import os
import socket
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from inrbench_core.api.errors import InrbenchError, StorageError
from inrbench_core.runs.identity import digest
from inrbench_core.runs.index import RunIndex, stamp
from inrbench_core.runs.record import RunRecord
from inrbench_core.runs.runfile import NotARun, arrays_reader, decode, opened, read_file

LOCK = "lock"
EXPERIMENTS = "experiments"
# Exported tables that experiments take figures from.
KNOWN = "known"
EXPERIMENT_SCHEMA = "inrbench.experiment/2"


class FolderInUse(InrbenchError):
    """Another process, `holder`, is writing into the folder."""

    def __init__(self, folder: Path, holder: str) -> None:
        super().__init__(f"{folder}: in use by {holder}; wait for it (--wait), or give another folder (--out)")
        self.holder = holder


class RunStore:
    """Reads and writes `folder/runs/ID.h5`, `folder/experiments/ID.json` and the index of them.

    Args:
        folder: created when something is written.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.runs = folder / "runs"
        self.index = RunIndex(folder / "index.sqlite")
        # Run files that could not be used, with the reason.
        self.unusable: dict[str, str] = {}

    def path(self, run_id: str) -> Path:
        """The file of a run."""
        return self.runs / f"{run_id}.h5"

    @contextmanager
    def lock(self, *, wait: bool = False) -> Iterator[None]:
        """Keep other processes from writing into the folder.

        Args:
            wait: wait until the folder is free.

        Raises:
            FolderInUse: if it is not, and `wait` is False.
            StorageError: if the folder cannot be written.
        """
        try:
            self.runs.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self.folder / LOCK, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise StorageError(f"{self.folder}: cannot be written: {error.strerror}") from None
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            except BlockingIOError:
                raise FolderInUse(self.folder, _holder(descriptor)) from None
            except OSError as error:
                raise StorageError(f"{self.folder}: cannot be locked: {error.strerror}") from None
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"process {os.getpid()} on {socket.gethostname()}".encode(), 0)
            yield
        finally:
            os.close(descriptor)

    def writer(self) -> str:
        """The process that is writing into the folder now, or ""."""
        try:
            descriptor = os.open(self.folder / LOCK, os.O_RDONLY)
        except OSError:
            return ""
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return _holder(descriptor)
        except OSError:
            return ""
        finally:
            os.close(descriptor)
        return ""

    def sweep(self) -> None:
        """Delete what writers that were killed left behind; only while the lock is held."""
        for folder in (self.runs, self.folder / EXPERIMENTS, self.folder / KNOWN):
            for orphan in folder.glob(".*.tmp"):
                orphan.unlink(missing_ok=True)

    def records(self, ids: Collection[str]) -> dict[str, RunRecord]:
        """The record of each of the runs that has a good file, without its arrays; the others are in `unusable`."""
        stamps = {}
        for run_id in ids:
            try:
                stamps[run_id] = stamp(os.stat(self.path(run_id)))
            except FileNotFoundError:
                continue
            except OSError as error:
                self.unusable[self.path(run_id).name] = f"not readable: {error.strerror}"
        known = self.index.known(stamps.keys())
        records, new = {}, []
        for run_id, place in stamps.items():
            path = self.path(run_id)
            if run_id in known and known[run_id][0] == place:
                # Facts of another version of inrbench are read anew.
                with suppress(ValueError, TypeError, KeyError):
                    records[run_id] = RunRecord.from_facts(known[run_id][1], arrays_reader(path))
                    continue
            try:
                records[run_id] = read_file(path)
            except FileNotFoundError:
                continue
            except NotARun as error:
                self.unusable[path.name] = str(error)
                continue
            new.append((run_id, place, records[run_id].facts()))
        self.index.store(new)
        return records

    def put(self, run_id: str, content: bytes) -> RunRecord:
        """Keep a finished run's file: a good record is only ever replaced by a good one.

        What is there under its name and is no usable run file is set aside.

        Args:
            run_id: the run.
            content: the whole file.

        Returns:
            the record in `content`.

        Raises:
            NotARun: if `content` is not the file of that run; nothing is written then.
            OSError: if it cannot be written, as on a full disk.
        """
        path = self.path(run_id)
        record = decode(content, run_id, arrays_reader(path))
        try:
            old: RunRecord | None = read_file(path)
        except FileNotFoundError:
            old = None
        except NotARun as error:
            old = None
            self.unusable[path.name] = f"{error}; it is now {self.set_aside(path).relative_to(self.folder)}"
        if old is not None and old.status == "ok" and record.status != "ok":
            # Its arrays are in no file.
            return decode(content, run_id)
        replace_file(path, content)
        self.index.store([(run_id, stamp(os.stat(path)), record.facts())])
        return record

    def set_aside(self, path: Path) -> Path:
        """Move a file that is not usable out of the way; it is never deleted. Returns where it is now."""
        target = self.folder / "set_aside" / path.name
        target.parent.mkdir(parents=True, exist_ok=True)
        number = 1
        while os.path.lexists(target):
            number += 1
            target = target.with_name(f"{path.stem}-{number}{path.suffix}")
        path.rename(target)
        return target

    def add_experiment(self, data: dict[str, Any], key: dict[str, Any] | None = None) -> None:
        """Keep what an experiment is made of; see `experiments`. The same one again only gets another time.

        Args:
            data: plain data.
            key: the data that the experiment began with, if it may have grown since: what was kept of it is replaced.
        """
        content = {"schema": EXPERIMENT_SCHEMA, "id": digest(data), "started": time.time(), "experiment": data}
        path = self._experiment_path(data if key is None else key)
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, json.dumps(content).encode())

    def experiment(self, key: dict[str, Any]) -> dict[str, Any] | None:
        """What is kept of the experiment that began with some data; None if that is nothing, or not usable."""
        found = self._read_experiment(self._experiment_path(key))
        return None if found is None else found[1]

    def experiments(self) -> Sequence[dict[str, Any]]:
        """All experiments of the folder, the one that was started last at the end.

        Raises:
            InrbenchError: if there is none.
        """
        paths = sorted((self.folder / EXPERIMENTS).glob("*.json"))
        found = [item for item in map(self._read_experiment, paths) if item is not None]
        if not found:
            reasons = "".join(f"; {name}: {reason}" for name, reason in self.unusable.items())
            raise InrbenchError(f"{self.folder}: no results here{reasons}")
        return [experiment for _, experiment in sorted(found, key=lambda item: item[0])]

    def _experiment_path(self, key: dict[str, Any]) -> Path:
        return self.folder / EXPERIMENTS / f"{digest(key)}.json"

    def _read_experiment(self, path: Path) -> tuple[float, dict[str, Any]] | None:
        """When an experiment was started, and its data; None if there is none, or it is not usable."""
        try:
            with opened(path) as file:
                content = json.load(file)
            if content["schema"] != EXPERIMENT_SCHEMA:
                raise NotARun(f"not an experiment of this version ({EXPERIMENT_SCHEMA})")
            if digest(content["experiment"]) != content["id"]:
                raise NotARun("damaged: it does not match its id")
            return float(content["started"]), content["experiment"]
        except FileNotFoundError:
            return None
        except (NotARun, ValueError, KeyError, TypeError, RecursionError) as error:
            self.unusable[path.name] = str(error) if isinstance(error, NotARun) else "not an experiment"
            return None


def _holder(descriptor: int) -> str:
    """What the lock file says of the process that has locked it."""
    return os.pread(descriptor, 200, 0).decode(errors="replace").strip() or "another process"


def replace_file(target: Path, content: bytes) -> None:
    """Make a file appear under its name, whole even if the machine stops now, or leave what was there."""
    temporary = target.with_name(f".{target.stem}.{os.getpid()}.tmp")
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
