"""`inrbench results`: tables from files alone, of one folder or several, in every format."""

import csv
import io
import json
import shutil
from pathlib import Path

import pytest

TWO_TASKS = """
name: two
tasks: [line, {name: trouble, label: other}]
fields: [{name: shallow, activation: [wave, kink]}]
training: {steps: 2, evaluate_every: 0, compile: off}
seeds: 1
executor: inline
"""
TROUBLE = str(Path(__file__).parent.parent / "stand_ins" / "trouble_plugin.py")


@pytest.mark.parametrize("format_name", ["table", "csv", "json", "markdown", "latex"])
def test_it_prints_the_same_figures_in_every_format(evaluated, run_cli, format_name):
    _, folder = evaluated
    done = run_cli("results", folder / "results/small", "--format", format_name)
    assert done.returncode == 0, done.stderr
    data = json.loads(run_cli("results", folder / "results/small", "--json").stdout)
    best = data["tasks"][0]["rows"][0]["metrics"]["psnr"]["mean"]
    assert (repr(best) if format_name in {"csv", "json"} else f"{best:.4g}") in done.stdout
    if format_name == "json":
        assert json.loads(done.stdout) == data


@pytest.mark.parametrize(
    "environment",
    [{"INRBENCH_PLUGINS": ""}, {"INRBENCH_DISABLE": "inrbench-task-image"}],
    ids=["no plugin", "one disabled"],
)
def test_no_plugin_is_needed(evaluated, run_cli, environment):
    """The plugin file of every component in these results is not given either."""
    done, folder = evaluated
    shown = run_cli("results", folder / "results/small", env=environment)
    assert shown.returncode == 0, shown.stderr
    assert shown.stdout == "".join(done.stdout.partition("results: ")[0])
    assert "psnr [dB] ↑" in shown.stdout
    assert "mae ↓" in shown.stdout
    assert shown.stderr == ""


