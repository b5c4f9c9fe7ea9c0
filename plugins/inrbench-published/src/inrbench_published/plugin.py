"""The command of this distribution. Imports no torch."""

from __future__ import annotations

from typing import Any

from inrbench_core import hookimpl


@hookimpl
def inrbench_commands(app: Any) -> None:
    from inrbench_published.command import add_command

    add_command(app)
