"""Checks of hooks that return no entries: those for loggers, and commands."""

from __future__ import annotations

import contextlib
import io
import os
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import typer
from pluggy import HookImpl
from typer.testing import CliRunner

from inrbench_core.api.executor import Progress
from inrbench_core.plugins.catalog import Catalog
from inrbench_core.runs.events import StartedExperiment
from inrbench_core.runs.store import RunStore
from inrbench_core.testing.entry_checks import require_light
from inrbench_core.testing.outcome import Skipped, require
from inrbench_core.testing.small_runs import stand_in_records, stand_in_results

COMMANDS = "inrbench_commands"
EVENTS = (
    "inrbench_experiment_started",
    "inrbench_run_started",
    "inrbench_progress",
    "inrbench_run_finished",
    "inrbench_experiment_finished",
)


@dataclass(frozen=True)
class PluginHooks:
    """The hooks of one plugin that return no entries.

    Args:
        hooks: by name.
        name: the plugin's entry point, or its file's name without the suffix.
        distribution: where it comes from.
        file: the plugin file, or None.
    """

    hooks: Mapping[str, HookImpl]
    name: str
    distribution: str
    file: Path | None

    kind = "hooks"


def plugin_hooks(catalog: Catalog) -> Iterator[PluginHooks]:
    """The plugins of a catalog that have such hooks."""
    for label, plugin in catalog.manager.list_name_plugin():
        distribution, _, name = label.rpartition(":")
        found = {
            caller.name: implementation
            for caller in catalog.manager.get_hookcallers(plugin) or []
            for implementation in caller.get_hookimpls()
            if implementation.plugin is plugin and caller.name in (COMMANDS, *EVENTS)
        }
        if found:
            yield PluginHooks(found, name, distribution, _plugin_file(plugin))


def check_plugin_without_torch(subject: PluginHooks) -> None:
    """The plugin module, imported in a fresh process, imports no torch: each command has to start quickly."""
    require_light(subject.distribution, subject.file)


def check_events(subject: PluginHooks) -> None:
    """The life-cycle hooks take the events of a small experiment, with a failed run, and print nothing on stdout."""
    if not subject.hooks.keys() & set(EVENTS):
        raise Skipped("it implements no life-cycle hook")
    printed = io.StringIO()
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder), contextlib.redirect_stdout(printed):
        _send_all(subject, Path(folder, "results"))
    require(not printed.getvalue(), "it prints on stdout, which is for results; logs go to a file or to stderr")


def check_commands(subject: PluginHooks) -> None:
    """The hook adds at least one command, and each says by --help what it does."""
    if COMMANDS not in subject.hooks:
        raise Skipped("it adds no commands")
    app = typer.Typer(no_args_is_help=True)
    # With a single command typer would take the name of that command for an argument.
    app.callback()(lambda: None)
    subject.hooks[COMMANDS].function(app)
    commands = typer.main.get_group(app).commands
    require(bool(commands), "inrbench_commands adds no command to the app")
    for name, command in commands.items():
        require(bool(command.help), f"the command {name!r} has no help; write a docstring")
        outcome = CliRunner().invoke(app, [name, "--help"])
        require(outcome.exit_code == 0, f"{name} --help exits with status {outcome.exit_code}: {outcome.exception!r}")


def _send_all(subject: PluginHooks, folder: Path) -> None:
    os.makedirs(folder)
    records = stand_in_records()
    runs = {run.id: run for run, _ in records}
    _send(
        subject,
        "inrbench_experiment_started",
        experiment=StartedExperiment("stand_in", folder, runs, frozenset()),
        store=RunStore(folder),
    )
    for run, record in records:
        _send(subject, "inrbench_run_started", run=run)
        for step in (0, 5):
            _send(subject, "inrbench_progress", run=run, progress=Progress(step, 5, 0.1, float("nan")))
        _send(subject, "inrbench_run_finished", run=run, record=record)
    _send(subject, "inrbench_experiment_finished", results=stand_in_results(folder))


def _send(subject: PluginHooks, name: str, **arguments: Any) -> None:
    if name in subject.hooks:
        implementation = subject.hooks[name]
        # An implementation may leave out arguments.
        implementation.function(**{argument: arguments[argument] for argument in implementation.argnames})


def _plugin_file(plugin: object) -> Path | None:
    assert isinstance(plugin, ModuleType)
    loaded_as_file = plugin.__name__.startswith("inrbench_plugin_file_")
    return Path(str(plugin.__file__)) if loaded_as_file else None
