"""YAML with line numbers, floats as people write them, and no silent duplicates."""

from __future__ import annotations

import re
import stat
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from inrbench_core.api.errors import InrbenchError
from inrbench_core.api.text import one_line
from inrbench_core.plugins.catalog import shorten
from inrbench_core.spec.plain_data import MOST_DIGITS, MOST_LEVELS, MOST_VALUES, plain_data

YamlPath = tuple[str | int, ...]

_Base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Loader(_Base):  # type: ignore[misc]
    """A safe loader that reads numbers as people write them: 1e-3 is one, 010, 1:30 and 2026-01-01 are not."""


_TAG = "tag:yaml.org,2002:"
_OWN_RULES = {
    "int": r"[-+]?(0|[1-9][\d_]*)$",
    "float": r"([-+]?(\d[\d_]*\.[\d_]*|\.\d[\d_]*)([eE][-+]?\d+)?|[-+]?\d[\d_]*[eE][-+]?\d+"
    r"|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN))$",
}
_Loader.yaml_implicit_resolvers = {
    first: [rule for rule in rules if rule[0].removeprefix(_TAG) not in {*_OWN_RULES, "timestamp"}]
    for first, rules in _Base.yaml_implicit_resolvers.items()
}
for _name, _rule in _OWN_RULES.items():
    _Loader.add_implicit_resolver(_TAG + _name, re.compile(_rule), list("-+.0123456789"))

MOST_BYTES = 4_000_000
# Plain data only: dates, binary data and sets are no part of a spec.
_NUMBER_TAGS = {_TAG + name for name in ("bool", "int", "float")}
_PLAIN_TAGS = _NUMBER_TAGS | {_TAG + name for name in ("null", "str", "seq", "map", "merge")}
# Of a message; a value of a megabyte tells no more.
MOST_CHARACTERS = 1000


@dataclass(frozen=True, order=True)
class SpecProblem:
    """One thing wrong with a spec.

    Args:
        line: line in the file, from 1; 0 if it belongs to no line.
        path: where in the spec, such as "fields[0].encoding".
        message: what is wrong and what to do.
        broken: the cause is a broken plugin, not the spec.
    """

    line: int
    path: str
    message: str
    broken: bool = field(default=False, compare=False)


class SpecError(InrbenchError):
    """A spec that cannot be used; `problems` holds every reason, `str()` one line for each."""

    def __init__(self, file: Path | str, problems: list[SpecProblem]) -> None:
        self.file = file
        self.problems = sorted(set(problems))
        super().__init__("\n".join(self._line(problem) for problem in self.problems))

    @property
    def broken(self) -> bool:
        """Whether a broken plugin is the cause of all of it."""
        return all(problem.broken for problem in self.problems)

    def _line(self, problem: SpecProblem) -> str:
        where = f"{self.file}:{problem.line}" if problem.line else str(self.file)
        path = f"{problem.path}: " if problem.path else ""
        # What is wrong may be a key or a file's name with a line break in it.
        line = one_line(f"{where}: {path}{problem.message}")
        return line if len(line) <= MOST_CHARACTERS else f"{line[:MOST_CHARACTERS]}..."


@dataclass(frozen=True)
class Document:
    """A YAML file's data, and the line of each value in it.

    Args:
        file: as the user named it; for data that comes from no file, what messages call it.
        text: the whole text.
        data: plain Python data.
        lines: line of each path, from 1; for a key of a mapping, the line of the key.
    """

    file: Path
    text: str
    data: Any
    lines: dict[YamlPath, int]

    @property
    def folder(self) -> Path:
        """The folder that relative paths are relative to."""
        return self.file.resolve().parent if self.lines else Path.cwd()

    def problem(self, path: YamlPath, message: str, *, broken: bool = False) -> SpecProblem:
        """A problem with the value at a path."""
        return SpecProblem(self.line(path), show_path(path), message, broken)

    def line(self, path: YamlPath) -> int:
        """The line of the path, or of the nearest enclosing value in the file; 0 where there is no file."""
        if not self.lines:
            return 0
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)


