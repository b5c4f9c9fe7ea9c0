"""`inrbench reproduce`: what it lists, writes and runs, on settings of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from inrbench_published import command, settings
from inrbench_published.settings import load_settings
from typer.testing import CliRunner

from inrbench_core import InrbenchError
from inrbench_core.cli.app import build_app
from inrbench_core.cli.common import get_catalog
from inrbench_core.spec.builder import load_experiment

FIGURES = """
tiny:
  source: a table
  grade: measured
  data: a picture
  signals: own
  metric: psnr
  tolerance: 1000
  recipes: {siren: sine}
  figures: {sine: 20, "relu [8]": 10, MFN: {value: 30, not_here: there are none}}
"""
SPEC = """# The setting of a table.
name: tiny
task: {name: image, signals: [camera], size: 16, held_out: 0}
fields:
  - {name: mlp, label: sine, activation: sine, width: 8, depth: 1}
  - {name: mlp, label: "relu [8]", activation: relu, width: 8, depth: 1}
training: {steps: 2, compile: off}
executor: {name: local, jobs: 1}
"""


@pytest.fixture
def tiny(tmp_path, monkeypatch):
    """One setting that takes no time; the current folder is an empty one."""
    (tmp_path / "specs").mkdir()
    (tmp_path / "figures.yaml").write_text(FIGURES)
    (tmp_path / "specs" / "tiny.yaml").write_text(SPEC)
    known = load_settings(tmp_path / "figures.yaml", tmp_path / "specs")
    monkeypatch.setattr(settings, "load_settings", lambda: known)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return known["tiny"]


def run(*arguments):
    return CliRunner().invoke(build_app(), ["reproduce", *map(str, arguments)])


def test_without_a_name_the_settings_are_listed(tiny):
    done = run()
    assert done.exit_code == 0, done.output
    assert " ".join(done.stdout.split()).endswith("tiny measured 3 a picture a table siren")
    (setting,) = json.loads(run("--json").stdout)["settings"]
    assert (setting["name"], setting["grade"], setting["figures"]["sine"]["value"]) == ("tiny", "measured", 20)


def test_an_unknown_name_is_an_error(tiny):
    done = run("tinny")
    assert isinstance(done.exception, InrbenchError)
    assert "did you mean 'tiny'" in str(done.exception)


def test_the_spec_is_written_with_its_comments_and_over_nothing(tiny):
    done = run("tiny", "--write", "my.yaml")
    assert done.exit_code == 0, done.output
    assert Path("my.yaml").read_text() == SPEC
    assert load_experiment(Path("my.yaml"), get_catalog()).name == "tiny"
    again = run("tiny", "--write", "my.yaml")
    assert isinstance(again.exception, InrbenchError)
    assert "exists already" in str(again.exception)
    assert Path("my.yaml").read_text() == SPEC


def test_files_and_patterns_are_found_from_the_current_folder(tiny):
    Path("mine.png").touch()
    here = Path.cwd()
    assert command.named(["mine.png", "*.png", "camera"]) == [str(here / "mine.png"), str(here / "*.png"), "camera"]


@pytest.mark.slow
def test_a_setting_is_carried_out_and_kept(tiny):
    done = run("tiny", "--quiet", "--json")
    assert done.exit_code == 0, done.output
    data = json.loads(done.stdout)
    assert data["schema"] == "inrbench.reproduce/1"
    found = {row["field"]: row["verdict"] for row in data["rows"]}
    assert found == {"sine": "within 1000 dB", "relu [8]": "within 1000 dB", "MFN": "not here: there are none"}
    files = sorted(Path("results/tiny/runs").glob("*.h5"))
    # How runs are carried out is not part of the setting.
    table = run("tiny", "--quiet", "--set", "executor.jobs=2", "--set", "timeout_s=60")
    assert "within 1000 dB" in table.stdout
    assert "The setting of a table." in table.stdout
    assert sorted(Path("results/tiny/runs").glob("*.h5")) == files


@pytest.mark.slow
def test_a_recipe_runs_its_own_row_and_other_signals_are_said(tiny):
    done = run("siren", "--signals", "coins", "--quiet", "--json")
    assert done.exit_code == 0, done.output
    data = json.loads(done.stdout)
    assert [row["verdict"] for row in data["rows"] if row["here"] is not None] == ["not comparable: other data"]
    assert data["left_out"] == ["relu [8]"]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--signals", "coins"], "--signals"),
        (["--set", "training.steps=1", "--device", "cpu"], "--set, --device"),
        (["--only", "sine"], "--only"),
    ],
)
def test_changes_that_would_not_be_written_are_refused(tiny, arguments, expected):
    done = run("tiny", "--write", "my.yaml", *arguments)
    assert isinstance(done.exception, InrbenchError)
    assert str(done.exception) == f"--write writes the setting as published; leave out {expected}"
    assert not Path("my.yaml").exists()


def test_a_recipe_is_its_own_row_and_takes_no_only(tiny):
    done = run("siren", "--only", "camera", "--dry-run")
    assert isinstance(done.exception, InrbenchError)
    assert str(done.exception) == "siren stands for one row of tiny; to choose runs by --only, give tiny"


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ("sweep={task.held_out: [0, 0.1]}", "--set makes 2 tables of tiny, which has figures for one"),
        ("task=occupancy", "the figures of tiny are psnr, which task occupancy does not have"),
    ],
)
def test_what_cannot_be_compared_is_said_before_anything_runs(tiny, change, expected):
    done = run("tiny", "--set", change)
    assert isinstance(done.exception, InrbenchError), done.output
    assert expected in str(done.exception)
    assert "\n" not in str(done.exception)
    assert not Path("results").exists()


def test_a_dry_run_fits_nothing(tiny):
    done = run("tiny", "--dry-run", "--json")
    assert done.exit_code == 0, done.output
    assert {row["field"] for row in json.loads(done.stdout)["rows"] if not row["baseline"]} == {"sine", "relu [8]"}
    assert not Path("results").exists()


def test_listing_imports_no_torch():
    code = (
        "import sys; from inrbench_core.cli.app import main\n"
        "try: main()\n"
        "finally: assert not {'torch', 'numpy', 'scipy'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code, "reproduce"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "inr-bench-image" in done.stdout
