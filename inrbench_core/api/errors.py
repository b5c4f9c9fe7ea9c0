"""Errors that a person can act on: each is one line that says where and what to do."""

from __future__ import annotations


class InrbenchError(Exception):
    """Root of the errors inrbench raises on purpose; its text is shown without a traceback."""


class DataError(InrbenchError):
    """A task's data cannot be used: a missing or unreadable file, NaN, a missing extra."""


class BudgetError(InrbenchError):
    """No width gives a parameter count near enough to the budget asked for."""


class UnsupportedError(InrbenchError):
    """The combination asked for has no meaning, such as rendering a task that has no picture."""


class StorageError(InrbenchError):
    """Results cannot be written, as on a full disk."""
