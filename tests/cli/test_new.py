"""`inrbench new`: what it writes is installed for real and checked."""

from __future__ import annotations

import json
import subprocess

import pytest

KINDS = ("encoding", "activation", "basis", "field", "task")


@pytest.fixture(scope="module")
def rendered(environment, tmp_path_factory):
    """An environment with one new distribution of each kind, and where they were written."""
    folder = tmp_path_factory.mktemp("rendered")
    for kind in KINDS:
        environment.inrbench("new", kind, "my_own", "--out", folder)
    environment.pip("install", "--no-deps", "--no-build-isolation", *folder.iterdir())
    return environment, folder


@pytest.mark.slow
def test_new_distributions_are_listed_and_shown(rendered):
    environment, _ = rendered
    listed = json.loads(environment.inrbench("list", "--json").stdout)
    assert listed["broken"] == []
    mine = {item["kind"]: item for item in listed["components"] if item["name"] == "my_own"}
    assert {(kind, item["distribution"], item["version"]) for kind, item in mine.items()} == {
        (kind, f"inrbench-{kind}-my-own", "0.1.0") for kind in KINDS
    }
    assert mine["activation"]["formula"] in environment.inrbench("show", "activation", "my_own").stdout


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_a_new_distribution_conforms(rendered, kind):
    environment, _ = rendered
    outcome = json.loads(environment.inrbench("check", f"inrbench-{kind}-my-own", "--json").stdout)
    assert outcome["counts"]["failed"] == 0
    assert outcome["counts"]["passed"] >= 14


@pytest.mark.slow
def test_the_tests_of_a_new_distribution_pass(rendered):
    environment, folder = rendered
    done = subprocess.run(
        [environment.python, "-m", "pytest", "-p", "no:cacheprovider", folder / "inrbench-task-my-own"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert "failed" not in done.stdout


def test_what_is_there_is_never_overwritten(run_cli, tmp_path):
    folder = tmp_path / "inrbench-basis-my-own"
    folder.mkdir()
    done = run_cli("new", "basis", "my_own", "--out", tmp_path)
    assert done.returncode == 2
    assert done.stderr == f"inrbench: {folder} is there already; nothing was written\n"
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize(
    ("kind", "name", "message"),
    [
        ("bassis", "my_own", "did you mean 'basis'?"),
        ("basis", "My-Own", "the name 'My-Own' should be"),
        ("basis", "own_", "the name 'own_' should be"),
        ("basis", "../own", "the name '../own' should be"),
        ("basis", "expansion", "a class ExpansionSpec, which inrbench has"),
        ("activation", "relu", "is in inrbench-activation-classic already"),
        ("activation", "null", "'null' means something else in YAML"),
        ("field", "siren", "is in inrbench-field-mlp already"),
    ],
)
def test_a_name_that_cannot_be_used_is_one_line(run_cli, tmp_path, kind, name, message):
    done = run_cli("new", kind, name, "--out", tmp_path)
    assert done.returncode == 2
    assert message in done.stderr
    assert done.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []
