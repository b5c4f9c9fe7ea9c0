"""`inrbench eval`: what it prints, what it refuses before anything is trained, and how it ends."""

import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from inrbench_core.runs.store import RunStore

STAND_INS = Path(__file__).parent.parent / "stand_ins"
INLINE = "executor: inline"


def run_files(folder):
    return sorted(folder.rglob("runs/*.h5"))


def test_it_ends_with_a_ranked_table_a_place_and_a_picture(evaluated):
    done, folder = evaluated
    lines = done.stdout.splitlines()
    ranked = [line.split() for line in lines if line.strip().startswith(("1 ", "2 "))]
    assert [row[0] for row in ranked] == ["1", "2"]
    assert any("zero (baseline)" in line for line in lines)
    assert "±" in done.stdout
    assert "results: results/small" in done.stdout
    with Image.open(folder / "results/small/line.png") as picture:
        assert picture.width > 3 * 256


def test_running_again_repeats_nothing(evaluated, run_cli, plugin):
    done, folder = evaluated
    before = {file: file.stat().st_mtime_ns for file in run_files(folder)}
    again = run_cli("eval", "--spec", "small.yaml", *plugin, cwd=folder)
    assert again.returncode == 0
    assert again.stdout == done.stdout
    assert again.stderr.splitlines() == ["5 runs, 5 of them done"]
    assert {file: file.stat().st_mtime_ns for file in run_files(folder)} == before


def test_json_is_one_object_with_the_same_figures(evaluated, run_cli, plugin):
    done, folder = evaluated
    data = json.loads(run_cli("eval", "--spec", "small.yaml", "--json", *plugin, cwd=folder).stdout)
    assert (data["folder"], data["pictures"]) == ("results/small", ["results/small/line.png"])
    best = data["tasks"][0]["rows"][0]
    mean, (low, high) = best["metrics"]["psnr"]["mean"], best["metrics"]["psnr"]["intervals"]["these signals"]
    assert f"{mean:.2f} ± {(high - low) / 2:.2f}" in done.stdout


