"""Fingerprints of code: equal while a package computes the same, whatever its prose says. Imports no torch."""

from __future__ import annotations

import ast
import hashlib
import importlib.util
from collections.abc import Collection, Iterable, Iterator
from functools import cache
from pathlib import Path

# Keyword arguments that describe and do not compute.
PROSE = {"description", "reference", "formula", "licence"}
_LEFT_OUT = {".pyc", ".pyo", ".pyi", ".md", ".typed"}


def package_fingerprint(package: str, only: tuple[str, ...] = (), related: frozenset[str] = frozenset()) -> str:
    """The fingerprint of an importable top-level package or module, found without importing it.

    It covers the syntax trees of all its Python files without docstrings, comments, formatting, descriptions and hook
    implementations (what those return is in a run's options and targets), and all its other files as they are.

    Args:
        package: top-level name.
        only: sub-packages to take, such as ("api", "fit"); default all.
        related: other top-level packages that count as well where this one imports them.

    Raises:
        ModuleNotFoundError: if there is no such package.
    """
    digest = hashlib.blake2b(digest_size=8)
    for name in _with_related(package, related):
        for relative, file in _files(name):
            if only and relative.partition("/")[0] not in only:
                continue
            digest.update(f"{name}/{relative}:{file_fingerprint(file)}\n".encode())
    return digest.hexdigest()


def source_fingerprint(files: Iterable[Path]) -> str:
    """The fingerprint of single Python files, whose hook implementations count as well."""
    parts = [f"{file.name}:{file_fingerprint(file, hooks=True)}" for file in files]
    return hashlib.blake2b("\n".join(parts).encode(), digest_size=8).hexdigest()


def imported_names(file: Path) -> set[str]:
    """Top-level names that a Python file imports; none if it cannot be parsed."""
    names = set()
    for node in ast.walk(_parsed(file) or ast.Module([], [])):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module.partition(".")[0])
    return names


def file_fingerprint(file: Path, *, hooks: bool = False) -> str:
    """The fingerprint of one file, see `package_fingerprint`."""
    status = file.stat()
    # A notebook outlives edits of plugins, so what was computed holds for this very file only.
    return _file_fingerprint(file, hooks, status.st_mtime_ns, status.st_size)


@cache
def _file_fingerprint(file: Path, hooks: bool, mtime_ns: int, size: int) -> str:
    tree = _parsed(file) if file.suffix == ".py" else None
    content = file.read_bytes() if tree is None else "\x1f".join(_tokens(tree, hooks)).encode()
    return hashlib.blake2b(content, digest_size=16).hexdigest()


def _parsed(file: Path) -> ast.Module | None:
    try:
        return ast.parse(file.read_bytes())
    except (SyntaxError, ValueError, RecursionError):
        return None


def _with_related(package: str, related: Collection[str]) -> list[str]:
    found, queue = {package}, [package]
    while queue and related:
        for _, file in _files(queue.pop()):
            if file.suffix == ".py":
                new = (imported_names(file) & set(related)) - found
                found |= new
                queue += sorted(new)
    return sorted(found)


def _files(package: str) -> list[tuple[str, Path]]:
    """The files of a package with their paths within it, in a fixed order."""
    spec = importlib.util.find_spec(package)
    if spec is None:
        raise ModuleNotFoundError(f"no module named {package!r}")
    if not spec.submodule_search_locations:
        return [(f"{package}.py", Path(spec.origin))] if spec.origin else []
    found = {}
    for folder in spec.submodule_search_locations:
        for file in Path(folder).rglob("*"):
            relative = file.relative_to(folder)
            if file.suffix in _LEFT_OUT or "__pycache__" in relative.parts or not file.is_file():
                continue
            found[relative.as_posix()] = file
    return sorted(found.items())


def _tokens(node: ast.AST, hooks: bool) -> Iterator[str]:
    """The tree as a flat text, without what is empty: Python versions differ in the empty fields that they list."""
    yield type(node).__name__
    for name, value in ast.iter_fields(node):
        if name in {"ctx", "type_comment", "kind"}:
            continue
        items = value if isinstance(value, list) else [value]
        if name == "body" and isinstance(value, list):
            items = _computing(node, value, hooks)
        elif name == "keywords":
            items = [item for item in items if item.arg not in PROSE]
        for item in items:
            if isinstance(item, ast.AST):
                yield f"{name}("
                yield from _tokens(item, hooks)
                yield ")"
            elif item is not None:
                yield f"{name}={item!r}"


def _computing(node: ast.AST, body: list[ast.stmt], hooks: bool) -> list[ast.stmt]:
    documented = isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
    first = body[0] if body and documented else None
    if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str):
        body = body[1:]
    return body if hooks else [item for item in body if not _is_hook(item)]


def _is_hook(node: ast.stmt) -> bool:
    return isinstance(node, ast.FunctionDef) and any(
        isinstance(mark, ast.Name) and mark.id == "hookimpl" for mark in node.decorator_list
    )
