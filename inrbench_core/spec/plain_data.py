"""Plain data of Python: how much of it a spec may hold, and what else is taken for it. Imports no torch."""

from __future__ import annotations

import numbers
import os
from collections.abc import Callable, Mapping
from typing import Any

# More than any spec holds; a few lines of aliases of aliases can stand for billions.
MOST_VALUES = 100_000
# libyaml's composer and much of Python work by recursion, and the former ends the process where it goes too deep.
MOST_LEVELS = 50
MOST_DIGITS = 18

DataPath = tuple[str | int, ...]


def plain_data(value: Any, report: Callable[[DataPath, str], None]) -> Any:
    """The value with mappings, lists, text, numbers, booleans and None only, all of it copied.

    Tuples and numpy's arrays become lists, numpy's numbers Python's, and paths text.

    Args:
        value: what a caller has in place of a YAML file.
        report: is told the path and the reason of what is no plain data.
    """
    try:
        return _Copier(report).copied(value, (), 0)
    except _TooMuchError as error:
        report(error.path, str(error))
        return None


class _TooMuchError(Exception):
    """More than a spec may hold, which it is no use to go on with."""

    def __init__(self, path: DataPath, message: str) -> None:
        super().__init__(message)
        self.path = path


class _Copier:
    def __init__(self, report: Callable[[DataPath, str], None]) -> None:
        self.report = report
        self.values = 0

    def copied(self, value: Any, path: DataPath, level: int) -> Any:
        self.values += 1
        if self.values > MOST_VALUES:
            raise _TooMuchError((), f"it holds more than {MOST_VALUES:,} values")
        if not isinstance(value, str) and hasattr(value, "tolist"):
            value = value.tolist()
        if isinstance(value, Mapping | list | tuple):
            return self._collection(value, path, level + 1)
        return self._scalar(value, path)

    def _collection(self, value: Any, path: DataPath, level: int) -> Any:
        if level > MOST_LEVELS:
            raise _TooMuchError(path, f"nested more than {MOST_LEVELS} levels deep")
        if not isinstance(value, Mapping):
            return [self.copied(item, (*path, index), level) for index, item in enumerate(value)]
        copy = {}
        for key, item in value.items():
            if isinstance(key, str):
                copy[str(key)] = self.copied(item, (*path, key), level)
            else:
                self.report(path, f"a key has to be text, got {type(key).__name__}")
        return copy

    def _scalar(self, value: Any, path: DataPath) -> Any:
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, str):
            return str(value)
        if isinstance(value, numbers.Integral):
            if abs(value) >= 10**MOST_DIGITS:
                self.report(path, f"a whole number has at most {MOST_DIGITS} digits")
                return None
            return int(value)
        if isinstance(value, numbers.Real):
            return float(value)
        if isinstance(value, os.PathLike) and isinstance(text := os.fspath(value), str):
            return text
        self.report(path, f"expected text, a number, a list or a mapping, got {type(value).__name__}")
        return None
