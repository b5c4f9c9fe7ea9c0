"""Entries as plain data, for `list` and `show`."""

from __future__ import annotations

import ast
import importlib.util
import inspect
from dataclasses import asdict
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from inrbench_core.api.entries import AnalysisEntry, Entry, RecipeEntry, TaskEntry
from inrbench_core.api.spec import ComponentOf, ParameterBudget
from inrbench_core.plugins.catalog import Catalog, Registered


def describe_entry(item: Registered, catalog: Catalog) -> dict[str, Any]:
    """What there is to know of an entry without importing its code."""
    entry = item.entry
    rivals = [other.distribution for other in catalog.rivals(item)]
    data: dict[str, Any] = {
        "kind": entry.kind,
        "name": entry.name,
        "aliases": list(entry.aliases),
        "summary": entry.summary,
        "reference": entry.reference,
        "distribution": item.distribution,
        "version": item.version,
        "clashes_with": rivals,
    }
    if isinstance(entry, RecipeEntry):
        return {**data, "stands_for": dict(entry.stands_for), "training": dict(entry.training), "parameters": []}
    assert isinstance(entry, Entry)
    data["parameters"] = [_describe_parameter(name, info) for name, info in entry.spec.model_fields.items()]
    data["formula"] = entry.formula
    data["training"] = dict(entry.training)
    if isinstance(entry, TaskEntry | AnalysisEntry):
        data["metrics"] = [asdict(metric) for metric in entry.metrics]
    if isinstance(entry, TaskEntry):
        data["signal"], data["direction"] = entry.signal, entry.direction
        data["rank_by"] = entry.rank_by or entry.primary.name
        data["baselines"] = list(entry.baselines)
    return data


def describe_details(entry: Entry | RecipeEntry) -> str:
    """What the docstrings of an entry's options and of its target say beyond the summary; "" if that is nothing.

    The target is read, not imported. That of a task is left out: it says how data are prepared, not what they are.
    """
    if isinstance(entry, RecipeEntry):
        return ""
    _, _, more = (inspect.getdoc(entry.spec) or "").partition("\n")
    texts = [more.strip(), "" if isinstance(entry, TaskEntry) else _target_docstring(entry.target)]
    return "\n\n".join(text for text in texts if text and text.rstrip(".") != entry.summary.rstrip("."))


def _target_docstring(target: str) -> str:
    """The docstring of a class or function in the source of its module; "" where there is none to be read."""
    module, _, name = target.partition(":")
    try:
        found = importlib.util.find_spec(module)
        source = b"" if found is None or found.origin is None else Path(found.origin).read_bytes()
        statements = ast.parse(source).body
    except (ImportError, OSError, SyntaxError, ValueError, RecursionError):
        return ""
    named = (one for one in statements if isinstance(one, ast.ClassDef | ast.FunctionDef) and one.name == name)
    return next((ast.get_docstring(one) or "" for one in named), "")


def describe_parts(entry: RecipeEntry, catalog: Catalog) -> list[dict[str, str]]:
    """The field that a recipe stands for and the components in it, outermost first; none where one is not installed."""
    try:
        field = catalog.resolve("field", dict(entry.stands_for))
    except ValidationError:
        return []
    return [
        {"kind": part.kind, "name": part.name, "formula": part.entry.formula, "reference": part.entry.reference}
        for part in field.walk()
    ]


def _describe_parameter(name: str, info: FieldInfo) -> dict[str, Any]:
    component = next((marker.kind for marker in info.metadata if isinstance(marker, ComponentOf)), None)
    default = None if info.default is PydanticUndefined else info.default
    return {
        "name": name,
        "type": f"name of a component ({component})" if component else _type_text(info.annotation),
        "required": info.is_required(),
        "default": _plain(default),
        "description": info.description or "",
    }


def _plain(default: Any) -> Any:
    """A default as YAML and JSON have it."""
    if isinstance(default, tuple | list):
        return [_plain(item) for item in default]
    if isinstance(default, BaseModel):
        return {name: _plain(value) for name, value in default}
    return default if isinstance(default, str | int | float | bool | None) else str(default)


def _type_text(annotation: Any) -> str:
    """A type as people write it: int or 'nyquist', float or none."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _type_text(arguments[0])
    if origin is Literal:
        return " or ".join(repr(choice) for choice in arguments)
    if origin in (Union, UnionType):
        return " or ".join(_type_text(choice) for choice in arguments)
    if origin is not None:
        inner = ", ".join(_type_text(choice) for choice in arguments if choice is not Ellipsis)
        return f"{'list' if origin is tuple else origin.__name__} of {inner}"
    if annotation is ParameterBudget:
        return "{parameters: int}"
    return "none" if annotation is NoneType else str(getattr(annotation, "__name__", annotation))


def parameters_text(data: dict[str, Any]) -> str:
    """All parameters with their defaults on one line."""
    return ", ".join(
        f"{parameter['name']}" if parameter["required"] else f"{parameter['name']}={parameter['default']}"
        for parameter in data["parameters"]
    )
