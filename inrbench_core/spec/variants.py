"""Multiplying out: a list where a component goes stands for several specs."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from inrbench_core.api.entries import Entry
from inrbench_core.api.spec import ComponentOf
from inrbench_core.api.text import one_line
from inrbench_core.plugins.catalog import Catalog, LookupFailure
from inrbench_core.spec.yaml_io import YamlPath

# More than anyone can run.
MOST_VARIANTS = 10_000


@dataclass(frozen=True)
class Variant:
    """One of the values that a YAML value stands for.

    Args:
        value: plain data with no lists left where components go.
        origins: where in the YAML a part of the value comes from; () is the value itself.
        label: what a recipe or the user calls it, or "".
        training: the training defaults of the recipe it came from.
        places: the keys in which another component makes it another field than the recipe it came from.
    """

    value: Any
    origins: Mapping[YamlPath, YamlPath]
    label: str = ""
    training: Mapping[str, Any] = field(default_factory=dict)
    places: tuple[str, ...] = ()

    def origin(self, path: YamlPath) -> YamlPath:
        """The YAML path of a path within the value."""
        for length in range(len(path), -1, -1):
            if path[:length] in self.origins:
                return (*self.origins[path[:length]], *path[length:])
        return path

    def with_value(self, path: YamlPath, value: Any, origin: YamlPath) -> Variant:
        """A copy in which `path` holds `value`; a bare name on the way becomes a mapping."""
        new = replace(self, value=replaced(self.value, path, value), origins={**self.origins, path: origin})
        if any(_names_another(self.value.get(place), new.value.get(place)) for place in self.places):
            return replace(new, label="", training={}, places=())
        return new


def replaced(target: Any, path: YamlPath, value: Any) -> Any:
    """A copy of plain data in which `path` holds `value`; a bare name on the way becomes a mapping."""
    if not path:
        return value
    mapping = dict(target) if isinstance(target, Mapping) else {} if target is None else {"name": target}
    mapping[str(path[0])] = replaced(mapping.get(str(path[0])), path[1:], value)
    return mapping


def expand(
    catalog: Catalog, kind: str, value: Any, path: YamlPath, report: Callable[[YamlPath, str], None]
) -> list[Variant]:
    """All variants of a component's YAML value, in order.

    Args:
        catalog: where names are looked up.
        kind: of the component.
        value: the YAML value.
        path: where it stands.
        report: is told the path and the reason of what cannot be expanded.
    """
    if isinstance(value, list):
        if not value:
            report(path, f"the list is empty; name at least one {kind}")
        listed: list[Variant] = []
        for index, item in enumerate(value):
            listed += expand(catalog, kind, item, (*path, index), report)
            if len(listed) > MOST_VARIANTS:
                report(path, f"expands to more than {MOST_VARIANTS:,} combinations")
                return []
        return listed
    recipe_facts: dict[str, Any] = {}
    origins: dict[YamlPath, YamlPath] = {(): path}
    if kind == "field":
        name = value.get("name") if isinstance(value, Mapping) else value
        try:
            recipe = catalog.recipe(name) if isinstance(name, str) else None
        except LookupFailure:
            recipe = None
        if recipe is not None:
            changes = {key: item for key, item in value.items() if key != "name"} if isinstance(value, Mapping) else {}
            places = component_slots(catalog, kind, recipe.stands_for["name"])
            if not any(_names_another(recipe.stands_for.get(place), changes.get(place)) for place in places):
                recipe_facts = {
                    "label": recipe.name,
                    "training": dict(recipe.training),
                    "places": ("name", *places),
                }
            value = _merged(recipe.stands_for, changes)
    if not isinstance(value, Mapping):
        return [Variant(value, origins, **recipe_facts)]
    slots = component_slots(catalog, kind, value.get("name"))
    choices = {
        key: expand(catalog, slots[key], item, (*path, key), report) if key in slots else [Variant(item, {})]
        for key, item in value.items()
    }
    count = math.prod(len(choice) for choice in choices.values())
    if count > MOST_VARIANTS:
        report(path, f"its lists expand to {count:,} combinations; at most {MOST_VARIANTS:,}")
        return []
    variants = []
    for combination in itertools.product(*choices.values()):
        parts = dict(zip(choices, combination, strict=True))
        nested = {(key, *inner): outer for key, part in parts.items() for inner, outer in part.origins.items()}
        values = {key: part.value for key, part in parts.items()}
        variants.append(Variant(values, {**origins, **nested}, **recipe_facts))
    return variants


def _names_another(old: Any, new: Any) -> bool:
    """Whether a change puts another component into a place of a recipe, which then is that recipe no more."""
    return named(new) not in (None, named(old))


def named(value: Any) -> Any:
    """The name in a component's YAML value, which is a name or a mapping with one."""
    return value.get("name") if isinstance(value, Mapping) else value


def _merged(defaults: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """A recipe's mapping with changes; a nested mapping without a name changes a component's options."""
    merged = dict(defaults)
    for key, value in changes.items():
        old = merged.get(key)
        if isinstance(value, Mapping) and "name" not in value and isinstance(old, Mapping | str):
            merged[key] = {**(old if isinstance(old, Mapping) else {"name": old}), **value}
        else:
            merged[key] = value
    return merged


def component_slots(catalog: Catalog, kind: str, name: Any) -> dict[str, str]:
    """The spec fields of a component in which components go, with the kind of each."""
    try:
        entry = catalog.find(kind, name).entry
    except (LookupFailure, AttributeError):
        return {}
    assert isinstance(entry, Entry)
    return {
        field_name: marker.kind
        for field_name, info in entry.spec.model_fields.items()
        for marker in info.metadata
        if isinstance(marker, ComponentOf)
    }


def canonical(data: Any) -> str:
    """One text for equal plain data, whatever the order of its keys."""
    return json.dumps(data, sort_keys=True, separators=(",", ":"), default=str)


def flatten(data: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested mappings as one, with dotted keys."""
    flat: dict[str, Any] = {}
    for key, value in data.items():
        if isinstance(value, Mapping):
            flat.update(flatten(value, f"{prefix}{key}."))
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def tell_apart(labels: Sequence[str], data: Iterable[Mapping[str, Any]]) -> list[str]:
    """Labels in which equal ones are told apart by the options in which they differ, or else by numbers."""
    flats = [flatten(item) for item in data]
    members_of: dict[str, list[int]] = {}
    for index, label in enumerate(labels):
        members_of.setdefault(label, []).append(index)
    result = list(labels)
    for label, members in members_of.items():
        if len(members) == 1:
            continue
        keys = dict.fromkeys(key for index in members for key in flats[index])
        differing = [key for key in keys if len({repr(flats[index].get(key)) for index in members}) > 1]
        for index in members if differing else ():
            options = ", ".join(
                f"{key.rpartition('.')[2]}={flats[index][key]}" for key in differing if key in flats[index]
            )
            result[index] = one_line(f"{label} ({options})") if options else label
    return numbered(result)


def numbered(labels: Sequence[str]) -> list[str]:
    """Labels in which the second of equal ones ends with (2), the third with (3), and so on."""
    counts: dict[str, int] = {}
    taken, result = set(labels), []
    for label in labels:
        counts[label] = counts.get(label, 0) + 1
        number, new = counts[label], label
        while number > 1 and (new := f"{label} ({number})") in taken:
            number += 1
        counts[label] = number
        taken.add(new)
        result.append(new)
    return result