def show_path(path: YamlPath) -> str:
    """A path as people write it: fields[0].encoding."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text


def load_yaml(file: Path) -> Document:
    """Read a YAML file.

    Raises:
        SpecError: if it is missing, empty, not YAML, has a key twice, or holds more than plain data.
    """
    try:
        status = file.stat()
        if not stat.S_ISREG(status.st_mode):
            raise SpecError(file, [SpecProblem(0, "", "not a file" if not file.is_dir() else "a folder, not a file")])
        if status.st_size > MOST_BYTES:
            raise SpecError(file, [SpecProblem(0, "", f"larger than {MOST_BYTES / 1e6:.0f} MB")])
        text = file.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise SpecError(file, [SpecProblem(0, "", "no such file")]) from None
    except (OSError, ValueError, RuntimeError) as error:
        raise SpecError(file, [SpecProblem(0, "", f"not readable: {error}")]) from None
    lines: dict[YamlPath, int] = {}
    try:
        data = _constructed(text, lines)
    except _UnusableError as error:
        raise SpecError(file, error.problems) from None
    if not lines:
        message = "the file is empty; `inrbench show task image` prints a task to start from"
        raise SpecError(file, [SpecProblem(1, "", message)])
    return Document(file, text, data, lines)


def document_of(data: Mapping[str, Any]) -> Document:
    """A spec that is not in a file: problems are told by their paths alone.

    Raises:
        SpecError: if it holds more than plain data, numpy's numbers and paths.
    """
    file, problems = Path("spec"), list[SpecProblem]()
    plain = plain_data(data, lambda path, message: problems.append(SpecProblem(0, show_path(path), message)))
    if problems:
        raise SpecError(file, problems)
    return Document(file, yaml.safe_dump(plain, sort_keys=False), plain, {})


def parse_value(text: str) -> Any:
    """The YAML value of a text on the command line, by the rules for files. Raises ValueError if it is none."""
    try:
        return _constructed(text, {})
    except _UnusableError as error:
        message = error.problems[0].message
        raise ValueError(f"not valid YAML: {text!r}" if error.syntax else message) from None


class _UnusableError(Exception):
    """Text that is not YAML, or no plain data."""

    def __init__(self, problems: list[SpecProblem], *, syntax: bool = False) -> None:
        self.problems = problems
        self.syntax = syntax


def _constructed(text: str, lines: dict[YamlPath, int]) -> Any:
    """The data of a YAML text, None if it is empty; fills in `lines`."""
    try:
        _check_extent(text)
        loader = _Loader(text)
        try:
            node = loader.get_single_node()
            if node is None:
                return None
            size, levels = _extent(node, frozenset(), {})
            if size > MOST_VALUES or levels > MOST_LEVELS:
                raise _too_much(1, size)
            # Constructing flattens `<<` merges in place, so look for duplicates before.
            if problems := _unusable(node, (), frozenset()):
                raise _UnusableError(problems)
            data = loader.construct_document(node)
        finally:
            loader.dispose()
    except yaml.YAMLError as error:
        raise _UnusableError([_syntax_problem(error, text)], syntax=True) from None
    except ValueError as error:
        # Of the command line: characters that no file holds.
        raise _UnusableError([SpecProblem(1, "", f"not readable: {error}")], syntax=True) from None
    _mark(node, (), lines, frozenset())
    return data


def _check_extent(text: str) -> None:
    """Raise if the text is too much to be composed: parsing alone takes neither recursion nor memory."""
    values = levels = 0
    for event in yaml.parse(text, _Loader):
        if isinstance(event, yaml.CollectionEndEvent):
            levels -= 1
        elif isinstance(event, yaml.NodeEvent):
            values += 1
            levels += isinstance(event, yaml.CollectionStartEvent)
        if values > MOST_VALUES or levels > MOST_LEVELS:
            raise _too_much(event.start_mark.line + 1 if event.start_mark else 1, values)


def _too_much(line: int, values: int) -> _UnusableError:
    message = f"nested more than {MOST_LEVELS} levels deep"
    if values > MOST_VALUES:
        message = f"it holds more than {MOST_VALUES:,} values, with its aliases written out"
    return _UnusableError([SpecProblem(line, "", message)])


def _children(node: yaml.Node) -> list[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        return [part for pair in node.value for part in pair]
    return list(node.value) if isinstance(node, yaml.SequenceNode) else []


def _extent(node: yaml.Node, above: frozenset[int], known: dict[int, tuple[int, int]]) -> tuple[int, int]:
    """How many values a node stands for and how deep they go, each alias counted as what it refers to."""
    if id(node) in above:
        return 0, 0
    if id(node) not in known:
        within = above | {id(node)}
        inner = [_extent(child, within, known) for child in _children(node)]
        deepest = max((levels for _, levels in inner), default=0)
        known[id(node)] = 1 + sum(size for size, _ in inner), deepest + isinstance(node, yaml.CollectionNode)
    return known[id(node)]


def _unusable(node: yaml.Node, path: YamlPath, above: frozenset[int]) -> list[SpecProblem]:
    """What a spec cannot hold: keys that are there twice or are no text, tags beyond plain data, endless aliases."""
    line = node.start_mark.line + 1
    if id(node) in above:
        return [SpecProblem(line, show_path(path), "an alias refers to what encloses it")]
    if node.tag not in _PLAIN_TAGS:
        tag = node.tag.replace(_TAG, "!!")
        return [SpecProblem(line, show_path(path), f"values tagged {tag} are not supported; write text or numbers")]
    if node.tag == f"{_TAG}int" and len(node.value.lstrip("+-")) > MOST_DIGITS:
        return [SpecProblem(line, show_path(path), f"a whole number has at most {MOST_DIGITS} digits")]
    if node.tag in _NUMBER_TAGS and not _is_readable(node):
        tag, text = node.tag.replace(_TAG, "!!"), shorten(node.value)
        return [SpecProblem(line, show_path(path), f"{text} is not readable as {tag}")]
    above = above | {id(node)}
    problems = []
    if isinstance(node, yaml.MappingNode):
        seen: dict[Hashable, int] = {}
        for key, value in node.value:
            at = key.start_mark.line + 1
            if key.tag not in {f"{_TAG}str", f"{_TAG}merge"}:
                problems.append(SpecProblem(at, show_path(path), f"a key has to be text{_quoted(key)}"))
                continue
            name = str(key.value)
            if name in seen and name != "<<":
                message = f"duplicate key; it is already on line {seen[name]}"
                problems.append(SpecProblem(at, show_path((*path, name)), message))
            seen[name] = at
            problems += _unusable(value, (*path, name), above)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            problems += _unusable(value, (*path, index), above)
    return problems


def _is_readable(node: yaml.Node) -> bool:
    """Whether a number or a switch is one, in spite of a tag such as !!int before what is none."""
    try:
        yaml.constructor.SafeConstructor().construct_object(node)
    except (ValueError, LookupError):
        return False
    return True


def _quoted(key: yaml.Node) -> str:
    return f": write '{key.value}' in quotes" if isinstance(key, yaml.ScalarNode) and len(key.value) < 40 else ""


def _mark(node: yaml.Node, path: YamlPath, lines: dict[YamlPath, int], above: frozenset[int]) -> None:
    lines.setdefault(path, node.start_mark.line + 1)
    if id(node) in above:
        return
    above = above | {id(node)}
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            lines[(*path, str(key.value))] = key.start_mark.line + 1
            _mark(value, (*path, str(key.value)), lines, above)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            _mark(value, (*path, index), lines, above)


def _syntax_problem(error: yaml.YAMLError, text: str) -> SpecProblem:
    mark = getattr(error, "problem_mark", None)
    line = mark.line + 1 if mark is not None else 1
    rows = text.splitlines()
    if mark is not None and line <= len(rows) and "\t" in rows[line - 1][: mark.column + 1]:
        return SpecProblem(line, "", "a tab indents this line; YAML allows spaces only")
    reason = getattr(error, "problem", None) or str(error)
    return SpecProblem(line, "", f"not valid YAML: {' '.join(reason.split())}")
