"""Rows of named values in one file, csv or parquet, with a schema name and a checksum in every row. Imports no torch.

Every value of every row counts for the checksum, so a file that was edited, sorted or cut off is told. Both formats
hold the same values: floats as `repr` writes them, nothing for a value that is not there.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import ModuleType

from inrbench_core.api.errors import InrbenchError, StorageError
from inrbench_core.runs.runfile import NotARun, opened
from inrbench_core.runs.store import replace_file

PARQUET_EXTRA = "inrbench[parquet]"
SUFFIXES = (".csv", ".parquet")
Cell = str | bool | int | float | None
Row = dict[str, Cell]
# str, bool, int or float.
Kind = type
_SCHEMA, _CHECKSUM = "schema", "checksum"
# What a file of either format begins with: a foreign file may be larger than the memory, so this is read first.
_BEGINNINGS = {".csv": f"{_SCHEMA},".encode(), ".parquet": b"PAR1"}


class _NotATable(Exception):
    """Why the content of a file cannot be used."""


def check_suffix(path: Path) -> None:
    """Raise InrbenchError unless the path ends in .csv or .parquet, and for parquet if pyarrow is not installed."""
    if path.suffix.lower() not in SUFFIXES:
        raise InrbenchError(f"{path}: expected a name that ends in {' or '.join(SUFFIXES)}")
    if path.suffix.lower() == ".parquet":
        _parquet(path)


def write_table(path: Path, schema: str, kinds: Mapping[str, Kind], rows: Sequence[Row]) -> None:
    """Write rows to a file, whole or not at all.

    Args:
        path: the file; its suffix says the format.
        schema: the name of what the rows are, with a version, such as "inrbench.known/1".
        kinds: the columns in their order, each with the type of its values.
        rows: at least one; a column that a row has not got is empty.

    Raises:
        InrbenchError: if the suffix is another one, pyarrow is not installed, or a text is not valid.
        StorageError: if the file cannot be written.
    """
    check_suffix(path)
    texts = [[_text(row.get(name)) for name in kinds] for row in rows]
    both = {_SCHEMA: schema, _CHECKSUM: _checksum(list(kinds), texts)}
    encode = _to_parquet if path.suffix.lower() == ".parquet" else _to_csv
    try:
        content = encode(path, {_SCHEMA: str, **kinds, _CHECKSUM: str}, [{**row, **both} for row in rows])
        replace_file(path, content)
    except OSError as error:
        raise StorageError(f"{path}: cannot be written: {error.strerror}") from None
    except UnicodeEncodeError:
        raise InrbenchError(f"{path}: not written: a label or a message is not valid text") from None


def read_table(path: Path, schema: str, kind_of: Callable[[str], Kind | None]) -> list[Row]:
    """The rows that `write_table` wrote.

    Args:
        path: the file; its suffix says the format.
        schema: what the rows have to be.
        kind_of: the type of a column's values, by its name; None: there is no such column.

    Raises:
        InrbenchError: if it is not readable, another kind of file, of another schema, or damaged.
    """
    check_suffix(path)
    try:
        names, rows = _read(path)
        return _checked(names, rows, schema, kind_of)
    except (_NotATable, NotARun) as error:
        raise InrbenchError(f"{path}: {error}") from None
    except FileNotFoundError:
        raise InrbenchError(f"{path}: no such file") from None


def _read(path: Path) -> tuple[list[str], list[list[str]]]:
    """The names of the columns and the rows, all as text."""
    suffix = path.suffix.lower()
    foreign = "not a table that `inrbench results --export` wrote"
    with opened(path) as file:
        beginning = file.read(len(_BEGINNINGS[suffix]))
        if not beginning:
            raise _NotATable("empty")
        if beginning != _BEGINNINGS[suffix]:
            raise _NotATable(foreign)
        content = beginning + file.read()
    try:
        lines = _from_parquet(path, content) if suffix == ".parquet" else _from_csv(content)
    # What pyarrow raises is a ValueError or an OSError.
    except (ValueError, OSError, csv.Error):
        raise _NotATable("damaged or cut off") from None
    names, *rows = lines
    if _SCHEMA not in names:
        raise _NotATable(foreign)
    if not rows or any(len(row) != len(names) for row in rows):
        raise _NotATable("damaged or cut off")
    return names, rows


def _checked(names: list[str], rows: list[list[str]], schema: str, kind_of: Callable[[str], Kind | None]) -> list[Row]:
    found = rows[0][names.index(_SCHEMA)]
    if found != schema:
        raise _NotATable(f"it is of the schema {found!r}, and this version of inrbench reads {schema}")
    # The first and the last column; what the table is about lies between them.
    inner, kinds = names[1:-1], [kind_of(name) for name in names[1:-1]]
    if unknown := [name for name, kind in zip(inner, kinds, strict=True) if kind is None]:
        raise _NotATable(f"{schema} has no column {unknown[0]!r}")
    if names[0] != _SCHEMA or names[-1] != _CHECKSUM or len(set(names)) < len(names):
        raise _NotATable(f"its columns are not those of {schema}")
    check = _checksum(inner, (row[1:-1] for row in rows))
    if any(row[0] != schema or row[-1] != check for row in rows):
        raise _NotATable("damaged, edited or cut off: its rows do not match their checksum; export it again")
    try:
        return [
            {name: _value(text, kind) for name, text, kind in zip(inner, row[1:-1], kinds, strict=True) if kind}
            for row in rows
        ]
    except (ValueError, KeyError):
        raise _NotATable(f"a value is not of the type of its column in {schema}") from None


def _to_csv(path: Path, kinds: Mapping[str, Kind], rows: Sequence[Row]) -> bytes:
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer)
    writer.writerow(kinds)
    writer.writerows([_text(row.get(name)) for name in kinds] for row in rows)
    return buffer.getvalue().encode()


def _from_csv(content: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(content.decode(), newline=""), strict=True))


def _to_parquet(path: Path, kinds: Mapping[str, Kind], rows: Sequence[Row]) -> bytes:
    arrow, parquet = _parquet(path)
    types = {str: arrow.string(), bool: arrow.bool_(), int: arrow.int64(), float: arrow.float64()}
    columns = {name: arrow.array([row.get(name) for row in rows], types[kind]) for name, kind in kinds.items()}
    buffer = io.BytesIO()
    parquet.write_table(arrow.table(columns), buffer)
    return buffer.getvalue()


def _from_parquet(path: Path, content: bytes) -> list[list[str]]:
    _, parquet = _parquet(path)
    table = parquet.read_table(io.BytesIO(content))
    columns = [[_text(value) for value in column.to_pylist()] for column in table.columns]
    return [list(table.column_names), *map(list, zip(*columns, strict=True))]


def _parquet(path: Path) -> tuple[ModuleType, ModuleType]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise InrbenchError(f"{path}: parquet needs pyarrow: pip install '{PARQUET_EXTRA}'") from None
    return pyarrow, pyarrow.parquet


def _text(value: Cell) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return repr(value) if isinstance(value, float) else str(value)


def _value(text: str, kind: Kind) -> Cell:
    if kind is str:
        return text
    if not text:
        return None
    value: Cell = {"true": True, "false": False}[text] if kind is bool else kind(text)
    return value


def _checksum(names: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    check = hashlib.blake2b(digest_size=16)
    for line in (names, *rows):
        check.update(json.dumps(line).encode() + b"\n")
    return check.hexdigest()
