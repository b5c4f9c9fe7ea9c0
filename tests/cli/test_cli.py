import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from functools import partial
from pathlib import Path

import jsonschema
import pytest
from PIL import Image

STAND_INS = Path(__file__).parent.parent / "stand_ins"
PLUGIN = ("--plugin-file", STAND_INS / "small_plugin.py")

SPEC = """
name: small
task: line
fields:
  - {name: shallow, activation: [wave, kink]}
training: {steps: 20, evaluate_every: 10}
seeds: 2
executor: {name: local, jobs: 1}
"""


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory):
    """The outcome of one small experiment."""
    folder = tmp_path_factory.mktemp("evaluated")
    (folder / "small.yaml").write_text(SPEC)
    command = [sys.executable, "-m", "inrbench_core.cli.app", "eval", "--spec", "small.yaml", *map(str, PLUGIN)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done, folder


def test_eval_ends_with_a_ranked_table_a_place_and_a_picture(evaluated):
    done, folder = evaluated
    lines = done.stdout.splitlines()
    ranked = [line.split() for line in lines if line.strip().startswith(("1 ", "2 "))]
    assert [row[0] for row in ranked] == ["1", "2"]
    assert any("zero (baseline)" in line for line in lines)
    assert "±" in done.stdout
    assert "[6/6]" in done.stderr
    assert "results: results/small" in done.stdout
    with Image.open(folder / "results/small/line.png") as picture:
        assert picture.width > 3 * 256


@pytest.mark.parametrize("format_name", ["table", "csv", "json", "markdown", "latex"])
def test_results_prints_the_same_figures_in_every_format(evaluated, run_cli, format_name):
    _, folder = evaluated
    done = run_cli("results", folder / "results/small", "--format", format_name, *PLUGIN)
    assert done.returncode == 0, done.stderr
    data = json.loads(run_cli("results", folder / "results/small", "--json", *PLUGIN).stdout)
    best = data["tasks"][0]["rows"][0]["metrics"]["psnr"]["mean"]
    assert (repr(best) if format_name in {"csv", "json"} else f"{best:.4g}") in done.stdout


def test_running_again_repeats_nothing(evaluated, run_cli):
    _, folder = evaluated
    done = run_cli("eval", "--spec", "small.yaml", *PLUGIN, cwd=folder)
    assert "6 runs, 6 of them done before" in done.stderr
    assert done.returncode == 0


def test_dry_run_counts_parameters_and_writes_nothing(run_cli, write_spec, tmp_path):
    done = run_cli("eval", "--spec", write_spec(SPEC), "--dry-run", "--json", *PLUGIN, cwd=tmp_path)
    runs = json.loads(done.stdout)["runs"]
    assert {run["parameters"] for run in runs if not run["baseline"]} == {49}
    assert not (tmp_path / "results").exists()


def test_a_parameter_budget_that_cannot_be_met_names_the_nearest(run_cli, write_spec, tmp_path):
    text = "{task: line, fields: [{name: shallow, width: {parameters: 50}}], executor: {name: local, jobs: 1}}"
    done = run_cli("eval", "--spec", write_spec(text), *PLUGIN, cwd=tmp_path)
    assert done.returncode == 0
    text = text.replace("50", "5")
    done = run_cli("eval", "--spec", write_spec(text), *PLUGIN, cwd=tmp_path)
    assert done.returncode == 1
    assert "within 2 % of 5 parameters: nearest is width 1 with 4" in done.stderr


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("task: lien\nfields: [shallow]\n", ":1: task: no task named 'lien'; did you mean 'line'?"),
        ("task: line\nfields:\n  - {name: shallow, widht: 3}\n", ":3: fields[0].widht: unknown key; did you mean"),
        ("task: line\ntask: line\nfields: [shallow]\n", ":2: task: duplicate key"),
        ("task: line\nfields: [shallow]\ntraining: {lr: quick}\n", ":3: training.lr: Input should be a valid number"),
        ("", ":1: the file is empty"),
        ("- task: line\n", ":1: expected a mapping"),
        ("task: line\nfields:\n\t- shallow\n", ":3: a tab indents this line"),
        (None, ": no such file"),
    ],
)
def test_every_spec_error_has_file_line_path_and_message(run_cli, tmp_path, text, expected):
    file = tmp_path / "bad.yaml"
    if text is not None:
        file.write_text(text)
    done = run_cli("eval", "--spec", file, *PLUGIN)
    assert done.returncode == 2
    assert done.stderr.startswith(f"{file}{expected}")
    assert len(done.stderr.splitlines()) == 1
    assert done.stdout == ""


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("show", "activation", "wav"), 2, "no activation named 'wav'; did you mean 'wave'"),
        (("show", "field", "wave"), 2, "no field named 'wave'; that is an activation"),
        (("show", "activations", "wave"), 2, "no kind 'activations'; did you mean 'activation'?"),
        (("list", "thing"), 2, "no kind 'thing'; there are encoding"),
        (("results", "nowhere"), 2, "no results here"),
        (("list", "--plugin-file", "nowhere.py"), 2, "nowhere.py: no such file"),
        (("results", "nowhere", "--format", "tabel"), 2, "--format: no reporter named 'tabel'; did you mean 'table'?"),
    ],
)
def test_every_other_mistake_is_one_line_too(run_cli, arguments, code, message):
    done = run_cli(*arguments, *PLUGIN)
    assert done.returncode == code
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_list_and_show_hold_the_same_as_their_json(run_cli):
    plain = run_cli("list", *PLUGIN).stdout
    data = json.loads(run_cli("list", "--json", *PLUGIN).stdout)
    assert data["schema"] == "inrbench.list/1"
    folded = [item for item in data["components"] if item["name"].startswith("inr-bench/")]
    assert {item["kind"] for item in folded} == {"recipe"}
    assert all(item["name"] in plain for item in data["components"] if item not in folded)
    assert f"{sum('+' in item['name'] for item in folded)} recipes; inrbench list recipe names them" in plain
    recipes = run_cli("list", "recipe", *PLUGIN).stdout
    assert all(item["name"] in recipes for item in folded)
    shown = json.loads(run_cli("show", "activation", "wave", "--json", *PLUGIN).stdout)
    assert [parameter["name"] for parameter in shown["parameters"]] == ["omega", "orders"]
    assert "activation: {name: wave, omega: 3.0, orders: 2}" in shown["yaml"]


