"""What holds for the repository as a whole."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import inrbench_core
from inrbench_core.plugins.catalog import Catalog, official_components
from inrbench_core.spec.experiment import load_experiment

REPOSITORY = Path(__file__).parent.parent
PLUGINS = sorted((REPOSITORY / "plugins").glob("*/pyproject.toml"))
SPECS = sorted((REPOSITORY / "specs").rglob("*.yaml"))


def test_the_public_api_is_frozen():
    assert inrbench_core.__all__ == sorted(inrbench_core.__all__)
    assert len(inrbench_core.__all__) == 37
    for name in inrbench_core.__all__:
        assert getattr(inrbench_core, name) is not None


@pytest.mark.parametrize("spec", SPECS, ids=lambda path: path.stem)
def test_every_spec_of_the_repository_is_valid(spec: Path, catalog: Catalog):
    assert load_experiment(spec, catalog).runs


@pytest.mark.parametrize("project", PLUGINS, ids=lambda path: path.parent.name)
def test_every_plugin_is_complete_installed_and_sound(project: Path, catalog: Catalog):
    data = tomllib.loads(project.read_text())
    name = data["project"]["name"]
    assert name == project.parent.name
    assert "inrbench" in data["project"]["dependencies"]
    assert f"-e plugins/{name}\n" in (REPOSITORY / "requirements-dev.txt").read_text()
    assert len((project.parent / "README.md").read_text()) > 100
    assert list((project.parent / "tests").glob("test_*.py"))
    assert [failure.describe() for failure in catalog.failures if failure.distribution == name] == []
    assert any(item.distribution == name for item in catalog.registered)


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
