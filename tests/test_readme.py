"""What the README shows works as it is written there."""

import re
import textwrap
from pathlib import Path

import pytest
from PIL import Image

from inrbench_core.spec.experiment import load_experiment

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
    (tmp_path / "my.yaml").write_text(block("task: {name: image, source: my_photo.jpg"))
    fits = [run for run in load_experiment(tmp_path / "my.yaml", catalog).runs if run.field]
    assert len(fits) == (6 + 3 + 1) * 3 * 2


def test_every_component_is_in_the_readme(catalog):
    for item in catalog.registered:
        if item.entry.kind in {"field", "encoding", "activation", "basis", "task"} and "/" not in item.distribution:
            assert f"`{item.entry.name}`" in README, f"{item.entry.kind} {item.entry.name}"
