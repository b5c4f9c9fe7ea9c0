"""The index of a folder of runs: a cache of what each file says, so that thousands are listed at once.

It may be deleted at any time. An entry counts only while the file has the size and the time of change it had, and while
the entry's own checksum is right. Imports no torch.
"""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

Stamp = tuple[int, int, int, int]
_WAIT_S = 5.0
# sqlite limits the parameters of a statement.
_AT_ONCE = 500
_COLUMNS = ("id", "size", "mtime", "ctime", "inode", "facts", "checksum")


def stamp(status: os.stat_result) -> Stamp:
    """What changes when a file is written anew, even by a program that sets its time back."""
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino


class RunIndex:
    """The facts of run files, by id.

    Args:
        path: of the sqlite file; made when something is stored.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._damaged = False

    def known(self, ids: Collection[str]) -> dict[str, tuple[Stamp, dict[str, Any]]]:
        """The stamp of the file and its facts, of those of the ids that are in the index."""
        if not self.path.is_file():
            return {}
        found = {}
        try:
            with self._opened() as database:
                for run_id, *place, text, check in _select(database, list(ids)):
                    if _checksum(run_id, place, text) == check:
                        size, mtime, ctime, inode = place
                        found[run_id] = ((size, mtime, ctime, inode), json.loads(text))
        except (sqlite3.Error, OSError, ValueError, TypeError) as error:
            self._damaged = not _is_busy(error)
        return found

    def store(self, entries: Iterable[tuple[str, Stamp, dict[str, Any]]]) -> None:
        """Add or replace entries. A folder that cannot be written, or a damaged index, is no error."""
        rows = []
        for run_id, place, facts in entries:
            text = json.dumps(facts)
            rows.append((run_id, *place, text, _checksum(run_id, place, text)))
        if not rows:
            return
        try:
            if not self._damaged:
                self._store(rows)
        except (sqlite3.Error, OSError) as error:
            self._damaged = not _is_busy(error)
        if self._damaged:
            # A new one is as good.
            with suppress(OSError, sqlite3.Error):
                self.path.unlink(missing_ok=True)
                self._store(rows)
                self._damaged = False

    def _store(self, rows: list[tuple[Any, ...]]) -> None:
        with self._opened() as database, database:
            database.execute(f"CREATE TABLE IF NOT EXISTS runs ({', '.join(_COLUMNS)}, PRIMARY KEY (id))")
            database.executemany(f"INSERT OR REPLACE INTO runs VALUES ({', '.join('?' * len(_COLUMNS))})", rows)

    @contextmanager
    def _opened(self) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(self.path, timeout=_WAIT_S)) as database:
            # What is lost when the machine stops is read again from the files.
            database.execute("PRAGMA synchronous = OFF")
            yield database


def _select(database: sqlite3.Connection, ids: Sequence[str]) -> Iterator[tuple[Any, ...]]:
    for first in range(0, len(ids), _AT_ONCE):
        some = ids[first : first + _AT_ONCE]
        places = ", ".join("?" * len(some))
        yield from database.execute(f"SELECT {', '.join(_COLUMNS)} FROM runs WHERE id IN ({places})", some)


def _is_busy(error: BaseException) -> bool:
    """Whether an index that is whole cannot be used right now, or not in this folder."""
    # The low byte is the kind of error.
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_IOERR,
    }


def _checksum(run_id: str, place: Iterable[int], text: str) -> str:
    content = f"{run_id} {' '.join(map(str, place))} {text}"
    return hashlib.blake2b(content.encode(), digest_size=8).hexdigest()
