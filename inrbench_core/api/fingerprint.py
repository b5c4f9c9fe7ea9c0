"""Fingerprints of code: equal while a package computes the same, whatever its prose says. Imports no torch."""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import os
import sys
import sysconfig
from collections.abc import Iterable, Iterator
from functools import cache
from importlib.machinery import ModuleSpec
from pathlib import Path

# Keyword arguments of `Field` and of entries that describe and do not compute.
PROSE = {"description", "reference", "formula"}
# What is no code, and what editors leave beside it.
_LEFT_OUT = {".pyc", ".pyo", ".pyi", ".md", ".typed", ".swp", ".swo", ".orig", ".rej", ".bak", ".tmp", ".log"}

# Folders that packages are installed to.
INSTALLED = {"site-packages", "dist-packages"}

# Top-level packages of all installed plugins, so that one which imports another counts with it.
plugin_packages: set[str] = set()
# The fingerprint that a package had when this process first asked for it, which was when it was imported.
_when_imported: dict[tuple[str, tuple[str, ...]], str] = {}


def package_fingerprint(package: str, only: tuple[str, ...] = ()) -> str:
    """The fingerprint of an importable top-level package or module, found without importing it.

    It covers the syntax trees of all its Python files without docstrings, comments, formatting, descriptions and hook
    implementations (what those return is in a run's options and targets), and all its other files as they are. What
    it imports of other plugins, and of packages that are not installed but imported from where they are developed,
    counts as well.

    Args:
        package: top-level name.
        only: sub-packages to take, such as ("api", "fit"); default all.

    Raises:
        ModuleNotFoundError: if there is no such package.
    """
    digest = hashlib.blake2b(digest_size=8)
    for name in [package] if only else _with_related(package):
        for relative, file in _files(name):
            if only and relative.partition("/")[0] not in only:
                continue
            digest.update(f"{name}/{relative}:{file_fingerprint(file)}\n".encode())
    return digest.hexdigest()


def imported_fingerprint(package: str, only: tuple[str, ...] = ()) -> str:
    """The fingerprint that a package had when this process first asked for it: of the code in memory, not on disk."""
    key = (package, only)
    if key not in _when_imported:
        _when_imported[key] = package_fingerprint(package, only)
    return _when_imported[key]


def source_fingerprint(folder: Path, files: Iterable[Path]) -> str:
    """The fingerprint of single files in or below a folder; hook implementations in them count as well."""
    parts = sorted(f"{file.relative_to(folder).as_posix()}:{file_fingerprint(file, hooks=True)}" for file in files)
    return hashlib.blake2b("\n".join(parts).encode(), digest_size=8).hexdigest()


def imported_names(file: Path) -> set[str]:
    """Top-level names that a Python file imports; none if it cannot be parsed."""
    status = file.stat()
    return set(_imported_names(file, status.st_mtime_ns, status.st_size))


@cache
def _imported_names(file: Path, mtime_ns: int, size: int) -> frozenset[str]:
    names: set[str] = set()
    for node in ast.walk(_parsed(file) or ast.Module([], [])):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module.partition(".")[0])
    return frozenset(names)


def file_fingerprint(file: Path, *, hooks: bool = False) -> str:
    """The fingerprint of one file, see `package_fingerprint`."""
    status = file.stat()
    # A notebook outlives edits of plugins, so what was computed holds for this very file only.
    return _file_fingerprint(file, hooks, status.st_mtime_ns, status.st_size)


@cache
def _file_fingerprint(file: Path, hooks: bool, mtime_ns: int, size: int) -> str:
    tree = _parsed(file) if file.suffix == ".py" else None
    try:
        content = file.read_bytes() if tree is None else "\x1f".join(_tokens(tree, hooks)).encode()
    except RecursionError:
        # An expression of a thousand terms.
        content = file.read_bytes()
    return hashlib.blake2b(content, digest_size=16).hexdigest()


