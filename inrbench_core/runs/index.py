"""The index of a folder of runs: a cache of what each file says, so that thousands are listed at once.

It may be deleted at any time. An entry counts only while the file has the size and the time of change it had, and while
the entry's own checksum is right. Imports no torch.
"""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
from collections.abc import Collection, Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

Stamp = tuple[int, int, int]
_WAIT_S = 5.0


def stamp(status: os.stat_result) -> Stamp:
    """What changes when a file is written anew."""
    return status.st_size, status.st_mtime_ns, status.st_ino


class RunIndex:
    """The facts of run files, by id.

    Args:
        path: of the sqlite file; made when something is stored.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def known(self, ids: Collection[str]) -> dict[str, tuple[Stamp, dict[str, Any]]]:
        """The stamp of the file and its facts, of those of the ids that are in the index."""
        if not self.path.is_file():
            return {}
        wanted = set(ids)
        found = {}
        with suppress(sqlite3.Error, ValueError, TypeError), self._opened() as database:
            for run_id, size, mtime, inode, text, check in database.execute(
                "SELECT id, size, mtime, inode, facts, checksum FROM runs"
            ):
                if run_id in wanted and _checksum(run_id, size, mtime, inode, text) == check:
                    found[run_id] = ((size, mtime, inode), json.loads(text))
        return found

    def store(self, entries: Iterable[tuple[str, Stamp, dict[str, Any]]]) -> None:
        """Add or replace entries. A folder that cannot be written, or a damaged index, is no error."""
        rows = []
        for run_id, place, facts in entries:
            text = json.dumps(facts)
            rows.append((run_id, *place, text, _checksum(run_id, *place, text)))
        if not rows:
            return
        try:
            self._store(rows)
        except sqlite3.DatabaseError:
            # Damaged: a new one is as good.
            with suppress(OSError, sqlite3.Error):
                self.path.unlink(missing_ok=True)
                self._store(rows)

    def _store(self, rows: list[tuple[Any, ...]]) -> None:
        with self._opened() as database, database:
            database.execute(
                "CREATE TABLE IF NOT EXISTS runs"
                " (id TEXT PRIMARY KEY, size INTEGER, mtime INTEGER, inode INTEGER, facts TEXT, checksum TEXT)"
            )
            database.executemany("INSERT OR REPLACE INTO runs VALUES (?, ?, ?, ?, ?, ?)", rows)

    @contextmanager
    def _opened(self) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(self.path, timeout=_WAIT_S)) as database:
            # What is lost when the machine stops is read again from the files.
            database.execute("PRAGMA synchronous = OFF")
            yield database


def _checksum(run_id: str, size: int, mtime: int, inode: int, text: str) -> str:
    content = f"{run_id} {size} {mtime} {inode} {text}"
    return hashlib.blake2b(content.encode(), digest_size=8).hexdigest()
