"""Fixtures shared by the tests."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from inrbench_core.plugins.catalog import Catalog
from inrbench_core.plugins.loading import load_catalog

REPOSITORY = Path(__file__).parent.parent


@pytest.fixture(scope="session")
def catalog() -> Catalog:
    """What is installed."""
    return load_catalog()


@pytest.fixture
def write_spec(tmp_path: Path) -> Callable[[str], Path]:
    """Writes YAML text to a file and returns its path."""

    def write(text: str, name: str = "spec.yaml") -> Path:
        file = tmp_path / name
        file.write_text(text, encoding="utf-8")
        return file

    return write


@pytest.fixture
def run_cli() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs `inrbench` in a process of its own, as a user would."""

    def run(*arguments: str | Path, timeout: float = 120, **options: object) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "NO_COLOR": "1", **options.pop("env", {})}  # type: ignore[dict-item]
        return subprocess.run(
            [sys.executable, "-m", "inrbench_core.cli.app", *map(str, arguments)],
            capture_output=True,
            text=True,
            timeout=timeout,
            env=environment,
            check=False,
            **options,  # type: ignore[call-overload]
        )

    return run
