"""Fixtures shared by the tests."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from inrbench_core.plugins.catalog import Catalog
from inrbench_core.plugins.loading import load_catalog

REPOSITORY = Path(__file__).parent.parent


class Environment:
    """A throw-away virtual environment with `inrbench` in it.

    It sees the packages of the environment that runs the tests through a .pth file, so nothing has to
    be downloaded; what the tests install goes into it alone.
    """

    def __init__(self, folder: Path) -> None:
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
        self.python = folder / "bin" / "python"
        self.site = Path(
            subprocess.run(
                [self.python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
                check=True,
                capture_output=True,
                text=True,
            ).stdout.strip()
        )
        # Editable installs are .pth files too, which only `site.addsitedir` follows.
        outer = sysconfig.get_path("purelib")
        (self.site / "outer.pth").write_text(f"import site; site.addsitedir({outer!r})\n")

    def pip(self, *arguments: str | Path) -> None:
        done = subprocess.run(
            [self.python, "-m", "pip", "--quiet", "--disable-pip-version-check", *map(str, arguments)],
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr

    def inrbench(self, *arguments: str | Path, code: int | None = 0) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [self.python, "-m", "inrbench_core.cli.app", *map(str, arguments)],
            capture_output=True,
            text=True,
            # Small work, and tests run side by side.
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        assert code is None or done.returncode == code, done.stderr
        assert "Traceback" not in done.stderr
        return done

    def install_metadata(self, name: str, entry_points: str, modules: dict[str, str]) -> Path:
        """What a wheel of a pure Python distribution leaves in site-packages."""
        info = self.site / f"{name.replace('-', '_')}-1.2.3.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.2.3\n")
        (info / "entry_points.txt").write_text(entry_points)
        (info / "RECORD").write_text("")
        for module, text in modules.items():
            (self.site / f"{module}.py").write_text(textwrap.dedent(text))
        return info


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """An environment of the module's own."""
    return Environment(tmp_path_factory.mktemp("environment") / "venv")


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


@pytest.fixture(scope="session")
def run_cli() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs `inrbench` in a process of its own, as a user would."""

    def run(*arguments: str | Path, timeout: float = 600, **options: object) -> subprocess.CompletedProcess[str]:
        # What runs the tests may have set a width of its own.
        environment = {**os.environ, "NO_COLOR": "1", "COLUMNS": "200", **options.pop("env", {})}  # type: ignore[dict-item]
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