def test_results_of_a_task_without_its_plugin_do_not_hide_the_others(run_cli, write_spec, tmp_path, plugin):
    done = run_cli("eval", "--spec", write_spec(TWO_TASKS), *plugin, "--plugin-file", TROUBLE, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    shown = run_cli("results", "results/two", *plugin, cwd=tmp_path)
    assert shown.stdout == done.stdout.partition("results: ")[0]
    assert "other (ranked by psnr)" in shown.stdout


def test_sorting_by_another_metric_and_by_one_that_is_not_there(evaluated, run_cli):
    _, folder = evaluated
    by_option = run_cli("results", folder / "results/small", "--sort", "mae").stdout
    assert "line (2 seeds, ranked by mae)" in by_option
    through_format = run_cli("results", folder / "results/small", "--format", "table", "--option", "sort=mae").stdout
    assert through_format == by_option
    wrong = run_cli("results", folder / "results/small", "--sort", "speed")
    assert wrong.returncode == 2
    assert wrong.stderr == "inrbench: no metric 'speed'; there are mae, psnr\n"


def test_one_row_for_each_run_as_csv_and_as_json(evaluated, run_cli):
    _, folder = evaluated
    text = run_cli("results", folder / "results/small", "--format", "runs").stdout
    rows = list(csv.DictReader(io.StringIO(text)))
    data = json.loads(run_cli("results", folder / "results/small", "--format", "runs", "--json").stdout)
    assert data["schema"] == "inrbench.runs/1"
    assert [(row["run"], row["psnr"]) for row in rows] == [
        (run["run"], repr(run["metrics"]["psnr"])) for run in data["runs"]
    ]
    assert {(row["field"], row["seed"]) for row in rows} == {
        ("zero", "0"),
        *((field, seed) for field in ("wave", "kink") for seed in "01"),
    }


def test_several_folders_are_one_table_and_every_experiment_of_one_is_shown_if_asked(
    evaluated, run_cli, write_spec, tmp_path, plugin, small
):
    _, folder = evaluated
    first = folder / "results/small"
    spec = write_spec(small.replace("steps: 20", "steps: 10").replace("{name: local, jobs: 1}", "inline"))
    longer = run_cli("eval", "--spec", spec, "--out", tmp_path / "ten", *plugin)
    assert longer.returncode == 0, longer.stderr
    data = json.loads(run_cli("results", first, tmp_path / "ten", "--json").stdout)
    (task,) = data["tasks"]
    assert {row["field"] for row in task["rows"]} == {"zero", "wave", "kink", "wave (ten)", "kink (ten)"}
    # The baseline is the same in both.
    assert {row["field"]: len(row["runs"]) for row in task["rows"]}["zero"] == 1
    shutil.copytree(first, tmp_path / "both")
    more = run_cli("eval", "--spec", spec, "--out", tmp_path / "both", "--set", "fields=[swell]", *plugin)
    assert more.returncode == 0, more.stderr
    last = json.loads(run_cli("results", tmp_path / "both", "--json").stdout)
    assert {row["field"] for row in last["tasks"][0]["rows"]} == {"zero", "swell"}
    every = json.loads(run_cli("results", tmp_path / "both", "--all", "--json").stdout)
    assert {row["field"] for row in every["tasks"][0]["rows"]} == {"zero", "wave", "kink", "swell"}


@pytest.mark.parametrize("format_name", ["table", "markdown", "json"])
def test_an_encoding_that_lacks_characters_gets_them_written_out(
    evaluated, run_cli, write_spec, tmp_path, plugin, format_name
):
    _, folder = evaluated
    shown = [
        run_cli("results", folder / "results/small", "--format", format_name, env={"PYTHONIOENCODING": encoding})
        for encoding in ("ascii", "utf-8")
    ]
    assert [done.returncode for done in shown] == [0, 0]
    assert [done.stderr for done in shown] == ["", ""]
    assert shown[0].stdout.isascii()
    if format_name != "json":
        assert "psnr [dB] \\u2191" in shown[0].stdout
        assert "psnr [dB] ↑" in shown[1].stdout


def test_json_in_an_encoding_that_lacks_characters_is_read_back_unchanged(run_cli, write_spec, tmp_path, plugin, small):
    spec = write_spec(small.replace("{name: local, jobs: 1}", "inline"))
    names = ("größe", "\N{GRINNING FACE}")
    label = f"fields=[{{name: swell, label: '{names[0]} {names[1]}'}}]"
    arguments = ("eval", "--spec", spec, "--out", "out", "--set", label, "--json", *plugin)
    done = run_cli(*arguments, cwd=tmp_path, env={"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "1"})
    assert done.returncode == 0, done.stderr
    assert done.stdout.isascii()
    assert " ".join(names) in {row["field"] for row in json.loads(done.stdout)["tasks"][0]["rows"]}


CODE = """
from inrbench_core import ComponentSpec, FieldEntry, hookimpl


class WrappedSpec(ComponentSpec):
    'A field of this file.'


@hookimpl
def inrbench_fields():
    yield FieldEntry("wrapped", WrappedSpec, "wrapped_plugin:make", api=1)


def make(spec, shape):
    from torch import nn

    return nn.Linear(shape.in_features, shape.out_features)
"""


def test_runs_before_and_after_a_change_of_code_are_two_rows(run_cli, tmp_path, plugin):
    file = tmp_path / "wrapped_plugin.py"
    spec = "{name: x, task: line, fields: [wrapped], training: {steps: 2, compile: off}, executor: inline}"
    (tmp_path / "x.yaml").write_text(spec)
    # The second text computes the same: no figure may tell them apart.
    for text in (CODE, CODE.replace("return nn", "layer = nn") + "    return layer\n"):
        file.write_text(text)
        done = run_cli("eval", "--spec", "x.yaml", *plugin, "--plugin-file", file, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
    (task,) = json.loads(run_cli("results", "results/x", "--all", "--json", cwd=tmp_path).stdout)["tasks"]
    rows = {row["field"]: (row["rank"], len(row["runs"])) for row in task["rows"]}
    assert rows == {"wrapped": (1, 1), "wrapped (other code)": (1, 1), "zero": (None, 1)}


def test_a_file_that_is_not_usable_is_named_and_the_table_is_printed(evaluated, run_cli, tmp_path):
    _, folder = evaluated
    shutil.copytree(folder / "results/small", tmp_path / "small")
    data = json.loads(run_cli("results", tmp_path / "small", "--json").stdout)
    broken = data["tasks"][0]["rows"][0]["runs"][0]
    path = tmp_path / "small" / "runs" / f"{broken}.h5"
    path.write_bytes(path.read_bytes()[:-100])
    done = run_cli("results", tmp_path / "small")
    assert done.returncode == 0
    assert f"warning: {tmp_path / 'small'}: {broken}.h5: " in done.stderr
    assert "1/2 (1 missing)" in done.stdout
    assert "2/2" in done.stdout


def test_one_folder_of_several_without_results_is_one_line(evaluated, run_cli, tmp_path):
    _, folder = evaluated
    done = run_cli("results", folder / "results/small", tmp_path)
    assert done.returncode == 2
    assert done.stderr == f"inrbench: {tmp_path}: no results here\n"
