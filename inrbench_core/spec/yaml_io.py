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

# More than any spec holds; a few lines of aliases of aliases can stand for billions.
MOST_VALUES = 100_000
# Plain data only: dates, binary data and sets are no part of a spec.
_PLAIN_TAGS = {_TAG + name for name in ("null", "bool", "int", "float", "str", "seq", "map", "merge")}
MOST_DIGITS = 18


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
        return f"{where}: {path}{problem.message}"


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
        if not stat.S_ISREG(file.stat().st_mode):
            raise SpecError(file, [SpecProblem(0, "", "not a file" if not file.is_dir() else "a folder, not a file")])
        text = file.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise SpecError(file, [SpecProblem(0, "", "no such file")]) from None
    except (OSError, ValueError, RuntimeError) as error:
        raise SpecError(file, [SpecProblem(0, "", f"not readable: {error}")]) from None
    lines: dict[YamlPath, int] = {}
    data = _constructed(file, text, lines)
    return Document(file, text, data, lines)


def document_of(data: Mapping[str, Any]) -> Document:
    """A spec that is not in a file: problems are told by their paths alone."""
    return Document(Path("spec"), yaml.safe_dump(dict(data), sort_keys=False), dict(data), {})


def _constructed(file: Path, text: str, lines: dict[YamlPath, int]) -> Any:
    try:
        loader = _Loader(text)
    except yaml.YAMLError as error:
        raise SpecError(file, [_syntax_problem(error, text)]) from None
    try:
        node = loader.get_single_node()
        if node is None:
            raise _problem(file, "the file is empty; `inrbench show task image` prints a task to start from")
        if _size(node, frozenset(), {}) > MOST_VALUES:
            raise _problem(file, f"it holds more than {MOST_VALUES:,} values, with its aliases written out")
        # Constructing flattens `<<` merges in place, so look for duplicates before.
        if problems := _unusable(node, (), frozenset()):
            raise SpecError(file, problems)
        data = loader.construct_document(node)
        _mark(node, (), lines, frozenset())
    except yaml.YAMLError as error:
        raise SpecError(file, [_syntax_problem(error, text)]) from None
    except RecursionError:
        raise _problem(file, "it is nested too deeply") from None
    except ValueError as error:
        raise _problem(file, f"a value is not readable: {error}") from None
    finally:
        loader.dispose()
    return data


def parse_value(text: str) -> Any:
    """The YAML value of a text on the command line, by the rules for files. Raises ValueError if it is none."""
    try:
        node = yaml.compose(text, _Loader)
        problems = [] if node is None else _unusable(node, (), frozenset())
        if not problems:
            return yaml.load(text, _Loader)
    except (yaml.YAMLError, RecursionError, ValueError):
        raise ValueError(f"not valid YAML: {text!r}") from None
    raise ValueError(problems[0].message)


def _problem(file: Path, message: str) -> SpecError:
    return SpecError(file, [SpecProblem(1, "", message)])


def _children(node: yaml.Node) -> list[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        return [part for pair in node.value for part in pair]
    return list(node.value) if isinstance(node, yaml.SequenceNode) else []


def _size(node: yaml.Node, above: frozenset[int], known: dict[int, int]) -> int:
    """How many values a node stands for, each alias counted as what it refers to."""
    if id(node) in above:
        return 0
    if id(node) not in known:
        within = above | {id(node)}
        known[id(node)] = 1 + sum(_size(child, within, known) for child in _children(node))
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
