"""A JSON Schema of spec files, made from the catalog, for editors to complete and check with."""

from __future__ import annotations

from typing import Any

from inrbench_core.api.entries import Entry, TaskEntry
from inrbench_core.api.spec import COMPONENT_MARK
from inrbench_core.plugins.catalog import Catalog
from inrbench_core.spec.head import ExperimentHead
from inrbench_core.spec.training import TrainingSpec

_REF = "#/$defs/{model}"
KINDS = ("encoding", "activation", "basis", "optimizer", "analysis", "executor", "task", "field")
# Kinds of which a list stands for several.
LISTED = ("encoding", "activation", "basis", "task", "field")


def experiment_schema(catalog: Catalog) -> dict[str, Any]:
    """JSON Schema (2020-12) of a spec file; components are under `$defs`, one definition a kind."""
    definitions: dict[str, Any] = {"training": _plain(TrainingSpec.model_json_schema(ref_template=_REF))}
    for kind in KINDS:
        definitions[kind] = _kind_schema(catalog, kind, definitions)
    head = ExperimentHead.model_json_schema(ref_template=_REF)
    chosen = head.pop("$defs")
    definitions.update({name: chosen[name] for name in ("SelectSpec", "TuningSpec")})
    properties = head["properties"]
    properties["task"] = _described("task", properties["task"])
    properties["tasks"] = {"type": "array", "items": {"$ref": "#/$defs/task"}}
    properties["fields"] = _described("field", properties["fields"])
    properties["training"] = _described("training", properties["training"])
    properties["analyses"] = {
        "anyOf": [{"$ref": "#/$defs/analysis"}, {"type": "array", "items": {"$ref": "#/$defs/analysis"}}],
        "description": properties["analyses"].get("description", ""),
    }
    head["required"] = [name for name in head.get("required", []) if name != "name"]
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **head, "$defs": definitions}
    resolved: dict[str, Any] = _with_references(schema)
    return resolved


def _with_references(schema: Any) -> Any:
    """Turn the marks that component fields leave into references to the definition of their kind."""
    if isinstance(schema, list):
        return [_with_references(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    plain = {key: _with_references(value) for key, value in schema.items() if key != COMPONENT_MARK}
    return {"$ref": f"#/$defs/{schema[COMPONENT_MARK]}", **plain} if COMPONENT_MARK in schema else plain


def _described(definition: str, old: dict[str, Any]) -> dict[str, Any]:
    return {"$ref": f"#/$defs/{definition}", "description": old.get("description", "")}


def _plain(schema: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in schema.items() if key != "$defs"}


def _kind_schema(catalog: Catalog, kind: str, definitions: dict[str, Any]) -> dict[str, Any]:
    """A name, a mapping with `name:` and options, or, where that stands for several, a list of these."""
    names, mappings = [], []
    for item in catalog.of_kind(kind):
        assert isinstance(item.entry, Entry)
        schema = item.entry.spec.model_json_schema(ref_template=_REF)
        definitions.update(schema.pop("$defs", {}))
        own_names = [item.entry.name, *item.entry.aliases]
        names += own_names
        properties = {"name": {"enum": own_names}, **schema.get("properties", {}), **_extra_keys(kind)}
        mapping = {**schema, "properties": properties, "required": ["name", *schema.get("required", [])]}
        mappings.append(_with_signals(mapping, item.entry) if isinstance(item.entry, TaskEntry) else mapping)
    if kind == "field":
        recipes = catalog.names("recipe")
        names += recipes
        mappings.append({"type": "object", "properties": {"name": {"enum": recipes}}, "required": ["name"]})
    one = {"anyOf": [{"enum": names}, *mappings]}
    return {"anyOf": [one, {"type": "array", "items": one}]} if kind in LISTED else one


def _extra_keys(kind: str) -> dict[str, Any]:
    if kind not in ("task", "field"):
        return {}
    label = {"label": {"type": "string", "description": "what tables call it"}}
    if kind == "task":
        return label
    return {**label, "training": {"$ref": "#/$defs/training", "description": "changes to the training of this field"}}


def _with_signals(mapping: dict[str, Any], entry: TaskEntry) -> dict[str, Any]:
    """The schema of a task with `signals`, which stands in place of the option that names one signal."""
    option = entry.signal_option
    if option not in mapping["properties"]:
        return mapping
    signals = {
        "type": "array",
        "items": {"type": "string"},
        "minItems": 1,
        "description": "several signals in one table: names, files, and patterns such as photos/*.png",
    }
    mapping = {**mapping, "properties": {**mapping["properties"], "signals": signals}}
    if option not in mapping["required"]:
        return {**mapping, "not": {"required": [option, "signals"]}}
    mapping["required"] = [name for name in mapping["required"] if name != option]
    return {**mapping, "oneOf": [{"required": [option]}, {"required": ["signals"]}]}
