"""Everything that is printed: no text of a user's reaches a terminal as commands, and tables keep to its width."""

import json
import re
import shutil
import sys
import unicodedata
from pathlib import Path

import pytest

from inrbench_core.runs.runfile import encode, read_file
from inrbench_core.runs.store import RunStore, replace_file

STAND_INS = Path(__file__).parent.parent / "stand_ins"
# Without brackets, which would make it a pattern for files.
SIGNAL = '"\\e]0;owned\\a \\u202egnol"'
# Sets a title, turns text red, clears the screen by one character (C1), writes from right to left, rings; and what
# rich would make an emoji, or markup, of.
EVIL = "\x1b]0;owned\x07 \x1b[31mred \x9b2J \u202egnol\u202c \x07 :smile: [b]"
YAML_EVIL = '"\\e]0;owned\\a \\e[31mred \\x9b2J \\u202egnol\\u202c"'


def unsafe(text):
    """The characters in it that a terminal acts on."""
    return {
        character
        for character in text
        if character not in "\n\t" and unicodedata.category(character) in {"Cc", "Cf", "Cs", "Zl", "Zp"}
    }


def check(done, *expected):
    assert not unsafe(done.stdout)
    assert not unsafe(done.stderr)
    assert "Traceback" not in done.stderr
    for text in expected:
        assert text in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("yaml", "expected"),
    [
        ("task: line\nfields: [shallow]\nEVIL: 3\n", "\\x1b]0;owned"),
        ("task: {name: line, EVIL: 1}\nfields: [shallow]\n", "\\x1b[31mred"),
        ("task: EVIL\nfields: [shallow]\n", "no task named"),
        ("task: line\nfields: [{name: shallow, label: EVIL}]\n", "expected one line of text"),
        ("task: line\nfields: [{name: shallow, activation: EVIL}]\n", "no activation named"),
        ("task: line\nfields: [shallow]\nsweep: {EVIL: [1]}\n", "\\x9b2J"),
        ("task: {name: image, source: EVIL}\nfields: [mlp]\n", "\\u202egnol"),
        ("task: {name: image, signals: [EVIL]}\nfields: [mlp]\n", "\\x1b"),
        ("task: line\nfields: [shallow]\ntraining: {optimizer: EVIL}\n", "no optimizer named"),
        ("task: line\nfields: [shallow]\nname: EVIL\n", "letters, digits"),
    ],
)
def test_what_a_spec_says_is_written_out_in_its_errors(run_cli, write_spec, plugin, yaml, expected):
    done = run_cli("eval", "--spec", write_spec(yaml.replace("EVIL", YAML_EVIL)), *plugin)
    assert done.returncode == 2
    check(done, expected)
    assert len(done.stderr.splitlines()) == 1


def test_what_the_command_line_says_is_written_out(run_cli, write_spec, tmp_path, plugin, small):
    spec = write_spec(small)
    evil = EVIL.replace("\x00", "")
    for arguments in [
        ("eval", "--spec", spec, "--set", evil),
        ("eval", "--spec", spec, "--set", f"{evil}=1"),
        ("eval", "--spec", spec, "--set", f"task={evil}"),
        ("eval", "--spec", spec, "--set", f"name='{evil}'"),
        ("eval", "--spec", spec, "--sort", evil),
        ("eval", "--spec", spec, "--device", evil),
        ("eval", "--spec", evil),
        ("eval", "--spec", spec, "--jobs", evil),
        ("eval", f"--{evil}"),
        (evil,),
        ("results", evil),
        ("results", tmp_path, "--format", evil),
        ("results", tmp_path, "--format", "csv", "--option", f"{evil}=1"),
        ("render", evil),
        ("list", evil),
        ("show", "activation", evil),
        ("show", evil, "wave"),
        ("check", evil),
        ("list", "--plugin-file", evil),
    ]:
        done = run_cli(*arguments, *plugin)
        assert done.returncode == 2, arguments
        check(done)


@pytest.fixture(scope="module")
def hostile(evaluated, tmp_path_factory):
    """A folder of results with labels, messages and file names made up to harm a terminal; two runs are not ok."""
    _, folder = evaluated
    hostile = tmp_path_factory.mktemp("hostile") / EVIL.replace("/", "")
    shutil.copytree(folder / "results/small", hostile)
    store = RunStore(hostile)
    (data,) = store.experiments()
    (board,) = data["boards"]
    board["label"] = f"task {EVIL}\nsecond line"
    board["metrics"][1]["name"], board["metrics"][1]["unit"] = f"mae{EVIL}", EVIL
    for row in board["rows"]:
        row["label"] += EVIL
        for run in row["runs"]:
            run[1] = f"signal {EVIL}"
    wave = next(row for row in board["rows"] if row["label"].startswith("wave"))
    for run_id, *_ in wave["runs"]:
        path = store.path(run_id)
        record = read_file(path)
        facts = {**record.facts(), "status": "failed", "message": f"why {EVIL}\nnext", "problems": (f"also {EVIL}",)}
        replace_file(path, encode(type(record).from_facts(facts, record.read_arrays)))
    kink = next(row for row in board["rows"] if row["label"].startswith("kink"))
    kink["skip"] = f"because {EVIL}"
    for old in (hostile / "experiments").iterdir():
        old.unlink()
    store.add_experiment(data)
    (hostile / "experiments" / f"{EVIL}.json").write_text("{")
    return hostile


