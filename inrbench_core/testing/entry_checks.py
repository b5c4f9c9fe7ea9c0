"""Checks of the entry: its spec, its documentation, its plugin module."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from functools import lru_cache
from pathlib import Path
from typing import cast

import yaml
from pydantic import ValidationError

from inrbench_core.api.entries import RecipeEntry, TaskEntry
from inrbench_core.spec.training import TrainingSpec
from inrbench_core.spec.yaml_io import load_yaml
from inrbench_core.testing.outcome import Skipped, require
from inrbench_core.testing.subject import Subject

# Loads one distribution and prints what came of it.
PROBE = """
import json, sys
from inrbench_core.plugins.loading import load_catalog
catalog = load_catalog()
names = [[item.entry.kind, item.entry.name, item.distribution] for item in catalog.registered]
print(json.dumps({"torch": "torch" in sys.modules, "names": names}))
"""


DEFAULT_SIGNAL_OPTION = TaskEntry.signal_option


def check_spec_defaults(subject: Subject) -> None:
    """The entry can be named alone: every option has a default, and the defaults are valid."""
    required = [name for name, info in subject.entry.spec.model_fields.items() if info.is_required()]
    if required and subject.kind == "task" and not subject.options:
        raise Skipped(f"a task may need options, and this one needs {', '.join(required)}")
    try:
        component = subject.component
    except ValidationError as error:
        raise AssertionError(f"the defaults are not valid: {_first_line(error)}") from None
    require(component.entry is subject.entry, f"the name {subject.reference!r} picks another entry")


def check_spec_round_trip(subject: Subject) -> None:
    """Written as YAML and read again, the spec is the same."""
    component = subject.component
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "component.yaml")
        file.write_text(yaml.safe_dump(component.to_data()), encoding="utf-8")
        data = load_yaml(file).data
    again = subject.catalog.resolve(subject.kind, data)
    require(again.spec == component.spec, f"written {component.to_data()}, read {again.to_data()}")
    require(again.to_data() == component.to_data(), f"written {component.to_data()}, read {again.to_data()}")


def check_documented(subject: Subject) -> None:
    """The entry has a summary, and each option a description."""
    require(bool(subject.entry.summary), "the docstring of the spec class is empty")
    bare = [name for name, info in subject.entry.spec.model_fields.items() if not info.description]
    require(not bare, f"options without a description: {', '.join(bare)}")


def check_training_defaults(subject: Subject) -> None:
    """The training defaults that the entry recommends are valid."""
    try:
        TrainingSpec.model_validate(dict(subject.item.entry.training), context={"catalog": subject.catalog})
    except ValidationError as error:
        raise AssertionError(f"the training defaults are not valid: {_first_line(error)}") from None


def check_signal_option(subject: Subject) -> None:
    """The option that the task's entry says to name the signal is one of its spec's."""
    option = cast(TaskEntry, subject.entry).signal_option
    if option not in subject.entry.spec.model_fields:
        require(option == DEFAULT_SIGNAL_OPTION, f"signal_option: the spec has no option {option!r}")
        raise Skipped(f"its spec has no option {option!r}: it has one signal")


def check_target_loads(subject: Subject) -> None:
    """The target can be imported and called."""
    require(callable(subject.entry.load()), f"{subject.entry.target} cannot be called")


def check_plugin_without_torch(subject: Subject) -> None:
    """The plugin module, imported in a fresh process, imports no torch: listing has to be quick."""
    found = require_light(subject.distribution, subject.item.file)
    require((subject.kind, subject.name, subject.distribution) in found, "a fresh process does not find the entry")


def require_light(distribution: str, file: Path | None) -> frozenset[tuple[str, str, str]]:
    """Fail unless a distribution's plugin modules import no torch.

    Args:
        distribution: an installed distribution.
        file: the plugin file that goes by that name, if it is one.

    Returns:
        (kind, name, distribution) of all entries that a fresh process finds.
    """
    if file is not None:
        raise Skipped("a plugin file is one file with its torch code; the plugin module of a distribution is not")
    found, torch_is_there = _probe(distribution)
    require(not torch_is_there, "the plugin module imports torch; name the code in `target` and import it there")
    return found


def check_recipe_resolves(subject: Subject) -> None:
    """What the recipe stands for can be built from what is installed."""
    stands_for = cast(RecipeEntry, subject.item.entry).stands_for
    try:
        subject.catalog.resolve("field", dict(stands_for))
    except ValidationError as error:
        if "is not loaded" in str(error):
            raise Skipped(_first_line(error)) from None
        raise AssertionError(_first_line(error)) from None


@lru_cache
def _probe(distribution: str) -> tuple[frozenset[tuple[str, str, str]], bool]:
    environment = {
        **os.environ,
        "INRBENCH_PLUGINS": distribution,
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
    }
    environment.pop("INRBENCH_DISABLE", None)
    done = subprocess.run([sys.executable, "-c", PROBE], capture_output=True, text=True, env=environment, check=False)
    require(done.returncode == 0, f"a fresh process cannot load the plugin: {done.stderr.strip()[-200:]}")
    data = json.loads(done.stdout)
    return frozenset((kind, name, home) for kind, name, home in data["names"]), bool(data["torch"])


def _first_line(error: ValidationError) -> str:
    return "; ".join(problem["msg"] for problem in error.errors(include_url=False))
