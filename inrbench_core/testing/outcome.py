"""How a check ends: it returns, raises AssertionError, or raises Skipped with a reason."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Status = Literal["passed", "failed", "skipped"]


@dataclass(frozen=True)
class CheckResult:
    """What one check found.

    Args:
        name: of the check.
        status: passed, failed or skipped.
        reason: why it failed or was skipped; empty where it passed.
        kind: of the entry, or "hooks".
        entry: its name, or for hooks that of the entry point.
        distribution: where it comes from.
        seconds: how long the check took.
    """

    name: str
    status: Status
    reason: str
    kind: str
    entry: str
    distribution: str
    seconds: float


class Skipped(Exception):
    """The check has no meaning for this component, or cannot be run here; the text says why."""


def require(condition: bool, message: str) -> None:
    """Fail the check unless the condition holds. Not an `assert`: those vanish under python -O."""
    if not condition:
        raise AssertionError(message)
