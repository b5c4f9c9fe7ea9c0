"""The command line as a whole: version, mistakes, `list`, `show`, `schema`, and commands of plugins."""

import json
from importlib.metadata import version
from pathlib import Path

import jsonschema
import pytest

STAND_INS = Path(__file__).parent.parent / "stand_ins"


@pytest.mark.parametrize("before", [(), ("--plugin-file", STAND_INS / "small_plugin.py")])
def test_the_version_is_that_of_the_distribution(run_cli, before):
    done = run_cli(*before, "--version")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"inrbench {version('inrbench')}\n", "")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("show", "activation", "wav"), "no activation named 'wav'; did you mean 'wave'"),
        (("show", "field", "wave"), "no field named 'wave'; that is an activation"),
        (("show", "activations", "wave"), "no kind 'activations'; did you mean 'activation'?"),
        (("list", "thing"), "no kind 'thing'; there are encoding"),
        (("results", "nowhere"), "nowhere: no results here"),
        (("list", "--plugin-file", "nowhere.py"), "--plugin-file nowhere.py: no such file"),
        (("list", "--plugin-file", STAND_INS), f"--plugin-file {STAND_INS}: a folder"),
        (("results", "nowhere", "--format", "tabel"), "--format: no reporter named 'tabel'; did you mean 'table'?"),
        (("results", "nowhere", "--option", "sort=psnr"), "--option belongs to --format"),
        (("results", "nowhere", "--format", "csv", "--option", "sort"), "--option sort: expected key=value"),
        (("results", "nowhere", "--format", "csv", "--option", "x=[1"), "--option x=[1: not valid YAML: '[1'"),
        (
            ("results", "nowhere", "--format", "csv", "--option", "srot=psnr"),
            "--format csv: srot: unknown key; did you",
        ),
        (("results", "nowhere", "--format", "lines", "--option", "most=0"), "--format lines: most: Input should be gr"),
        (("results", "nowhere", "--format", "runs", "--sort", "psnr"), "--format runs: sort: unknown key"),
        (("results", "nowhere", "--format", "csv", "--json"), "--json and --format csv: give one of them"),
    ],
)
def test_every_mistake_is_one_line(run_cli, plugin, arguments, message):
    done = run_cli(*arguments, *plugin)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"inrbench: {message}")
    assert done.stdout == ""


def test_list_and_show_hold_the_same_as_their_json(run_cli, plugin):
    plain = run_cli("list", *plugin, env={"COLUMNS": "200"}).stdout
    data = json.loads(run_cli("list", "--json", *plugin).stdout)
    assert data["schema"] == "inrbench.list/1"
    folded = [item for item in data["components"] if item["name"].startswith("inr-bench/")]
    assert {item["kind"] for item in folded} == {"recipe"}
    assert all(item["name"] in plain for item in data["components"] if item not in folded)
    assert f"{sum('+' in item['name'] for item in folded)} of inrbench-field-mlp" in plain
    assert "`inrbench list recipe` names them" in plain
    recipes = run_cli("list", "recipe", *plugin).stdout
    assert all(item["name"] in recipes for item in folded)
    assert "name: shallow, activation: {name: wave, omega: 9.0}, width: 8" in " ".join(recipes.split())
    shown = json.loads(run_cli("show", "activation", "wave", "--json", *plugin).stdout)
    assert [parameter["name"] for parameter in shown["parameters"]] == ["omega", "orders"]
    assert "activation: {name: wave, omega: 3.0, orders: 2}" in shown["yaml"]


def test_schema_accepts_good_specs_and_refuses_bad_ones(run_cli, plugin):
    schema = json.loads(run_cli("schema", *plugin).stdout)
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    good = {"task": "line", "fields": [{"name": "shallow", "activation": ["wave", {"name": "kink"}], "label": "x"}]}
    assert list(validator.iter_errors(good)) == []
    assert list(validator.iter_errors({**good, "fields": [{"name": "shalow"}]}))
    assert list(validator.iter_errors({**good, "training": {"stps": 3}}))


@pytest.mark.parametrize("place", ["before", "after", "joined"])
def test_a_plugin_file_adds_its_command(run_cli, place):
    file = STAND_INS / "outputs_plugin.py"
    arguments = {
        "before": ("--plugin-file", file, "greet", "Ada"),
        "after": ("greet", "Ada", "--plugin-file", file),
        "joined": (f"--plugin-file={file}", "greet", "Ada"),
    }[place]
    done = run_cli(*arguments)
    if place == "after":
        # The command itself has no such option.
        assert done.returncode == 2
        assert "No such option: --plugin-file" in done.stderr
        return
    assert (done.returncode, done.stdout) == (0, "hello, Ada\n"), done.stderr
    assert "greet" in run_cli("--plugin-file", file, "--help").stdout
    assert run_cli("greet", "Ada").returncode == 2


def test_a_command_hook_that_raises_leaves_the_other_commands(run_cli, tmp_path):
    (tmp_path / "bad.py").write_text(
        "from inrbench_core import hookimpl\n@hookimpl\ndef inrbench_commands(app):\n    raise SystemExit(3)\n"
    )
    done = run_cli("--plugin-file", tmp_path / "bad.py", "list", "executor")
    assert done.returncode == 0
    assert "local" in done.stdout
    assert done.stderr == "inrbench: warning: the commands of bad.py:bad are left out: SystemExit: 3\n"


def test_without_torch_lists_are_quick(run_cli):
    """`list`, and the message of a wrong spec, come without importing torch."""
    done = run_cli("list", env={"PYTHONPROFILEIMPORTTIME": "1"})
    assert done.returncode == 0
    modules = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "inrbench_core.cli.list" in modules
    assert not modules & {"torch", "h5py", "skimage", "pandas"}