@pytest.mark.parametrize(
    "options",
    [
        (),
        ("--json",),
        ("--sort", "psnr"),
        *(("--format", name) for name in ("table", "runs", "csv", "json", "markdown", "latex", "lines")),
        ("--format", "runs", "--json"),
    ],
)
def test_what_files_of_results_say_is_written_out_in_every_format(hostile, run_cli, plugin, options):
    done = run_cli("results", hostile, *options, *plugin)
    assert done.returncode == 0, done.stderr
    check(done, "kink")
    if "--json" in options or "json" in options:
        # What a program reads is what the files say.
        data = json.loads(done.stdout)
        (rows,) = [task["rows"] for task in data["tasks"]] if "tasks" in data else [data["runs"]]
        assert {row["field"] for row in rows} == {f"{name}{EVIL}" for name in ("zero", "wave", "kink")}
    else:
        assert "\\x1b" in done.stdout
    if options in ((), ("--format", "csv")):
        assert "\\x9b2J" in done.stdout
        assert ":smile: [b]" in " ".join(done.stdout.split())
        assert "why \\x1b]0;owned\\x07" in done.stdout


def test_a_render_of_such_a_folder_writes_it_out_too(hostile, run_cli, plugin):
    for options in ((), ("--json",), ("--field", EVIL)):
        check(run_cli("render", hostile, *options, *plugin))


@pytest.fixture
def shouting(tmp_path):
    """A plugin file whose texts, file name and exceptions hold escape sequences."""
    file = tmp_path / "shout\x1b[31m.py"
    file.write_text(f"""
from inrbench_core import ActivationEntry, ComponentSpec, hookimpl, ReporterEntry
from pydantic import Field

class ShoutSpec(ComponentSpec):
    {"x " + EVIL!r}
    loud: str = Field({EVIL!r}, description={EVIL!r})

@hookimpl
def inrbench_activations():
    yield ActivationEntry("shout", ShoutSpec, "nowhere:Shout", reference={EVIL!r}, formula={EVIL!r}, api=1)

@hookimpl
def inrbench_encodings():
    raise RuntimeError({EVIL!r})

@hookimpl
def inrbench_commands(app):
    raise RuntimeError({EVIL!r})
""")
    return file


def test_what_plugins_say_is_written_out(run_cli, shouting, write_spec, tmp_path, plugin, small):
    spec = write_spec(small)
    for arguments in [
        ("list",),
        ("list", "--json"),
        ("show", "activation", "shout"),
        ("show", "activation", "shout", "--json"),
        ("eval", "--spec", spec, "--set", "fields=[shallow]", "--set", "seeds=1", "--dry-run"),
        ("eval", "--spec", spec, "--set", "fields=[{name: shallow, activation: shout}]", "--set", "executor=inline"),
    ]:
        done = run_cli(*arguments, "--plugin-file", shouting, *plugin, cwd=tmp_path)
        check(done, "\\x1b" if "--json" not in arguments else "\\u001b")
    check(run_cli("check", "--plugin-file", shouting), "\\x1b")


RAISING = f"""
from inrbench_core import Metric, TaskEntry, TaskSpec, hookimpl

class LoudSpec(TaskSpec):
    source: str = "x"

def prepare(spec, *, device, seeds):
    raise ValueError({EVIL!r} + "\\nand more")

@hookimpl
def inrbench_tasks():
    yield TaskEntry("loud", LoudSpec, "loud_plugin:prepare", metrics=(Metric("psnr"),), baselines=(), api=1)
"""


@pytest.fixture
def loud(tmp_path, write_spec):
    """The arguments of an `eval` whose runs raise with escape sequences in their messages and signals."""
    (tmp_path / "loud_plugin.py").write_text(RAISING)
    spec = write_spec(
        f"task: {{name: loud, signals: [a, {SIGNAL}]}}\nfields: [shallow, swell]\n"
        "training: {steps: 1}\nexecutor: {name: local, jobs: 1}\nname: loud\n"
    )
    return ("eval", "--spec", spec, "--plugin-file", tmp_path / "loud_plugin.py")


def test_an_exception_text_is_written_out_in_progress_and_tables(run_cli, loud, plugin, tmp_path):
    done = run_cli(*loud, *plugin, cwd=tmp_path)
    assert done.returncode == 1
    check(done, "failed: ValueError: \\x1b]0;owned\\x07 \\x1b[31mred", "[4/4]")
    assert "wave: failed: ValueError" in done.stdout


