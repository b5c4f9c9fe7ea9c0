"""The catalog: every entry of every loaded plugin, and the look-up of names in it."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any, TypeVar

import pluggy
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails, InitErrorDetails, PydanticCustomError

from inrbench_core.api.entries import ENTRY_TYPES, Entry, RecipeEntry
from inrbench_core.api.errors import InrbenchError
from inrbench_core.api.spec import Component
from inrbench_core.api.suggest import did_you_mean
from inrbench_core.plugins.discovery import normalise
from inrbench_core.plugins.failures import PluginFailure, one_line

M = TypeVar("M", bound=BaseModel)

_KEPT_TYPES: set[str] = {"unknown_component", "broken_plugin", "missing"}
# Of more names than these an error lists none.
MOST_NAMED = 12
_SCALAR_TYPES = {"literal_error", "int_type", "float_type", "bool_type", "string_type"}


@dataclass(frozen=True)
class Registered:
    """An entry and where it came from.

    Args:
        entry: the entry.
        distribution: the distribution, or the name of a plugin file.
        version: of the distribution.
        package: the top-level package or module that holds it.
        file: the plugin file, or None.
    """

    entry: Entry | RecipeEntry
    distribution: str
    version: str
    package: str = ""
    file: Path | None = None


class LookupFailure(Exception):
    """A name that stands for nothing, or for more than one thing.

    Args:
        message: one line.
        broken: it is there, but its plugin is broken.
    """

    def __init__(self, message: str, *, broken: bool = False) -> None:
        super().__init__(message)
        self.broken = broken


class Catalog:
    """All components by (kind, name); aliases count as names.

    Args:
        registered: entries with their distributions.
        failures: plugins and records that could not be used.
        manager: pluggy's manager, for life-cycle hooks and commands.
    """

    def __init__(
        self,
        registered: Sequence[Registered],
        failures: Sequence[PluginFailure],
        manager: pluggy.PluginManager,
    ) -> None:
        self.registered = sorted(registered, key=lambda item: (item.entry.kind, item.entry.name, item.distribution))
        self.failures = list(failures)
        self.manager = manager
        self._by_name: dict[tuple[str, str], list[Registered]] = defaultdict(list)
        for item in self.registered:
            for name in dict.fromkeys((item.entry.name, *item.entry.aliases)):
                self._by_name[_name_space(item.entry.kind), name].append(item)

    def of_kind(self, kind: str) -> list[Registered]:
        """The entries of one kind, sorted by name."""
        return [item for item in self.registered if item.entry.kind == kind]

    def names(self, kind: str) -> list[str]:
        """All names and aliases of one kind."""
        return [name for item in self.of_kind(kind) for name in (item.entry.name, *item.entry.aliases)]

    def rivals(self, item: Registered) -> list[Registered]:
        """Other entries that claim this one's name; the bare name then picks none of them."""
        return [other for other in self._by_name[_name_space(item.entry.kind), item.entry.name] if other is not item]

    def find(self, kind: str, name: str) -> Registered:
        """The entry of that name, or of `distribution:name`. Raises LookupFailure."""
        item = self._pick(kind, name)
        if item is None or item.entry.kind != kind:
            raise self._unknown(kind, name, name.rpartition(":")[2])
        return item

    def _pick(self, kind: str, name: str) -> Registered | None:
        """What the name stands for among all that shares the kind's names, if anything."""
        distribution, colon, bare = name.rpartition(":")
        found = self._by_name.get((_name_space(kind), bare), [])
        if colon:
            found = [item for item in found if item.distribution in (distribution, normalise(distribution))]
        if len(found) > 1:
            choices = " or ".join(f"'{item.distribution}:{bare}'" for item in found)
            raise LookupFailure(f"{kind} {bare!r} is claimed by several distributions: write {choices}")
        return found[0] if found else None

    def _unknown(self, kind: str, name: str, bare: str) -> LookupFailure:
        same = [item for item in self._by_name.get((_name_space(kind), bare), []) if item.entry.kind == kind]
        if same:
            choices = " or ".join(f"'{item.distribution}:{bare}'" for item in same)
            return LookupFailure(f"there is no {kind} {name!r}; write {choices}")
        for failure in self.failures:
            if failure.provides == (kind, bare):
                return LookupFailure(f"{kind} {bare!r} cannot be used: {failure.describe()}", broken=True)
        kinds = ("field", "recipe") if kind == "field" else (kind,)
        official = {name: home for its_kind in kinds for name, home in official_components()[its_kind].items()}
        home = official.get(bare)
        if home is not None:
            for failure in self.failures:
                if failure.distribution == home:
                    return LookupFailure(f"{kind} {bare!r} cannot be used: {failure.describe()}", broken=True)
            return LookupFailure(f"{kind} {bare!r} is in {home}, which is not loaded: pip install {home}")
        installed = {name for its_kind in kinds for name in self.names(its_kind)}
        elsewhere = [f"{article(other)} {other}" for other in ENTRY_TYPES if bare in self.names(other)]
        if elsewhere:
            hint = f"; that is {' and '.join(elsewhere)}"
        else:
            hint = did_you_mean(bare, installed | official.keys())
            if not hint and 0 < len(installed) <= MOST_NAMED:
                hint = f"; there are {', '.join(sorted(installed))}"
        message = f"no {kind} named {name!r}{hint}"
        if self.failures:
            others = ", ".join(sorted({failure.distribution for failure in self.failures}))
            message += f" (plugins that failed to load may hold it: {others})"
        return LookupFailure(message)

    def recipe(self, name: str) -> RecipeEntry | None:
        """The recipe of that name, or None. Raises LookupFailure if fields or other recipes claim the name as well."""
        item = self._pick("field", name)
        return item.entry if item is not None and isinstance(item.entry, RecipeEntry) else None

    def resolve(self, kind: str, value: Any, context: dict[str, Any] | None = None) -> Component:
        """The component that a YAML value stands for: a name, or a mapping with `name:`.

        Raises:
            pydantic.ValidationError: with paths relative to the value.
        """
        if isinstance(value, str):
            name, options = value, {}
        elif isinstance(value, Mapping):
            options = dict(value)
            name = options.pop("name", None)
        else:
            name = None
        if not isinstance(name, str):
            raise located_error(
                f"expected the name of {article(kind)} {kind}, or a mapping with 'name:', got {shorten(value)}"
            )
        try:
            item = self.find(kind, name)
        except LookupFailure as failure:
            error_type = "broken_plugin" if failure.broken else "unknown_component"
            path = () if isinstance(value, str) else ("name",)
            raise located_error(str(failure), path, error_type) from None
        assert isinstance(item.entry, Entry)
        try:
            spec = validate(item.entry.spec, options, {**(context or {}), "catalog": self})
        except ValidationError:
            raise
        except (Exception, SystemExit) as error:
            # A validator may raise ValueError only.
            message = f"{kind} {item.entry.name!r} of {item.distribution} raised {one_line(error)}"
            raise located_error(message, error_type="broken_plugin") from None
        picked_as = f"{item.distribution}:{item.entry.name}" if self.rivals(item) else ""
        return Component(item.entry, spec, item.distribution, item.version, picked_as)


