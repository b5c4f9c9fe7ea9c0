"""Loading plugins, each on its own, so that a broken one harms no other."""

from __future__ import annotations

import contextlib
import dataclasses
import importlib
import importlib.util
import os
import re
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import pluggy

from inrbench_core.api import hookspecs
from inrbench_core.api.entries import API_VERSION, ENTRY_TYPES, Entry, RecipeEntry, TaskEntry
from inrbench_core.api.fingerprint import is_installed, plugin_packages, source_fingerprint
from inrbench_core.plugins.catalog import Catalog, Registered
from inrbench_core.plugins.discovery import PluginSource, allowed, discover, normalise
from inrbench_core.plugins.failures import PluginFailure, Stage, full_traceback, one_line

RESERVED_KEYS = {"name", "label", "training"}
NAME_PATTERN = re.compile(r"[a-z0-9][a-z0-9_.+/-]*")
CORE = PluginSource("core", "inrbench_core.plugins.builtin", "inrbench", "")


class _Broken(Exception):
    """Carries a failure out of the step that met it."""

    def __init__(self, failure: PluginFailure) -> None:
        super().__init__(failure.describe())
        self.failure = failure


def load_catalog(plugin_files: Sequence[Path] = ()) -> Catalog:
    """Load core's own entries, all installed plugins that the environment allows, and plugin files.

    Args:
        plugin_files: Python files with hook implementations, loaded without being installed.
    """
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    sources, failures = discover()
    plugin_packages.update(source.package for source in sources)
    failures = [failure for failure in failures if allowed(failure.distribution)]
    registered: list[Registered] = []
    core = dataclasses.replace(CORE, version=_core_version())
    queue: list[tuple[PluginSource, Path | None]] = [(core, None)]
    queue += [(source, None) for source in sources if allowed(source.distribution)]
    for index, plugin_file in enumerate(plugin_files):
        source = _file_source(plugin_file)
        reason = _unusable_name(plugin_file, plugin_files[:index])
        if reason:
            failures.append(PluginFailure(source.distribution, "", source.name, "load", reason))
        else:
            queue.append((source, plugin_file))
    for source, file in queue:
        # A plugin that prints while it loads must not spoil what we print on stdout.
        with contextlib.redirect_stdout(sys.stderr):
            found, failed = _load_one(manager, source, file)
        registered += found
        failures += failed
    if failures and os.environ.get("INRBENCH_STRICT_PLUGINS") == "1":
        raise RuntimeError("INRBENCH_STRICT_PLUGINS: " + "\n".join(f.traceback or f.describe() for f in failures))
    return Catalog(registered, failures, manager)


def _core_version() -> str:
    import inrbench_core

    return inrbench_core.__version__


def _file_source(file: Path) -> PluginSource:
    """A plugin file goes by its name, and the fingerprint of its code is its version."""
    version = source_fingerprint(file.parent, [file]) if file.is_file() else ""
    return PluginSource(file.stem, file.stem, file.name, version)


def _unusable_name(file: Path, before: Sequence[Path]) -> str:
    """Why a plugin file cannot be imported under its name, or "": its module would take the place of another one."""
    same = next((other for other in before if other.stem == file.stem), None)
    if same is not None:
        return f"{same} has the same name; rename one of them"
    if file.stem in sys.stdlib_module_names:
        return f"{file.stem} is the name of a module of Python itself; rename the file"
    try:
        spec = importlib.util.find_spec(file.stem)
    except (ValueError, ImportError):
        spec = None
    if spec is not None and spec.origin and is_installed(spec.origin):
        return f"{file.stem} is the name of an installed module; rename the file"
    return ""


def _load_one(
    manager: pluggy.PluginManager, source: PluginSource, file: Path | None
) -> tuple[list[Registered], list[PluginFailure]]:
    stage: Stage = "load"
    plugin: ModuleType | None = None
    registered: list[Registered] = []
    failures: list[PluginFailure] = []
    try:
        plugin = importlib.import_module(source.module) if file is None else _import_file(file)
        stage = "register"
        manager.register(plugin, name=f"{source.distribution}:{source.name}")
        manager.check_pending()
        if not manager.get_hookcallers(plugin):
            raise LookupError("it implements no hook; is @hookimpl missing above a function named inrbench_...?")
    except (Exception, SystemExit) as error:
        if plugin is not None and manager.is_registered(plugin):
            manager.unregister(plugin)
        return [], [_failure(source, stage, error)]
    for hook_name, kind in hookspecs.ENTRY_HOOKS.items():
        try:
            records = list(_call(manager, hook_name, plugin))
        except (Exception, SystemExit) as error:
            failures.append(_failure(source, "hook", error))
            continue
        for record in records:
            try:
                _check(source, kind, record)
                registered.append(Registered(record, source.distribution, source.version, source.package, file))
            except _Broken as broken:
                failures.append(broken.failure)
    return registered, failures


