"""`inrbench check`: output, counts, exit status."""

from __future__ import annotations

import json
import subprocess
from collections import Counter
from collections.abc import Callable
from pathlib import Path

Cli = Callable[..., subprocess.CompletedProcess[str]]

STAND_INS = Path(__file__).parent.parent / "stand_ins"
HEAVY = ("--plugin-file", STAND_INS / "heavy_plugin.py")


def test_a_failure_is_named_counted_and_exits_1(run_cli: Cli) -> None:
    done = run_cli("check", "heavy_plugin.py", *HEAVY)
    assert done.returncode == 1
    assert "failed   plugin_without_torch: the plugin module imports torch" in done.stdout
    assert "activation heavy: " in done.stdout
    assert ", 1 failed, " in done.stdout.splitlines()[-1]


def test_json_holds_every_check_and_the_counts(run_cli: Cli) -> None:
    done = run_cli("check", "heavy_plugin.py", "--json", *HEAVY)
    data = json.loads(done.stdout)
    assert data["schema"] == "inrbench.check/1"
    counts = Counter(check["status"] for check in data["checks"])
    assert data["counts"] == {**{name: counts[name] for name in ("passed", "failed", "skipped")}, "broken": 0}
    assert counts["passed"] > 15
    assert all(check["reason"] for check in data["checks"] if check["status"] != "passed")


def test_sound_entries_exit_0(run_cli: Cli) -> None:
    # Core's own distribution: an executor and the reporters.
    done = run_cli("check", "inrbench")
    assert done.returncode == 0, done.stdout
    assert " failed" not in done.stdout.splitlines()[-1].replace("0 failed", "")


def test_an_unknown_distribution_is_one_line(run_cli: Cli) -> None:
    done = run_cli("check", "inrbensh")
    assert done.returncode == 2
    assert done.stderr == "inrbench: no distribution 'inrbensh' with plugins; did you mean 'inrbench'?\n"