def _parsed(file: Path) -> ast.Module | None:
    try:
        return ast.parse(file.read_bytes())
    except (SyntaxError, ValueError, RecursionError):
        return None


def _with_related(package: str) -> list[str]:
    found, queue = {package}, [package]
    while queue:
        for _, file in _files(queue.pop()):
            if file.suffix == ".py":
                new = {name for name in imported_names(file) - found if counts_where_imported(name)}
                found |= new
                queue += sorted(new)
    return sorted(found)


@cache
def _is_developed_here(name: str) -> bool:
    """Whether a module is imported from where it is developed, and not from where packages are installed."""
    spec = _find(name)
    if spec is None:
        return False
    places = [spec.origin] if spec.origin else list(spec.submodule_search_locations or [])
    return any(os.path.isabs(place) and not is_installed(place) for place in places)


def is_installed(place: str) -> bool:
    """Whether a path is one of Python itself, or one that packages are installed to."""
    path = Path(os.path.realpath(place))
    if not INSTALLED.isdisjoint(path.parts):
        return True
    return any(path.is_relative_to(os.path.realpath(sysconfig.get_path(kind))) for kind in ("stdlib", "platstdlib"))


def counts_where_imported(name: str) -> bool:
    """Whether a top-level module counts for the packages that import it: another plugin, or one developed here."""
    if name == "inrbench_core" or name in sys.stdlib_module_names:
        return False
    return name in plugin_packages or _is_developed_here(name)


def is_importable(package: str) -> bool:
    """Whether there is a top-level package or module of that name; it is not imported."""
    return _find(package) is not None


def _find(package: str) -> ModuleSpec | None:
    try:
        return importlib.util.find_spec(package)
    except ValueError:
        # It is imported already, and was made by hand.
        return None


def _files(package: str) -> list[tuple[str, Path]]:
    """The files of an importable package with their paths within it, in a fixed order."""
    spec = _find(package)
    if spec is None:
        raise ModuleNotFoundError(f"no module named {package!r}")
    if not spec.submodule_search_locations:
        return [(f"{package}.py", Path(spec.origin))] if spec.origin else []
    folders = [Path(folder) for folder in spec.submodule_search_locations]
    return sorted(
        {file.relative_to(folder).as_posix(): file for folder in folders for file in code_files(folder)}.items()
    )


def code_files(folder: Path) -> Iterator[Path]:
    """The files of a package that may decide what it computes: Python files, and data beside them."""
    for file in folder.rglob("*"):
        relative = file.relative_to(folder)
        hidden = any(part.startswith(".") or part == "__pycache__" for part in relative.parts)
        if not hidden and file.suffix not in _LEFT_OUT and not file.name.endswith("~") and file.is_file():
            yield file


def _tokens(node: ast.AST, hooks: bool) -> Iterator[str]:
    """The tree as a flat text, without what is empty: Python versions differ in the empty fields that they list."""
    yield type(node).__name__
    for name, value in ast.iter_fields(node):
        if name in {"ctx", "type_comment", "kind"}:
            continue
        items = value if isinstance(value, list) else [value]
        if name == "body" and isinstance(value, list):
            items = _computing(node, value, hooks)
        elif name == "keywords" and _describes(node):
            items = [item for item in items if item.arg not in PROSE]
        for item in items:
            if isinstance(item, ast.AST):
                yield f"{name}("
                yield from _tokens(item, hooks)
                yield ")"
            # In a list it marks a place: {**a, "b": c} has the keys [None, "b"].
            elif item is not None or isinstance(value, list):
                yield f"{name}={item!r}"


def _describes(node: ast.AST) -> bool:
    """Whether it is a call of pydantic's `Field` or of an entry, of which some arguments are prose."""
    called = node.func if isinstance(node, ast.Call) else None
    name = str(getattr(called, "id", getattr(called, "attr", "")))
    return name == "Field" or name.endswith("Entry")


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
