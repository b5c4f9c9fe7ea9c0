"""Changes of a spec on the command line: `--set training.steps=50`. Imports no torch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from inrbench_core.spec.plain_data import MOST_LEVELS
from inrbench_core.spec.yaml_io import YamlPath, parse_value


def with_settings(data: Any, settings: Sequence[str], report: Callable[[YamlPath, str], None]) -> Any:
    """A copy of plain data with changes.

    Args:
        data: plain data.
        settings: "dotted.key=value", the value in YAML.
        report: is told what is wrong with a setting.
    """
    data = _copied(data)
    for setting in settings:
        key, equals, text = setting.partition("=")
        if not equals or not key:
            report((), f"--set {setting}: expected key=value")
            continue
        parts = key.split(".")
        try:
            value = parse_value(text)
            if len(parts) > MOST_LEVELS:
                raise ValueError(f"a key has at most {MOST_LEVELS} parts")
        except ValueError as error:
            report((), f"--set {setting}: {error}")
            continue
        try:
            _put(data, parts, value)
        except (LookupError, ValueError, TypeError, AttributeError):
            report((), f"--set {setting}: the spec has nothing at {key!r} to set")
    return data


def _put(data: Any, parts: Sequence[str], value: Any) -> None:
    *parents, last = parts
    for part in parents:
        if isinstance(data, list):
            data = data[int(part)]
        else:
            # A key with nothing after it, such as `training:`, is an empty mapping.
            data[part] = {} if data.get(part) is None else data[part]
            data = data[part]
    data[int(last) if isinstance(data, list) else last] = _copied(value)


def _copied(value: Any) -> Any:
    """A copy in which nothing is there twice: what an alias stands for is changed in one place only."""
    if isinstance(value, dict):
        return {key: _copied(item) for key, item in value.items()}
    return [_copied(item) for item in value] if isinstance(value, list) else value
