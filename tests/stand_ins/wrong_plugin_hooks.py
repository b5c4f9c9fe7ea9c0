"""A plugin file whose logger prints its events, and whose command does not say what it does."""

from __future__ import annotations

from typing import Any

from inrbench_core import hookimpl


@hookimpl
def inrbench_run_finished(run: Any) -> None:
    print(run.title)


@hookimpl
def inrbench_commands(app: Any) -> None:
    @app.command("nameless")
    def nameless() -> None:
        print("?")