def _failure(source: PluginSource, stage: Stage, error: BaseException) -> PluginFailure:
    return PluginFailure(
        source.distribution, source.version, source.name, stage, one_line(error), full_traceback(error)
    )


def _import_file(file: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"inrbench_plugin_file_{file.stem}", file)
    if spec is None or spec.loader is None or not file.is_file():
        raise ImportError(f"{file} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    # Targets are looked up by module name: this file's own, or another's beside it.
    sys.modules[spec.name] = sys.modules[file.stem] = module
    if str(file.parent.resolve()) not in sys.path:
        sys.path.append(str(file.parent.resolve()))
    spec.loader.exec_module(module)
    return module


def _call(manager: pluggy.PluginManager, hook_name: str, plugin: ModuleType) -> Iterable[Any]:
    """The records of one plugin; pluggy's own call would stop all plugins at the first that raises."""
    caller = getattr(manager.hook, hook_name)
    for implementation in caller.get_hookimpls():
        if implementation.plugin is plugin:
            yield from implementation.function()


def _check(source: PluginSource, kind: str, record: Any) -> None:
    """Raise _Broken unless the record is a sound entry of the kind."""
    expected = ENTRY_TYPES[kind]
    provides = (kind, str(getattr(record, "name", "?")))

    def broken(stage: Stage, error: str) -> _Broken:
        return _Broken(PluginFailure(source.distribution, source.version, source.name, stage, error, provides=provides))

    if not isinstance(record, expected):
        raise broken("record", f"hook for {kind} entries returned {type(record).__name__}, not {expected.__name__}")
    if not isinstance(record.api, int) or isinstance(record.api, bool):
        raise broken("record", f"{kind} {record.name!r}: api is {record.api!r}, not a whole number")
    if record.api != API_VERSION:
        remedy = (
            "pip install --upgrade inrbench"
            if record.api > API_VERSION
            else f"pip install --upgrade {normalise(source.distribution)}"
        )
        raise broken(
            "incompatible",
            f"{kind} {record.name!r} is written for api {record.api}, this inrbench has api {API_VERSION}; {remedy}",
        )
    for name in (record.name, *record.aliases):
        if not isinstance(name, str) or not NAME_PATTERN.fullmatch(name):
            raise broken("record", f"{kind} name {name!r} may hold only a-z, 0-9 and _ . + / -")
    if isinstance(record, RecipeEntry):
        if "name" not in record.stands_for:
            raise broken("record", f"recipe {record.name!r} does not name a field")
        return
    if isinstance(record, Entry):
        _check_entry(kind, record, broken)


def _check_entry(kind: str, record: Entry, broken: Any) -> None:
    if not (isinstance(record.spec, type) and issubclass(record.spec, record.spec_base)):
        raise broken("record", f"{kind} {record.name!r}: spec must be a subclass of {record.spec_base.__name__}")
    taken = RESERVED_KEYS & record.spec.model_fields.keys()
    if taken:
        raise broken("record", f"{kind} {record.name!r}: the spec field {sorted(taken)[0]!r} is reserved by inrbench")
    if not re.fullmatch(r"[\w.]+:[\w.]+", record.target):
        raise broken("record", f"{kind} {record.name!r}: target {record.target!r} is not 'module:attribute'")
    if isinstance(record, TaskEntry):
        names = [metric.name for metric in record.metrics]
        if not names:
            raise broken("record", f"task {record.name!r} declares no metrics")
        if record.rank_by and record.rank_by not in names:
            raise broken("record", f"task {record.name!r}: rank_by {record.rank_by!r} is none of its metrics")
        if "signals" in record.spec.model_fields:
            raise broken("record", f"task {record.name!r}: the spec field 'signals' is reserved by inrbench")
