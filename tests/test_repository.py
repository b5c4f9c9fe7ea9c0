"""What holds for the repository as a whole."""

from __future__ import annotations

import ast
import email
import importlib.util
import json
import subprocess
import sys
import tomllib
import zipfile
from collections import defaultdict
from pathlib import Path
from string import Template

import pytest
import torch
from flit_core.wheel import make_wheel_in
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

import inrbench_core
from inrbench_core.api.entries import ENTRY_TYPES
from inrbench_core.api.problem import SeedStreams
from inrbench_core.fit import build_model
from inrbench_core.plugins.catalog import Catalog, official_components
from inrbench_core.runs.execute import prepare
from inrbench_core.runs.plan import make_plan
from inrbench_core.runs.run import FitRun
from inrbench_core.spec.builder import load_experiment
from inrbench_core.testing.hook_checks import plugin_hooks

REPOSITORY = Path(__file__).parent.parent
PLUGINS = sorted((REPOSITORY / "plugins").glob("*/pyproject.toml"))
CORE = REPOSITORY / "pyproject.toml"
TEMPLATES = REPOSITORY / "inrbench_core" / "cli" / "templates"
SPECS = sorted((REPOSITORY / "specs").rglob("*.yaml"))


@pytest.mark.parametrize("spec", SPECS, ids=lambda path: path.stem)
def test_every_spec_of_the_repository_is_valid(spec: Path, catalog: Catalog):
    assert load_experiment(spec, catalog).boards


@pytest.mark.parametrize("project", PLUGINS, ids=lambda path: path.parent.name)
def test_every_plugin_is_complete_installed_and_sound(project: Path, catalog: Catalog):
    data = tomllib.loads(project.read_text())
    name = data["project"]["name"]
    assert name == project.parent.name
    assert f"-e plugins/{name}\n" in (REPOSITORY / "requirements-dev.txt").read_text()
    assert len((project.parent / "README.md").read_text()) > 100
    assert list((project.parent / "tests").glob("test_*.py"))
    assert [failure.describe() for failure in catalog.failures if failure.distribution == name] == []
    # A logger has hooks and no entry.
    assert name in {item.distribution for item in (*catalog.registered, *plugin_hooks(catalog))}


@pytest.mark.parametrize("project", [CORE, *PLUGINS], ids=lambda path: path.parent.name)
def test_every_wheel_has_its_licence_and_bounds(project: Path, tmp_path: Path):
    file = make_wheel_in(project, tmp_path).file
    with zipfile.ZipFile(file) as wheel:
        (metadata_file,) = [name for name in wheel.namelist() if name.endswith(".dist-info/METADATA")]
        metadata = email.message_from_bytes(wheel.read(metadata_file))
        licence = wheel.read(metadata_file.replace("METADATA", "licenses/LICENSE")).decode()
        assert project != CORE or "inrbench_core/py.typed" in wheel.namelist()
    assert metadata["License-Expression"] == "MIT"
    assert metadata.get_all("License-File") == ["LICENSE"]
    assert licence.startswith("MIT License\n\nCopyright (c) 2026 The inrbench developers\n")
    assert metadata["Version"] == inrbench_core.__version__ == "0.2.0"
    ours = [Requirement(text) for text in metadata.get_all("Requires-Dist") if text.startswith("inrbench")]
    assert ("inrbench" in {requirement.name for requirement in ours}) == (project != CORE)
    assert all(requirement.specifier == SpecifierSet(">=0.2,<0.3") for requirement in ours)


@pytest.mark.parametrize("project", [CORE, *PLUGINS, TEMPLATES / "common" / "pyproject.toml.tmpl"])
def test_the_build_tool_that_the_tests_ran_with_is_the_one_that_is_asked_for(project: Path):
    (line,) = [line for line in project.read_text().splitlines() if line.startswith("requires = ")]
    (text,) = ast.literal_eval(line.partition(" = ")[2])
    pins = dict(line.split("==") for line in (REPOSITORY / "constraints.txt").read_text().splitlines() if "==" in line)
    requirement = Requirement(text)
    assert pins[requirement.name] in requirement.specifier
    # Before 3.12 a LICENSE file named by `license-files` and a licence expression are errors or dropped.
    assert "3.11.0" not in requirement.specifier


