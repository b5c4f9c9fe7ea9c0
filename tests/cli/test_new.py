"""`inrbench new`: what it writes is installed for real and checked."""

from __future__ import annotations

import json
import re
import subprocess

import pytest

# With the least number of checks that a new distribution passes; what is no component is not listed.
KINDS = {
    "encoding": 20,
    "activation": 24,
    "basis": 22,
    "field": 22,
    "recipe": 2,
    "task": 20,
    "optimizer": 11,
    "analysis": 10,
    "executor": 8,
    "reporter": 8,
}
HOOKS = {"logger": 2, "command": 2}
# Recipes stand where fields do, so they share their names.
NAMES = {"field": "my_field", "recipe": "my_recipe"}
SPEC = """
task: {name: my_own, signals: [chirp, swell]}
fields: [{name: mlp, encoding: my_own, activation: my_own, width: 8}, {name: kan, basis: my_own, width: 4}, my_field,
  my_recipe]
training: {steps: 3, optimizer: my_own}
analyses: [my_own]
executor: {name: my_own, jobs: 2}
"""


@pytest.fixture(scope="module")
def rendered(environment, tmp_path_factory):
    """An environment with one new distribution of each kind, and where they were written."""
    folder = tmp_path_factory.mktemp("rendered")
    for kind in (*KINDS, *HOOKS):
        environment.inrbench("new", kind, NAMES.get(kind, "my_own"), "--out", folder)
    environment.pip("install", "--no-deps", "--no-build-isolation", *folder.iterdir())
    return environment, folder


@pytest.mark.slow
def test_new_distributions_are_listed_and_shown(rendered):
    environment, _ = rendered
    listed = json.loads(environment.inrbench("list", "--json").stdout)
    assert listed["broken"] == []
    mine = {item["kind"]: item for item in listed["components"] if item["distribution"] == distribution(item["kind"])}
    assert {(kind, item["name"], item["version"]) for kind, item in mine.items()} == {
        (kind, NAMES.get(kind, "my_own"), "0.1.0") for kind in KINDS
    }
    assert mine["activation"]["formula"] in environment.inrbench("show", "activation", "my_own").stdout


def distribution(kind):
    return f"inrbench-{kind}-{NAMES.get(kind, 'my_own').replace('_', '-')}"


@pytest.mark.slow
@pytest.mark.parametrize("kind", [*KINDS, *HOOKS])
def test_a_new_distribution_conforms(rendered, kind):
    environment, _ = rendered
    outcome = json.loads(environment.inrbench("check", distribution(kind), "--json").stdout)
    assert outcome["counts"]["failed"] == 0
    assert outcome["counts"]["passed"] >= {**KINDS, **HOOKS}[kind]


@pytest.mark.slow
@pytest.mark.parametrize("kind", [*KINDS, *HOOKS])
def test_a_new_distribution_has_a_licence_and_bounds(rendered, kind):
    environment, _ = rendered
    (info,) = environment.site.glob(f"{distribution(kind).replace('-', '_')}-0.1.0.dist-info")
    metadata = (info / "METADATA").read_text()
    assert "\nLicense-Expression: MIT\n" in metadata
    assert f"The authors of {distribution(kind)}\n" in (info / "licenses" / "LICENSE").read_text()
    ours = re.findall(r"^Requires-Dist: (inrbench\S*)$", metadata, flags=re.MULTILINE)
    assert ours
    assert all(requirement.endswith(">=0.2,<0.3") for requirement in ours)


@pytest.mark.slow
def test_an_experiment_of_new_components_alone_goes_well(rendered, tmp_path):
    environment, _ = rendered
    (tmp_path / "spec.yaml").write_text(SPEC)
    out = tmp_path / "results"
    environment.inrbench("eval", "--spec", tmp_path / "spec.yaml", "--out", out)
    # A baseline and four fields, on two signals each.
    events = [json.loads(line) for line in (out / "my_own.jsonl").read_text().splitlines()]
    finished = [event for event in events if event["event"] == "run_finished"]
    assert [event["status"] for event in finished] == ["ok"] * 10
    assert events[-1] | {"time": 0} == {"time": 0, "event": "experiment_finished", "failed": 0}
    rows = environment.inrbench("results", out, "--format", "my_own").stdout.splitlines()
    slopes = [row.split("\t") for row in rows if "\tmy_own.slope\t" in row]
    assert len(slopes) == 8
    assert all(float(row[-1]) > 0 for row in slopes)
    assert environment.inrbench("my-own", out).stdout.startswith("my_own: ")


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
    assert done.stderr == f"inrbench: {folder} already exists; nothing was written\n"
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
        ("recipe", "mlp", "is in inrbench-field-mlp already"),
        ("command", "list", "there is a command 'list' already"),
        ("optimizer", "adam", "is in inrbench already"),
    ],
)
def test_a_name_that_cannot_be_used_is_one_line(run_cli, tmp_path, kind, name, message):
    done = run_cli("new", kind, name, "--out", tmp_path)
    assert done.returncode == 2
    assert message in done.stderr
    assert done.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []
