"""A run's file: HDF5 followed by a checksum of all of it. Imports no torch.

The checksum stands behind the HDF5 data, where HDF5 itself does not look, so that h5py, h5dump and other programs read
the file as it is: attributes `schema`, `id` and `status`, a dataset `facts` (JSON), groups `curve`, `outputs`,
`weights`, `parameters` and `analyses/NAME`, pictures `preview` and `truth`.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import stat
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import h5py
import numpy as np

from inrbench_core.api.errors import InrbenchError
from inrbench_core.runs.identity import run_id
from inrbench_core.runs.record import Array, RunArrays, RunRecord

FORMAT = 3
SCHEMA = f"inrbench.run/{FORMAT}"
_MARK = b"\ninrbench run "
_DIGEST_BYTES = 32
# The mark, four digits of the format and the checksum.
TRAILER_BYTES = len(_MARK) + 4 + _DIGEST_BYTES
_NO_MARK = "not a run file, or damaged or cut off"
_GROUPS = ("curve", "outputs", "weights", "parameters")
_PICTURES = ("preview", "truth")


class NotARun(InrbenchError):
    """A file that is not a whole run file of this format; the text says why."""


def encode(record: RunRecord) -> bytes:
    """The content of a run's file."""
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        file.attrs["schema"] = SCHEMA
        file.attrs["id"] = run_id(record.run)
        file.attrs["status"] = record.status
        # A dataset, because an attribute is limited to 64 KiB.
        file.create_dataset("facts", data=json.dumps(record.facts()))
        _fill(file, record.arrays)
    content = buffer.getbuffer()
    trailer = _MARK + f"{FORMAT:04d}".encode()
    checksum = hashlib.blake2b(content, digest_size=_DIGEST_BYTES)
    checksum.update(trailer)
    return b"".join([content, trailer, checksum.digest()])


def decode(content: bytes, expected_id: str, read_arrays: Callable[[], RunArrays] | None = None) -> RunRecord:
    """The record in a file's content.

    Args:
        content: the whole file.
        expected_id: the id that the file's name gives.
        read_arrays: how the record reads its arrays when asked for them; None: they are read now.

    Raises:
        NotARun: if it is damaged, of another format, or another run's.
    """
    body = _checked(content)
    try:
        with h5py.File(io.BytesIO(body), "r") as file:
            facts = json.loads(file["facts"].asstr()[()])
            if read_arrays is None:
                arrays = _arrays(file)
                record = RunRecord.from_facts(facts, lambda: arrays)
            else:
                record = RunRecord.from_facts(facts, read_arrays)
        found = run_id(record.run)
    except (OSError, KeyError, ValueError, TypeError, AttributeError, RuntimeError, RecursionError) as error:
        raise NotARun(f"not the record of a run ({type(error).__name__})") from None
    if found != expected_id:
        raise NotARun(f"it holds the run {found}, not the one of its name")
    return record


def _checked(content: bytes) -> memoryview:
    body, trailer = memoryview(content)[:-TRAILER_BYTES], content[-TRAILER_BYTES:]
    if len(content) <= TRAILER_BYTES or not trailer.startswith(_MARK):
        raise NotARun(_NO_MARK)
    head, found = trailer[:-_DIGEST_BYTES], trailer[-_DIGEST_BYTES:]
    checksum = hashlib.blake2b(body, digest_size=_DIGEST_BYTES)
    checksum.update(head)
    if checksum.digest() != found:
        raise NotARun("damaged: its checksum does not match what it holds")
    found_format = head[len(_MARK) :].decode(errors="replace")
    if found_format != f"{FORMAT:04d}":
        age = "a newer" if found_format > f"{FORMAT:04d}" else "an older"
        raise NotARun(f"written by {age} version of inrbench (format {found_format}, this one reads {FORMAT:04d})")
    return body


def read_file(path: Path) -> RunRecord:
    """The record in a run's file, which is named by the run's id, without its arrays in memory.

    Raises:
        FileNotFoundError: if there is no such file.
        NotARun: if it is not a regular, readable, whole file of this run.
    """
    return decode(_read_run(path), path.stem, arrays_reader(path))


def arrays_reader(path: Path) -> Callable[[], RunArrays]:
    """Reads the arrays of a run's file when called; raises NotARun if it is not readable then."""

    def read() -> RunArrays:
        try:
            return decode(_read_run(path), path.stem).arrays
        except FileNotFoundError:
            raise NotARun(f"{path}: no such file") from None

    return read


def _read_run(path: Path) -> bytes:
    with opened(path) as file:
        # A foreign file may be larger than the memory, so its end is looked at first.
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - TRAILER_BYTES))
        if not file.read().startswith(_MARK):
            raise NotARun(_NO_MARK)
        file.seek(0)
        return file.read()


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """A regular file, open for reading. Raises FileNotFoundError, or NotARun if it is none or not readable."""
    try:
        # Opening a FIFO would wait for a writer, for ever.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except FileNotFoundError:
        raise
    except (OSError, ValueError) as error:
        raise NotARun(f"not readable: {getattr(error, 'strerror', error)}") from None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise NotARun("not a regular file")
    with os.fdopen(descriptor, "rb") as file:
        try:
            yield file
        except OSError as error:
            raise NotARun(f"not readable: {error.strerror}") from None


def _fill(file: h5py.File, arrays: RunArrays) -> None:
    for name in _PICTURES:
        picture = getattr(arrays, name)
        if picture is not None:
            _dataset(file, name, picture)
    for name in _GROUPS:
        _group(file.create_group(name), getattr(arrays, name))
    analyses = file.create_group("analyses")
    for name, found in arrays.analyses.items():
        _group(analyses.create_group(name), found)


def _group(group: h5py.Group, arrays: Mapping[str, Array]) -> None:
    for key, array in arrays.items():
        _dataset(group, key.replace("/", "\\"), np.asarray(array))


def _dataset(group: h5py.Group, name: str, array: Array) -> None:
    options = {"compression": "gzip", "compression_opts": 4, "shuffle": True} if array.size and array.ndim else {}
    group.create_dataset(name, data=array, **options)


def _arrays(file: h5py.File) -> RunArrays:
    groups: dict[str, Any] = {name: _read_group(file[name]) for name in _GROUPS}
    pictures: dict[str, Any] = {name: file[name][()] if name in file else None for name in _PICTURES}
    analyses = {name: _read_group(group) for name, group in file["analyses"].items()}
    return RunArrays(**groups, **pictures, analyses=analyses)


def _read_group(group: h5py.Group) -> dict[str, Array]:
    return {key.replace("\\", "/"): item[()] for key, item in group.items()}
