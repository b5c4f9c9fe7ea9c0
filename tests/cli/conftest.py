"""What the tests of commands share: stand-ins, one small experiment, and a terminal."""

from __future__ import annotations

import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

STAND_INS = Path(__file__).parent.parent / "stand_ins"
SMALL = """
name: small
task: line
fields:
  - {name: shallow, activation: [wave, kink]}
training: {steps: 20, evaluate_every: 10, compile: off}
seeds: 2
executor: {name: local, jobs: 1}
"""
Terminal = Callable[..., tuple[int, str]]


@pytest.fixture(scope="session")
def plugin() -> tuple[str, ...]:
    """The options that load the stand-ins."""
    names = ("small_plugin", "executors_plugin", "outputs_plugin")
    return tuple(item for name in names for item in ("--plugin-file", str(STAND_INS / f"{name}.py")))


@pytest.fixture(scope="session")
def small() -> str:
    """A spec of two fields and two seeds."""
    return SMALL


@pytest.fixture(scope="session")
def evaluated(
    tmp_path_factory: pytest.TempPathFactory, run_cli: Any, plugin: tuple[str, ...]
) -> tuple[subprocess.CompletedProcess[str], Path]:
    """What `eval` of the small spec printed, and the folder it ran in. Its results are not to be changed."""
    folder = tmp_path_factory.mktemp("evaluated")
    (folder / "small.yaml").write_text(SMALL)
    done = run_cli("eval", "--spec", "small.yaml", *plugin, cwd=folder)
    assert done.returncode == 0, done.stderr
    return done, folder


@pytest.fixture(scope="session")
def in_terminal() -> Terminal:
    """Runs `inrbench` in a terminal of some width; returns its exit status and all that the terminal was sent."""

    def run(*arguments: str | Path, columns: int = 80, cwd: Path | None = None) -> tuple[int, str]:
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
        environment = {**os.environ, "TERM": "xterm-256color", "OMP_NUM_THREADS": "1"}
        for name in ("COLUMNS", "NO_COLOR"):
            environment.pop(name, None)
        command = [sys.executable, "-m", "inrbench_core.cli.app", *map(str, arguments)]
        process = subprocess.Popen(command, cwd=cwd, env=environment, stdin=theirs, stdout=theirs, stderr=theirs)
        os.close(theirs)
        sent = b""
        while True:
            try:
                part = os.read(ours, 65536)
            except OSError:
                # How Linux tells that the other end is closed.
                break
            if not part:
                break
            sent += part
        os.close(ours)
        return process.wait(), sent.decode()

    return run
