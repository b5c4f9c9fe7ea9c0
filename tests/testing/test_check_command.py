"""`inrbench check`: output, counts, exit status."""

from __future__ import annotations

import json
import re
import subprocess
import textwrap
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

Cli = Callable[..., subprocess.CompletedProcess[str]]

STAND_INS = Path(__file__).parent.parent / "stand_ins"
HEAVY = ("--plugin-file", STAND_INS / "heavy_plugin.py")
HOOKS = ("--plugin-file", STAND_INS / "wrong_plugin_hooks.py")
README = Path(__file__).parent.parent.parent / "README.md"


@pytest.mark.slow
def test_a_failure_is_named_counted_and_exits_1(environment) -> None:
    """The module of a distribution that imports torch."""
    text = (STAND_INS / "heavy_plugin.py").read_text()
    environment.install_metadata("heavy-inr", "[inrbench]\nheavy = heavy_plugin\n", {"heavy_plugin": text})
    done = environment.inrbench("check", "heavy-inr", code=1)
    assert "failed   plugin_without_torch: the plugin module imports torch" in done.stdout
    assert "activation heavy: " in done.stdout
    assert ", 1 failed, " in done.stdout.splitlines()[-1]


def test_of_a_plugin_file_alone_only_its_own_components_are_checked(run_cli: Cli) -> None:
    done = run_cli("check", *HEAVY)
    assert done.returncode == 0, done.stdout
    assert [line for line in done.stdout.splitlines() if line[0].isalpha()] == [
        "activation heavy: 24 passed, 3 skipped"
    ]
    assert "skipped  plugin_without_torch: a plugin file is one file" in done.stdout


def test_the_example_of_the_readme_passes(run_cli: Cli, tmp_path: Path) -> None:
    (example,) = re.findall(r"^    # my_activation\.py\n(?:(?: {4}.*)?\n)+", README.read_text(), flags=re.MULTILINE)
    (tmp_path / "my_activation.py").write_text(textwrap.dedent(example))
    done = run_cli("check", "--plugin-file", "my_activation.py", cwd=tmp_path)
    assert done.returncode == 0, done.stdout
    assert done.stdout.startswith("activation snake: ")


def test_the_hooks_of_a_plugin_file_are_checked(run_cli: Cli) -> None:
    done = run_cli("check", *HOOKS)
    assert done.returncode == 1
    assert done.stdout.startswith("hooks wrong_plugin_hooks: 2 failed, 1 skipped\n")
    assert "failed   commands: the command 'nameless' has no help" in done.stdout


def test_json_holds_every_check_and_the_counts(run_cli: Cli) -> None:
    done = run_cli("check", "heavy_plugin.py", "--json", *HEAVY)
    data = json.loads(done.stdout)
    assert data["schema"] == "inrbench.check/1"
    counts = Counter(check["status"] for check in data["checks"])
    assert data["counts"] == {**{name: counts[name] for name in ("passed", "failed", "skipped")}, "broken": 0}
    assert counts["passed"] > 15
    assert all(check["reason"] for check in data["checks"] if check["status"] != "passed")


def test_sound_entries_exit_0(run_cli: Cli) -> None:
    # Core's own distribution: an executor, the reporters and the optimisers.
    done = run_cli("check", "inrbench")
    assert done.returncode == 0, done.stdout
    assert " failed" not in done.stdout.splitlines()[-1].replace("0 failed", "")


def test_an_unknown_distribution_is_one_line(run_cli: Cli) -> None:
    done = run_cli("check", "inrbenhc")
    assert done.returncode == 2
    assert done.stderr == "inrbench: no distribution 'inrbenhc' with plugins; did you mean 'inrbench'?\n"
