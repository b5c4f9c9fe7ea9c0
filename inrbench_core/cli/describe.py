"""Entries as plain data, for `list` and `show`."""

from __future__ import annotations

from dataclasses import asdict
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

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