def validate(model: type[M], data: Any, context: dict[str, Any]) -> M:
    """`model.model_validate`, with plainer words for unknown keys and with what was found there."""
    try:
        return model.model_validate(data, context=context)
    except ValidationError as error:
        problems: dict[tuple[tuple[str | int, ...], str], list[str]] = {}
        for problem in error.errors(include_url=False):
            kept = problem["type"] if problem["type"] in _KEPT_TYPES else "located"
            path = problem["loc"] if kept == "missing" else _within(data, problem["loc"])
            problems.setdefault((path, kept), []).append(_plain_words(model, problem))
        details = [
            _detail(" or ".join(dict.fromkeys(messages)), path, kept) for (path, kept), messages in problems.items()
        ]
        raise ValidationError.from_exception_data(model.__name__, details) from None


def _within(data: Any, location: tuple[str | int, ...]) -> tuple[str | int, ...]:
    """The part of a location that is in the data: pydantic adds the branches of unions to it."""
    for length, part in enumerate(location):
        try:
            data = data[part]
        except (KeyError, IndexError, TypeError):
            return location[:length]
    return location


def _plain_words(model: type[BaseModel], problem: ErrorDetails) -> str:
    location, message = problem["loc"], problem["msg"]
    if problem["type"] == "extra_forbidden":
        if len(location) > 1:
            return "unknown key"
        hint = did_you_mean(str(location[0]), model.model_fields)
        known = f"; known are {', '.join(model.model_fields)}" if model.model_fields else "; there are no options"
        return f"unknown key{hint or known}"
    if problem["type"] == "dict_type":
        return f"expected a mapping, got {shorten(problem['input'])}"
    if problem["type"] == "value_error":
        return str(problem["ctx"]["error"])
    if problem["type"] in {*_KEPT_TYPES, "located"}:
        return message
    message += f", got {shorten(problem['input'])}"
    if isinstance(problem["input"], list) and problem["type"] in _SCALAR_TYPES:
        message += "; a list expands in place of a component only (for an option: sweep)"
    return message


def located_error(message: str, path: tuple[str | int, ...] = (), error_type: str = "located") -> ValidationError:
    """A validation error of one line at a path."""
    return ValidationError.from_exception_data("spec", [_detail(message, path, error_type)])


def _detail(message: str, path: tuple[str | int, ...], error_type: str) -> InitErrorDetails:
    # The message travels as context, because braces in a template would be taken for fields.
    return {"type": PydanticCustomError(error_type, "{message}", {"message": message}), "loc": path, "input": None}


def shorten(value: Any) -> str:
    """A value as it may stand in an error message."""
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def check_plugin_files(files: Iterable[Path], place: str) -> None:
    """Raise InrbenchError if a plugin file is not there.

    Args:
        files: the plugin files.
        place: what the message begins with: where the user gave them.
    """
    for file in files:
        if not file.is_file():
            reason = "a folder" if file.is_dir() else "not a file" if file.exists() else "no such file"
            raise InrbenchError(f"{place} {file}: {reason}")


@cache
def official_components() -> dict[str, dict[str, str]]:
    """kind -> name -> distribution of the official components, to name what is not installed.

    The table is made from the plugins by `make official`, so core itself knows none by name.
    """
    text = (resources.files("inrbench_core.plugins") / "official.json").read_text(encoding="utf-8")
    table: dict[str, dict[str, str]] = json.loads(text)
    return {kind: table.get(kind, {}) for kind in ENTRY_TYPES}


def _name_space(kind: str) -> str:
    """Recipes stand where fields do, so that a name is taken for both."""
    return "field" if kind == "recipe" else kind


def article(word: str) -> str:
    """The indefinite article that goes with a word."""
    return "an" if word[0] in "aeiou" else "a"
