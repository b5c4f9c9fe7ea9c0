"""Fixtures of the tests of specs."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from inrbench_core.plugins.catalog import Catalog
from inrbench_core.plugins.loading import load_catalog
from inrbench_core.runs.plan import Plan, make_plan
from inrbench_core.spec.builder import load_experiment
from inrbench_core.spec.experiment import Experiment, FieldRow
from inrbench_core.spec.yaml_io import SpecError

PLUGINS = (Path(__file__).parent.parent / "stand_ins" / "small_plugin.py", Path(__file__).parent / "spec_plugin.py")


@pytest.fixture(scope="session")
def plugin_files() -> list[Path]:
    """The plugin files with what the specs of these tests name."""
    return list(PLUGINS)


@pytest.fixture(scope="session")
def catalog(plugin_files: list[Path]) -> Catalog:
    """What is installed, and the stand-ins."""
    return load_catalog(plugin_files)


@pytest.fixture
def load(write_spec: Callable[..., Path], catalog: Catalog) -> Callable[..., Experiment]:
    """Reads YAML text with changes of the command line."""
    return lambda text, *settings: load_experiment(write_spec(textwrap.dedent(text)), catalog, settings)


@pytest.fixture
def plan(load: Callable[..., Experiment], catalog: Catalog) -> Callable[..., Plan]:
    """The plan of YAML text."""
    return lambda text, *settings: make_plan(load(text, *settings), catalog, "cpu")


@pytest.fixture
def rows(load: Callable[..., Experiment]) -> Callable[..., list[FieldRow]]:
    """The fields of all tables of YAML text."""
    return lambda text, *settings: [row for board in load(text, *settings).boards for row in board.rows]


@pytest.fixture
def errors(load: Callable[..., Experiment]) -> Callable[..., list[str]]:
    """The lines of the error that YAML text gives, each from its line number on."""

    def collect(text: str, *settings: str) -> list[str]:
        with pytest.raises(SpecError) as caught:
            load(text, *settings)
        return [line.partition("spec.yaml:")[2] or line for line in str(caught.value).splitlines()]

    return collect
