"""`inrbench new`: the files of a distribution of one's own, working from the start."""

from __future__ import annotations

import datetime
import re
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from string import Template
from typing import Annotated

import typer
import yaml

import inrbench_core
from inrbench_core.api.entries import ENTRY_TYPES
from inrbench_core.api.errors import InrbenchError
from inrbench_core.api.suggest import did_you_mean
from inrbench_core.cli.common import emit, get_catalog
from inrbench_core.cli.show import snippet

SPEC, TORCH = "pydantic>=2.9", "torch>=2.6"
# What each kind's class is called after its name ("": it has none), and what its code needs beside inrbench.
KINDS: dict[str, tuple[str, tuple[str, ...]]] = {
    "encoding": ("Encoding", (SPEC, TORCH)),
    "activation": ("Activation", (SPEC, TORCH)),
    "basis": ("Basis", (SPEC, TORCH)),
    "field": ("Field", (SPEC, TORCH)),
    "recipe": ("", ("inrbench-activation-classic", "inrbench-encoding-fourier", "inrbench-field-mlp")),
    "task": ("Problem", ("numpy>=1.26", SPEC, TORCH)),
    "optimizer": ("Optimizer", (SPEC, TORCH)),
    "analysis": ("Analysis", (SPEC, TORCH)),
    "executor": ("Executor", (SPEC,)),
    "reporter": ("", (SPEC,)),
    "logger": ("", ()),
    "command": ("", ("typer>=0.15.4",)),
}
NAME_PATTERN = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
LONGEST_NAME = 40


def new(
    kind: Annotated[str, typer.Argument(help="The kind: " + ", ".join(KINDS))],
    name: Annotated[str, typer.Argument(help="The component's name: a-z, 0-9 and single _ between, such as my_wave.")],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Where the new folder goes.")] = Path("."),
) -> None:
    """Write a distribution of your own with one component, or with hooks, ready to install and to change."""
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
        raise InrbenchError(f"{error.filename} already exists; nothing was written") from None
    except OSError as error:
        raise InrbenchError(f"cannot write {error.filename}: {error.strerror}") from None
    lines = [f"written: {folder}", f"next: pip install --editable {folder}"]
    if kind in ENTRY_TYPES:
        lines.append(f"      inrbench show {kind} {name}")
    lines.append(f"      inrbench check {values['distribution']}")
    # The module is the last of its kind's own files, and where most of the work is.
    own = [path for path in texts if path.startswith("src/") and not path.endswith("__init__.py")]
    lines.append(f"then make it your own: {folder / own[-1]}")
    emit("".join(f"{line}\n" for line in lines))


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
    if kind == "command" and _dashed(name) in _commands():
        raise InrbenchError(f"there is a command {_dashed(name)!r} already; choose another name")
    catalog = get_catalog()
    # Recipes stand where fields do.
    kinds = ("field", "recipe") if kind in ("field", "recipe") else (kind,)
    for item in (item for same in kinds for item in catalog.of_kind(same)):
        if name in (item.entry.name, *item.entry.aliases):
            raise InrbenchError(f"{item.entry.kind} {name!r} is in {item.distribution} already; choose another name")


def _commands() -> list[str | None]:
    """The names of core's commands and of those that plugins add."""
    # Here, because the application imports this module.
    from inrbench_core.cli.app import build_app

    return [command.name for command in build_app().registered_commands]


def _values(kind: str, name: str) -> dict[str, str]:
    """What the templates refer to."""
    suffix, dependencies = KINDS[kind]
    distribution = f"inrbench-{kind}-{_dashed(name)}"
    ours = _next_minor_excluded(inrbench_core.__version__)
    needed = [f"inrbench{ours}", *(item + ours if item.startswith("inrbench-") else item for item in dependencies)]
    return {
        "kind": kind,
        "name": name,
        "stem": _camel(name),
        "class_name": _camel(name) + suffix,
        "distribution": distribution,
        "package": f"inrbench_{kind}_{name}",
        "entry_point": f"{kind}-{_dashed(name)}",
        "dependencies": ", ".join(f'"{requirement}"' for requirement in needed),
        "command": _dashed(name),
        "year": str(datetime.date.today().year),
        "use": _use(kind, name, distribution),
    }


def _use(kind: str, name: str, distribution: str) -> str:
    """How the README says that it is used."""
    if kind == "logger":
        return (
            f"It is at work as soon as it is installed; each experiment has its events in `{name}.jsonl` among its\n"
            f"results. `INRBENCH_DISABLE={distribution}` keeps it quiet."
        )
    where = "In a spec"
    used = snippet({"kind": kind, "name": name, "parameters": []})
    if kind in ("command", "reporter"):
        where = "On the command line"
        used = f"inrbench {_dashed(name)} results/quickstart" if kind == "command" else used
    return "\n".join([f"{where}:", "", *(f"    {line}" for line in used.splitlines())])


def _next_minor_excluded(version: str) -> str:
    """The bounds that a plugin written for this version of inrbench asks for."""
    major, minor, *_ = version.split(".")
    return f">={major}.{minor},<{major}.{int(minor) + 1}"


def _files(kind: str, package: str) -> dict[str, str]:
    """Each file of the distribution and the template it is made from."""
    own = [name for name in ("plugin.py", "module.py") if _template_file(f"{kind}/{name}").is_file()]
    return {
        "pyproject.toml": "common/pyproject.toml",
        "LICENSE": "common/LICENSE",
        "README.md": "common/README.md",
        f"src/{package}/__init__.py": "common/__init__.py",
        **{f"src/{package}/{name}": f"{kind}/{name}" for name in own},
        "tests/test_conformance.py": "common/test_conformance.py",
    }


def _template(source: str) -> Template:
    return Template(_template_file(source).read_text(encoding="utf-8"))


def _template_file(source: str) -> Traversable:
    return resources.files(inrbench_core) / "cli" / "templates" / f"{source}.tmpl"


def _dashed(name: str) -> str:
    return name.replace("_", "-")


def _camel(name: str) -> str:
    return "".join(part.capitalize() for part in name.split("_"))