def test_versions_of_typer_whose_help_fails_are_excluded():
    requirements = map(Requirement, tomllib.loads(CORE.read_text())["project"]["dependencies"])
    (typer,) = [requirement for requirement in requirements if requirement.name == "typer"]
    # Up to 0.15.3 it lets pip install click 8.2 and newer, with which `--help` ends in a TypeError.
    assert "0.15.3" not in typer.specifier
    assert "0.15.4" in typer.specifier


def entry_calls(source: str) -> list[ast.Call]:
    """The places where a module makes an entry."""
    names = {entry_type.__name__ for entry_type in ENTRY_TYPES.values()}
    calls = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    return [call for call in calls if isinstance(call.func, ast.Name) and call.func.id in names]


@pytest.mark.parametrize(
    "file",
    [*sorted((REPOSITORY / "plugins").glob("*/src/*/plugin.py")), *sorted(TEMPLATES.glob("*/plugin.py.tmpl"))],
    ids=lambda path: path.parent.name,
)
def test_the_api_version_is_written_literally_in_every_entry(file: Path):
    calls = 0
    for module in [file, *(other for other in file.parent.glob("*.py") if other != file)]:
        source = Template(module.read_text()).safe_substitute(defaultdict(lambda: "x"))
        for call in entry_calls(source if module.suffix == ".tmpl" else module.read_text()):
            calls += 1
            api = [keyword.value for keyword in call.keywords if keyword.arg == "api"]
            assert [isinstance(value, ast.Constant) and value.value for value in api] == [1], ast.unparse(call)
    assert calls or "inrbench_commands" in file.read_text() or "inrbench_run_finished" in file.read_text()


def test_when_the_api_version_is_raised_every_plugin_is_incompatible(catalog: Catalog):
    code = (
        "import json; import inrbench_core.api.entries as entries; entries.API_VERSION += 1; "
        "from inrbench_core.plugins.loading import load_catalog; c = load_catalog(); "
        "print(json.dumps([[i.distribution for i in c.registered], [[f.distribution, f.stage] for f in c.failures]]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    registered, failures = json.loads(done.stdout)
    assert set(registered) == {"inrbench"}
    assert {stage for _, stage in failures} == {"incompatible"}
    assert {home for home, _ in failures} == {item.distribution for item in catalog.registered} - {"inrbench"}
    assert len(failures) == len([item for item in catalog.registered if item.distribution != "inrbench"])


def test_the_light_modules_of_all_plugins_import_neither_torch_nor_numpy():
    code = (
        "import sys; from inrbench_core.plugins.loading import load_catalog; c = load_catalog(); "
        "print(len(c.registered)); assert not {'torch', 'numpy'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(done.stdout) > 30


def test_every_target_can_be_loaded(catalog: Catalog):
    from inrbench_core.api.entries import Entry

    for item in catalog.registered:
        if isinstance(item.entry, Entry):
            assert callable(item.entry.load()), item.entry.target


def test_the_table_of_official_components_is_up_to_date(catalog: Catalog):
    spec = importlib.util.spec_from_file_location("official", REPOSITORY / "tools" / "official.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    table = json.loads(module.TABLE.read_text())
    assert table == module.official_table(catalog), "run: make official"


def test_an_official_component_that_is_not_installed_is_named_with_its_command(monkeypatch):
    from inrbench_core.plugins.catalog import LookupFailure
    from inrbench_core.plugins.loading import load_catalog

    monkeypatch.setenv("INRBENCH_DISABLE", "inrbench-activation-periodic")
    with pytest.raises(LookupFailure, match="pip install inrbench-activation-periodic"):
        load_catalog().find("activation", "sine")
    assert official_components()["activation"]["sine"] == "inrbench-activation-periodic"


# Those of components take minutes, and `inrbench eval --dry-run` tells the same.
TABLES = sorted(path for path in SPECS if path.parent.name in ("tasks", "compressive") and path.stem != "components")


@pytest.mark.slow
@pytest.mark.parametrize("spec", TABLES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_every_budget_of_the_tables_specs_has_a_width(spec: Path, catalog: Catalog):
    # What a field of a scene is asked for does not depend on the size of its views.
    settings = ["task.size=8"] if spec.stem == "nerf" else []
    plan = make_plan(load_experiment(spec, catalog, settings), catalog, "cpu")
    for board in plan.boards:
        runs = [row.runs[0] for row in board.rows if row.source is not None and row.runs]
        problem = prepare(runs[0], torch.device("cpu"))
        for run in runs:
            assert isinstance(run, FitRun)
            built = build_model(run.field, problem.shapes, seeds=SeedStreams(0), device=torch.device("cpu"))
            assert built.parameters