def test_schema_accepts_good_specs_and_refuses_bad_ones(run_cli):
    schema = json.loads(run_cli("schema", *PLUGIN).stdout)
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    good = {"task": "line", "fields": [{"name": "shallow", "activation": ["wave", {"name": "kink"}], "label": "x"}]}
    assert list(validator.iter_errors(good)) == []
    assert list(validator.iter_errors({**good, "fields": [{"name": "shalow"}]}))
    assert list(validator.iter_errors({**good, "training": {"stps": 3}}))


SLOW = textwrap.dedent("""
    name: slow
    task: {name: line, samples: 4096}
    fields: [shallow]
    training: {steps: 1200, evaluate_every: 0}
    seeds: 6
    executor: {name: local, jobs: 2}
""")


def start(folder: Path) -> subprocess.Popen:
    (folder / "slow.yaml").write_text(SLOW)
    command = [sys.executable, "-m", "inrbench_core.cli.app", "eval", "--spec", "slow.yaml", *map(str, PLUGIN)]
    # A shell's background jobs ignore SIGINT and pass that on; a user's terminal does not.
    heed = partial(signal.signal, signal.SIGINT, signal.default_int_handler)
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(command, cwd=folder, text=True, preexec_fn=heed, **pipes)


def finished(folder: Path) -> dict[str, int]:
    """Finished fits and when their files were written; the six baselines come first and are not counted."""
    files = sorted((folder / "results/slow/runs").glob("*.h5"), key=lambda file: file.stat().st_mtime_ns)
    return {file.name: file.stat().st_mtime_ns for file in files[6:]}


def wait_for(condition, seconds=300):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


@pytest.mark.slow
def test_kill_and_the_same_command_again_completes_without_repeating(tmp_path, run_cli):
    process = start(tmp_path)
    wait_for(lambda: len(finished(tmp_path)) >= 2)
    process.kill()
    process.communicate()
    done_before = finished(tmp_path)
    again = run_cli("eval", "--spec", "slow.yaml", *PLUGIN, cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    after = finished(tmp_path)
    assert len(after) == 6
    assert {name: after[name] for name in done_before} == done_before
    assert "6/6" in again.stdout
    assert not list((tmp_path / "results/slow/runs").glob(".*"))


@pytest.mark.slow
def test_ctrl_c_keeps_what_is_done_says_how_to_go_on_and_exits_130(tmp_path):
    process = start(tmp_path)
    wait_for(lambda: len(finished(tmp_path)) >= 1)
    os.kill(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 130
    assert "the same command goes on from there" in err
    assert "Traceback" not in err
    assert len(finished(tmp_path)) >= 1