def test_in_a_terminal_the_live_display_and_the_table_send_only_our_own_sequences(loud, plugin, tmp_path, in_terminal):
    code, sent = in_terminal(*loud, *plugin, cwd=tmp_path)
    assert code == 1
    assert "\\x1b]0;owned" in sent
    assert "starting workers" in sent
    # What rich itself sends: colours, the cursor, lines to erase.
    rest = re.sub(r"\x1b\[[0-9;?]*[mhlAKHJG]", "", sent)
    assert not unsafe(rest.replace("\r", ""))
    assert "red" in rest
    # The colour that the message asks for would follow its own words.
    assert "\x1b[31mred" not in sent


LONG_LABEL = "a field of which the label has many words so that it does not fit beside the figures"
SPEC_80 = f"""
name: wide
tasks:
  - {{name: line, label: a task with a long label that takes more than half of a line of the terminal}}
  - {{name: line, curvature: true, label: curved}}
fields:
  - {{name: shallow, activation: [wave, kink]}}
  - {{name: shallow, label: "{LONG_LABEL}"}}
  - {{name: shallow, encoding: [{{name: waves, omega: 1.5, orders: 4}}, {{name: waves, omega: 2.5, orders: 4}}]}}
  - {{name: shallow, label: one_long_word_of_a_label_without_any_space_in_it_that_can_be_folded, width: 5}}
training: {{steps: 12345, lr: 1.25e-7, evaluate_every: 0, batch: 8, compile: off}}
seeds: 2
executor: inline
"""


@pytest.fixture(scope="module")
def wide(tmp_path_factory, run_cli, plugin):
    """A folder with a spec whose names are long, and its results after few steps."""
    folder = tmp_path_factory.mktemp("wide")
    (folder / "wide.yaml").write_text(SPEC_80)
    (folder / "few.yaml").write_text(SPEC_80.replace("12345", "5"))
    return folder


def commands(plugin):
    return {
        "list": ("list", *plugin),
        "list recipe": ("list", "recipe", *plugin),
        "list activation": ("list", "activation", *plugin),
        "show task": ("show", "task", "image"),
        "show encoding": ("show", "encoding", "hashgrid"),
        "show activation": ("show", "activation", "wave", *plugin),
        "show reporter": ("show", "reporter", "lines", *plugin),
        "dry-run": ("eval", "--spec", "wide.yaml", "--dry-run", *plugin),
        "eval": ("eval", "--spec", "few.yaml", *plugin),
        "results": ("results", "results/wide"),
    }


@pytest.mark.parametrize("name", list(commands(())))
def test_at_80_columns_no_line_is_longer_and_nothing_is_cut(wide, run_cli, plugin, name):
    if name == "results" and not (wide / "results").exists():
        run_cli(*commands(plugin)["eval"], "--quiet", cwd=wide)
    done = run_cli(*commands(plugin)[name], env={"COLUMNS": "80"}, cwd=wide)
    assert done.returncode == 0, done.stderr
    # Paths and YAML are there to be copied, and are not folded.
    text = done.stdout.partition("in a spec:")[0]
    lines = [line for line in text.splitlines() if not line.startswith(("results: ", "picture: "))]
    assert [line for line in lines if len(line) > 80] == []
    assert "…" not in text
    assert len(lines) > 3


def test_a_table_at_80_columns_has_whole_figures_and_says_what_it_leaves_out(wide, run_cli, plugin):
    narrow = run_cli(*commands(plugin)["eval"], "--quiet", env={"COLUMNS": "80"}, cwd=wide).stdout
    everything = run_cli("results", "results/wide", "--format", "markdown", cwd=wide).stdout
    figures = set(re.findall(r"\d+\.\d+ ± \d+\.\d+ \|", everything.replace("|  ", "| ")))
    rows = [line.split("|") for line in everything.splitlines() if line.startswith("|") and "±" in line]
    first = {next(cell for cell in row if "±" in cell).strip() for row in rows}
    assert figures
    assert first
    assert all(figure in narrow for figure in first)
    assert "not shown at this width: " in narrow
    assert all(word in narrow for word in LONG_LABEL.split())
    assert "results: results/wide" in narrow


def test_the_width_is_that_of_the_terminal_or_what_columns_says(evaluated, run_cli, in_terminal):
    _, folder = evaluated
    command = ("results", folder / "results/small")
    for columns in (50, 70):
        _, sent = in_terminal(*command, columns=columns)
        plain = re.sub(r"\x1b\[[0-9;]*m", "", sent).replace("\r", "")
        assert max(map(len, plain.splitlines())) <= columns
        piped = run_cli(*command, env={"COLUMNS": str(columns)}).stdout
        assert plain == piped
    # Through a pipe that nobody says the width of, nothing is left out.
    wide = run_cli(*command, env={"COLUMNS": ""}).stdout
    assert "not shown" not in wide
    assert "train [s]" in wide


def test_a_reader_that_has_had_enough_is_no_error(evaluated):
    import subprocess

    _, folder = evaluated
    command = f"{sys.executable} -m inrbench_core.cli.app list | head -1"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, cwd=folder, check=False)
    assert done.stderr == ""
    assert len(done.stdout.splitlines()) == 1
