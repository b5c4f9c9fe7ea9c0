"""What is kept of a plugin that does not work."""

from __future__ import annotations

import traceback as traceback_module
from dataclasses import dataclass
from typing import Literal

Stage = Literal["discover", "load", "register", "hook", "record", "incompatible"]


@dataclass(frozen=True)
class PluginFailure:
    """A plugin, or one record of it, that cannot be used; everything else works on.

    Args:
        distribution: the distribution's name, or a file's path where only that is known.
        version: the distribution's version.
        entry_point: name of the entry point in the group `inrbench`.
        stage: what was being done: discover, load, register, hook, record, incompatible.
        error: one line: the kind of error and its message.
        traceback: the whole traceback, or "".
        provides: (kind, name) of the record at fault, where that is known.
    """

    distribution: str
    version: str
    entry_point: str
    stage: Stage
    error: str
    traceback: str = ""
    provides: tuple[str, str] | None = None

    def describe(self) -> str:
        """One line that names distribution, version, stage and cause."""
        what = {
            "discover": "has unreadable entry points",
            "load": "failed to import",
            "register": "failed to register",
            "hook": "failed in a hook",
            "record": "returned a wrong record",
            "incompatible": "is incompatible",
        }[self.stage]
        version = f" {self.version}" if self.version else ""
        return f"{self.distribution}{version} {what}: {self.error}"


def one_line(error: BaseException) -> str:
    """The error's type and message on one line."""
    message = " ".join(str(error).split())
    return f"{type(error).__name__}: {message}" if message else type(error).__name__


def full_traceback(error: BaseException) -> str:
    """The traceback as Python prints it."""
    return "".join(traceback_module.format_exception(error))