def broken_png(folder):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).save(folder / "whole.png")
    content = (folder / "whole.png").read_bytes()
    (folder / "cut.png").write_bytes(content[: len(content) // 2])


@pytest.mark.parametrize("options", [(), ("--dry-run",), ("--dry-run", "--json")])
def test_a_picture_that_is_not_readable_is_one_error_with_its_line_before_anything_is_trained(
    run_cli, write_spec, tmp_path, options
):
    broken_png(tmp_path)
    spec = write_spec(
        """\
task:
  name: image
  signals:
    - whole.png
    - cut.png
fields: [{name: mlp, activation: [relu, sine, tanh]}]
training: {steps: 100000}
seeds: 3
"""
    )
    done = run_cli("eval", "--spec", spec, *options, cwd=tmp_path)
    assert done.returncode == 2
    # Where the machine is slow, measuring tells how far it is.
    (line,) = [text for text in done.stderr.splitlines() if not text.startswith("inrbench: measuring ")]
    assert line.startswith(f"{spec}:5: task.signals[1]: {tmp_path / 'cut.png'}: cannot be read")
    assert done.stdout == ""
    assert run_files(tmp_path) == []


@pytest.mark.parametrize("options", [(), ("--dry-run",)])
def test_budgets_that_no_width_meets_are_errors_with_their_lines_before_anything_is_trained(
    run_cli, write_spec, tmp_path, plugin, options
):
    spec = write_spec(
        """\
task: line
fields:
  - shallow
  - {name: shallow, width: {parameters: 50}, label: reached}
  - {name: shallow, width: {parameters: 5}, label: small}
  - {name: shallow, width: {parameters: 20}, label: between}
training: {steps: 5}
executor: inline
"""
    )
    done = run_cli("eval", "--spec", spec, *options, *plugin, cwd=tmp_path)
    assert done.returncode == 2
    small, between = done.stderr.splitlines()
    assert small.startswith(f"{spec}:5: fields[2]: ")
    assert "within 2 % of 5 parameters: nearest is width 1 with 4" in small
    assert between.startswith(f"{spec}:6: fields[3]: ")
    assert "of 20 parameters: nearest is width 6 with 19 and width 7 with 22" in between
    assert run_files(tmp_path) == []


def test_a_budget_that_is_met_is_in_the_plan_with_its_width(run_cli, write_spec, tmp_path, plugin):
    text = "{task: line, fields: [{name: shallow, width: {parameters: 1000}}], executor: inline, training: {steps: 1}}"
    done = run_cli("eval", "--spec", write_spec(text), "--dry-run", "--json", *plugin, cwd=tmp_path)
    (row,) = [row for row in json.loads(done.stdout)["rows"] if not row["baseline"]]
    assert (row["width"], row["parameters"]) == (333, 1000)


@pytest.mark.parametrize("options", [(), ("--dry-run",)])
def test_jobs_is_an_error_where_the_executor_has_no_such_option(run_cli, write_spec, tmp_path, plugin, small, options):
    spec = write_spec(small.replace("executor: {name: local, jobs: 1}", INLINE))
    done = run_cli("eval", "--spec", spec, "--jobs", "3", *options, *plugin, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.splitlines() == ["inrbench: --jobs: the executor 'inline' has no option 'jobs'"]
    assert not (tmp_path / "results").exists()


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
def test_every_spec_error_has_file_line_path_and_message(run_cli, tmp_path, plugin, text, expected):
    file = tmp_path / "bad.yaml"
    if text is not None:
        file.write_text(text)
    done = run_cli("eval", "--spec", file, *plugin)
    assert done.returncode == 2
    assert done.stderr.startswith(f"{file}{expected}")
    assert len(done.stderr.splitlines()) == 1
    assert done.stdout == ""


def test_a_run_that_fails_is_in_the_table_and_makes_the_status_1(run_cli, write_spec, tmp_path, plugin):
    text = """
tasks: [{name: line, trouble: raise, label: broken}, line]
fields: [shallow]
training: {steps: 2, evaluate_every: 0, compile: off}
executor: inline
"""
    done = run_cli("eval", "--spec", write_spec(text), *plugin, cwd=tmp_path)
    assert done.returncode == 1
    assert "0/1 (1 failed)" in done.stdout
    assert "wave: failed: ValueError: trouble was asked for (small_plugin_torch.py:" in done.stdout
    assert "1/1" in done.stdout
    assert "Traceback" not in done.stderr


def test_a_pair_that_cannot_work_is_in_the_table_and_leaves_the_status_0(run_cli, write_spec, tmp_path, plugin):
    text = """
task: {name: line, curvature: true}
fields: [{name: shallow, activation: [wave, kink]}]
training: {steps: 2, evaluate_every: 0, compile: off}
executor: inline
"""
    done = run_cli("eval", "--spec", write_spec(text), *plugin, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "0/1 (1 skipped)" in done.stdout
    assert "kink: skipped: the loss takes 2 derivatives" in done.stdout


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("raises", "raised KeyError: 'no such\\ncolumn \\x1b[31m'"),
        ("exits", "raised SystemExit: 0"),
        ("silent", "raised TypeError: it returned NoneType, not text"),
    ],
)
@pytest.mark.parametrize("command", ["eval", "results"])
def test_a_reporter_that_goes_wrong_costs_one_line_and_no_result(evaluated, run_cli, plugin, name, message, command):
    _, folder = evaluated
    before = run_files(folder)
    arguments = ("eval", "--spec", "small.yaml") if command == "eval" else ("results", "results/small")
    done = run_cli(*arguments, "--format", name, *plugin, cwd=folder)
    assert done.returncode == 1
    line = done.stderr.splitlines()[-1]
    assert line == (
        f"inrbench: the reporter {name!r} of outputs_plugin.py {message}; "
        "the results are kept, and another --format shows them"
    )
    assert len(done.stderr.splitlines()) == (2 if command == "eval" else 1)
    assert done.stdout == ""
    assert run_files(folder) == before


def test_eval_prints_with_the_reporter_that_is_asked_for(evaluated, run_cli, plugin):
    _, folder = evaluated
    command = ("eval", "--spec", "small.yaml", *plugin)
    of_plugin = run_cli(*command, "--format", "lines", "--option", "prefix=row", "--option", "most=2", cwd=folder)
    assert of_plugin.stdout == "row zero 0 ok\nrow wave 0 ok\n"
    csv = run_cli(*command, "--format", "csv", cwd=folder).stdout
    assert csv.startswith("task,ranked_by,rank,field,")
    assert csv == run_cli("results", "results/small", "--format", "csv", cwd=folder).stdout
    runs = run_cli(*command, "--format", "runs", cwd=folder).stdout
    assert len(runs.splitlines()) == 6


def test_a_metric_that_is_not_there_is_told_before_anything_is_trained(run_cli, write_spec, tmp_path, plugin, small):
    spec = write_spec(small)
    for options in (("--sort", "psrn"), ("--format", "csv", "--option", "sort=psrn")):
        done = run_cli("eval", "--spec", spec, *options, *plugin, cwd=tmp_path)
        assert done.returncode == 2
        assert done.stderr.splitlines() == ["inrbench: no metric 'psrn'; did you mean 'psnr'?"]
        assert not (tmp_path / "results").exists()


def test_it_can_be_sorted_by_another_metric(evaluated, run_cli, plugin):
    _, folder = evaluated
    done = run_cli("eval", "--spec", "small.yaml", "--sort", "mae", *plugin, cwd=folder)
    assert "line (2 seeds, ranked by mae)" in done.stdout


def test_waiting_is_said_once_and_the_plan_is_made_after_it(run_cli, write_spec, tmp_path, small):
    for name in ("small_plugin.py", "small_plugin_torch.py"):
        shutil.copy(STAND_INS / name, tmp_path)
    command = [sys.executable, "-m", "inrbench_core.cli.app", "eval", "--wait", "--plugin-file", "small_plugin.py"]
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "cwd": tmp_path}
    with RunStore(tmp_path / "results/small").lock():
        process = subprocess.Popen([*command, "--spec", write_spec(small), "--quiet"], **options)
        line = process.stderr.readline()
        assert line.startswith(f"inrbench: warning: waiting for process {os.getpid()} on ")
        assert line.endswith(", which writes into results/small\n")
        with (tmp_path / "small_plugin_torch.py").open("a") as file:
            file.write("\nEDITED = True\n")
        time.sleep(0.5)
        assert process.poll() is None
    out, err = process.communicate(timeout=120)
    assert (process.returncode, err) == (0, "")
    assert (out.count("2/2"), out.count("1/1")) == (2, 1)


SLOW = textwrap.dedent("""
    name: slow
    task: {name: line, samples: 4096}
    fields: [shallow]
    training: {steps: 2500, evaluate_every: 0, compile: off}
    seeds: 6
    executor: {name: local, jobs: 2}
""")


def start(folder: Path, plugin) -> subprocess.Popen:
    (folder / "slow.yaml").write_text(SLOW)
    command = [sys.executable, "-m", "inrbench_core.cli.app", "eval", "--spec", "slow.yaml", *plugin]
    # A shell's background jobs ignore SIGINT and pass that on; a user's terminal does not.
    heed = partial(signal.signal, signal.SIGINT, signal.default_int_handler)
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(command, cwd=folder, text=True, preexec_fn=heed, **pipes)


def finished(folder: Path) -> dict[str, int]:
    """Finished runs and when their files were written."""
    return {file.name: file.stat().st_mtime_ns for file in run_files(folder)}


def wait_for(condition, seconds=300):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


@pytest.mark.slow
def test_kill_and_the_same_command_again_completes_without_repeating(tmp_path, run_cli, plugin):
    process = start(tmp_path, plugin)
    wait_for(lambda: len(finished(tmp_path)) >= 3)
    process.kill()
    process.communicate()
    done_before = finished(tmp_path)
    again = run_cli("eval", "--spec", "slow.yaml", *plugin, cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    after = finished(tmp_path)
    assert len(after) == 7
    assert {name: after[name] for name in done_before} == done_before
    assert "6/6" in again.stdout
    assert not list((tmp_path / "results/slow/runs").glob(".*"))


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_keeps_what_is_done_says_how_to_continue_and_exits_130(tmp_path, run_cli, plugin, number):
    process = start(tmp_path, plugin)
    wait_for(lambda: len(finished(tmp_path)) >= 3)
    os.kill(process.pid, number)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 130
    data = json.loads(run_cli("results", "results/slow", "--format", "runs", "--json", cwd=tmp_path).stdout)
    done = sum(run["status"] == "ok" for run in data["runs"])
    assert 3 <= done < 12
    assert err.splitlines()[-1] == (
        f"inrbench: stopped: {done} of 7 runs are done and kept in results/slow; the same command continues from there"
    )
    assert out == ""
    assert "Traceback" not in err
