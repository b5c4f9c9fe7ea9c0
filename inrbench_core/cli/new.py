"""`inrbench new`: the files of a distribution of one's own, working from the start."""

from __future__ import annotations

import re
from importlib import resources
from pathlib import Path
from string import Template
from typing import Annotated

import typer
import yaml

import inrbench_core
from inrbench_core.api.errors import InrbenchError
from inrbench_core.api.suggest import did_you_mean
from inrbench_core.cli.common import get_catalog
from inrbench_core.cli.show import snippet

# What each kind's class is called after its name, and what its code imports beside inrbench.
KINDS = {
    "encoding": ("Encoding", ("pydantic>=2.9", "torch>=2.6")),
    "activation": ("Activation", ("pydantic>=2.9", "torch>=2.6")),
    "basis": ("Basis", ("pydantic>=2.9", "torch>=2.6")),
    "field": ("Field", ("pydantic>=2.9", "torch>=2.6")),
    "task": ("Problem", ("numpy>=1.26", "pydantic>=2.9", "torch>=2.6")),
}
NAME_PATTERN = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
LONGEST_NAME = 40


def new(
    kind: Annotated[str, typer.Argument(help="The kind: " + ", ".join(KINDS))],
    name: Annotated[str, typer.Argument(help="The component's name: a-z, 0-9 and single _ between, such as my_wave.")],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Where the new folder goes.")] = Path("."),
) -> None:
    """Write a distribution of your own with one component, ready to install and to change."""
    if kind not in KINDS:
        raise InrbenchError(f"no template for kind {kind!r}{did_you_mean(kind, KINDS) or '; for ' + ', '.join(KINDS)}")
    _check_name(kind, name)
    values = _values(kind, name)
    folder = out / values["distribution"]
    texts = {path: _template(source).substitute(values) for path, source in _files(kind, values["package"]).items()}
    try:
        folder.mkdir(parents=True)
        for path, text in texts.items():
            file = folder / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
    except FileExistsError as error:
        raise InrbenchError(f"{error.filename} is there already; nothing was written") from None
    except OSError as error:
        raise InrbenchError(f"cannot write {error.filename}: {error.strerror}") from None
    print(f"written: {folder}")
    print(f"next: pip install --editable {folder}")
    print(f"      inrbench show {kind} {name}")
    print(f"      inrbench check {values['distribution']}")
    print(f"then make it your own: {folder / 'src' / values['package'] / 'module.py'}")


def _check_name(kind: str, name: str) -> None:
    """Raises InrbenchError for a name that cannot be used, or that something has."""
    if not NAME_PATTERN.fullmatch(name) or len(name) > LONGEST_NAME:
        raise InrbenchError(
            f"the name {name!r} should be a letter a-z, then a-z, 0-9 and single _ between, "
            f"{LONGEST_NAME} characters at most"
        )
    if yaml.safe_load(name) != name:
        raise InrbenchError(f"{name!r} means something else in YAML, so a spec would have to quote it; choose another")
    for claimed in (f"{_camel(name)}Spec", _camel(name) + KINDS[kind][0]):
        if claimed in inrbench_core.__all__:
            raise InrbenchError(f"the name {name!r} would make a class {claimed}, which inrbench has; choose another")
    catalog = get_catalog()
    # Recipes stand where fields do.
    for item in [*catalog.of_kind(kind), *(catalog.of_kind("recipe") if kind == "field" else [])]:
        if name in (item.entry.name, *item.entry.aliases):
            raise InrbenchError(f"{kind} {name!r} is in {item.distribution} already; choose another name")


def _values(kind: str, name: str) -> dict[str, str]:
    """What the templates refer to."""
    suffix, dependencies = KINDS[kind]
    used = snippet({"kind": kind, "name": name, "parameters": []})
    return {
        "kind": kind,
        "name": name,
        "stem": _camel(name),
        "class_name": _camel(name) + suffix,
        "distribution": f"inrbench-{kind}-{name.replace('_', '-')}",
        "package": f"inrbench_{kind}_{name}",
        "entry_point": f"{kind}-{name.replace('_', '-')}",
        "dependencies": "".join(f', "{requirement}"' for requirement in dependencies),
        "snippet": "\n".join(f"    {line}" for line in used.splitlines()),
    }


def _files(kind: str, package: str) -> dict[str, str]:
    """Each file of the distribution and the template it is made from."""
    return {
        "pyproject.toml": "common/pyproject.toml",
        "README.md": "common/README.md",
        f"src/{package}/__init__.py": "common/__init__.py",
        f"src/{package}/plugin.py": f"{kind}/plugin.py",
        f"src/{package}/module.py": f"{kind}/module.py",
        "tests/test_conformance.py": "common/test_conformance.py",
    }


def _template(source: str) -> Template:
    file = resources.files(inrbench_core) / "cli" / "templates" / f"{source}.tmpl"
    return Template(file.read_text(encoding="utf-8"))


def _camel(name: str) -> str:
    return "".join(part.capitalize() for part in name.split("_"))
