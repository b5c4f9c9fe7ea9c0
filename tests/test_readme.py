"""What the README shows works as it is written there."""

import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from PIL import Image

from inrbench_core.runs.plan import make_plan
from inrbench_core.runs.run import FitRun
from inrbench_core.spec.builder import load_experiment

README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")


def block(first_words: str) -> str:
    """The indented block that begins with these words."""
    blocks = re.findall(r"(?:^(?: {4}.*)?\n)+", README, flags=re.MULTILINE)
    (found,) = [text for text in blocks if textwrap.dedent(text).lstrip("\n").startswith(first_words)]
    return textwrap.dedent(found).strip() + "\n"


@pytest.mark.slow
def test_the_activation_of_this_afternoon_runs(tmp_path, run_cli):
    (tmp_path / "my_activation.py").write_text(block("# my_activation.py"))
    (tmp_path / "my.yaml").write_text(
        "task: {name: image, source: camera, size: 16}\n"
        "fields: [{name: mlp, activation: [relu, sine, snake], width: 8}]\n"
        "training: {steps: 3}\nexecutor: {name: local, jobs: 1}\n"
    )
    done = run_cli("eval", "--spec", "my.yaml", "--plugin-file", "my_activation.py", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "snake" in done.stdout


def test_the_comparison_is_a_valid_spec(tmp_path, catalog):
    Image.new("RGB", (8, 8)).save(tmp_path / "my_photo.jpg")
    (tmp_path / "my.yaml").write_text(block("task: {name: image, signals:"))
    plan = make_plan(load_experiment(tmp_path / "my.yaml", catalog), catalog, "cpu")
    fits = [run for run in plan.runs.values() if isinstance(run, FitRun)]
    signals, seeds, batches = 2, 3, 2
    assert len(fits) == (6 + 3 + 1) * signals * seeds * batches
    # The text below it says so.
    assert {run.training.lr for run in fits if run.label.startswith("siren")} == {1e-4}


@pytest.mark.slow
def test_the_lines_of_python_run(tmp_path, catalog):
    (tmp_path / "my.yaml").write_text(
        "task: {name: image, source: camera, size: 16, mode: grey}\n"
        "fields: [{name: mlp, activation: [relu, sine], width: 8}]\n"
        "training: {steps: 3}\nexecutor: {name: local, jobs: 1}\n"
    )
    script = block("import inrbench_core as inr")
    done = subprocess.run(
        [sys.executable, "-c", f"{script}\nprint(field([[10.5, 20.25]]).shape)"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "(1, 1)"


NAMED_KINDS = {"field", "encoding", "activation", "basis", "task", "optimizer", "analysis"}


def test_every_component_is_in_the_readme(catalog):
    for item in catalog.registered:
        if item.entry.kind in NAMED_KINDS and "/" not in item.distribution:
            assert f"`{item.entry.name}`" in README, f"{item.entry.kind} {item.entry.name}"
