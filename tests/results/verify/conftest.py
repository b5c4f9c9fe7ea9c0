"""A folder of results that is right, made once, and what it takes to plant a defect into a copy of it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from inrbench_core.api.problem import Problem
from inrbench_core.plugins.catalog import Catalog
from inrbench_core.plugins.loading import load_catalog
from inrbench_core.results.evaluate import Options, carry_out
from inrbench_core.results.load import load_results
from inrbench_core.results.results import ResultRun, Results
from inrbench_core.results.verify.report import Report
from inrbench_core.results.verify.verify import verify
from inrbench_core.runs import execute as execute_module
from inrbench_core.runs.execute import execute
from inrbench_core.runs.identity import digest, run_id
from inrbench_core.runs.record import RunRecord
from inrbench_core.runs.run import run_from_data
from inrbench_core.runs.runfile import encode
from inrbench_core.spec.builder import build_experiment
from inrbench_core.spec.yaml_io import document_of

PLUGINS = [Path(__file__).parents[2] / "stand_ins" / "executors_plugin.py", Path(__file__).parent / "fixed_plugin.py"]
SPEC: dict[str, Any] = {
    "name": "verified",
    "tasks": [
        {"name": "image", "signals": ["astronaut", "coffee"], "size": 16, "held_out": 0.25},
        {"name": "image", "label": "whole", "source": "astronaut", "size": 16, "held_out": 0.0},
    ],
    "fields": [
        {"name": "mlp", "label": "sine", "activation": "sine", "width": {"parameters": 1245}, "depth": 2},
        {"name": "mlp", "label": "relu", "activation": "relu", "width": 16, "depth": 1},
    ],
    "training": {"steps": 40, "lr": 2e-3, "evaluate_every": 20, "compile": "off"},
    "seeds": [0, 1],
    "executor": "inline",
    "device": "cpu",
}
Evaluate = Callable[..., Results]


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> Iterator[None]:
    """Threads only slow such small fits down; runs are computed again with as many as they had."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def catalog() -> Catalog:
    """What is installed, an executor that works in this process, and a field that is the same for every seed."""
    return load_catalog(PLUGINS)


@pytest.fixture(scope="session")
def evaluate(catalog: Catalog) -> Evaluate:
    """Carries out `SPEC`, with other values for some of its keys, into a folder."""

    def run(folder: Path, **keys: Any) -> Results:
        experiment = build_experiment(document_of({**SPEC, **keys}), catalog)
        return carry_out(experiment, catalog, Options(folder), PLUGINS)

    return run


@pytest.fixture(scope="session")
def carry_out_known(catalog: Catalog) -> Evaluate:
    """Like `evaluate`, with what an exported table has of it."""

    def run(folder: Path, table: Path, **keys: Any) -> Results:
        experiment = build_experiment(document_of({**SPEC, **keys}), catalog)
        return carry_out(experiment, catalog, Options(folder, known=(table,)), PLUGINS)

    return run


@pytest.fixture(scope="session")
def right_folder(evaluate: Evaluate, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The results of `SPEC`; not to be changed."""
    folder = tmp_path_factory.mktemp("verified")
    evaluate(folder)
    return folder


class Folder:
    """A copy of a folder of results that defects are planted into: its files stay valid, and their ids right."""

    def __init__(self, path: Path, catalog: Catalog) -> None:
        self.path = path
        self.catalog = catalog

    def run(self, task: str, field: str, seed: int = 0, signal: str = "astronaut") -> ResultRun:
        """A run of its tables."""
        return next(
            run
            for run in load_results(self.path).runs
            if (run.task, run.field, run.seed, run.signal) == (task, field, seed, signal)
        )

    def record(self, *which: Any) -> RunRecord:
        """The record of `run`, with its arrays in memory."""
        record = self.run(*which).record
        assert record is not None
        arrays = record.arrays
        return replace(record, read_arrays=lambda: arrays)

    def put(self, run: ResultRun, record: RunRecord) -> None:
        """Replace a run's record by another, in the runs and in the experiment."""
        new = run_id(record.run)
        run.path.unlink()
        run.path.with_name(f"{new}.h5").write_bytes(encode(record))
        self.edit(lambda text: text.replace(run.id, new))

    def edit(self, change: Callable[[str], str]) -> None:
        """Change the text of the one experiment, and give it the id of what it holds then."""
        (path,) = (self.path / "experiments").glob("*.json")
        content = json.loads(change(path.read_text()))
        content["id"] = digest(content["experiment"])
        path.unlink()
        path.with_name(f"{content['id']}.json").write_text(json.dumps(content))

    def edit_rows(self, change: Callable[[dict[str, Any]], None]) -> None:
        """Change each row of the experiment in place."""

        def changed(text: str) -> str:
            content = json.loads(text)
            for board in content["experiment"]["boards"]:
                for row in board["rows"]:
                    change(row)
            return json.dumps(content)

        self.edit(changed)

    def fit(self, record: RunRecord, changes: dict[str, Any]) -> RunRecord:
        """Fit a record's run with other options: dotted key -> value."""
        data = json.loads(json.dumps(dict(record.run)))
        for key, value in changes.items():
            *path, last = key.split(".")
            target = data
            for part in path:
                target = target[part]
            target[last] = value
        fitted = execute(run_from_data(data, self.catalog))
        assert fitted.status == "ok", fitted.message
        return fitted

    def fit_wrongly(
        self, monkeypatch: pytest.MonkeyPatch, record: RunRecord, source: dict[str, Any], **changes: Any
    ) -> RunRecord:
        """Fit a record's run on the samples of the task with other options, and measure it as the record says.

        `changes` are of the run on whose samples it is fitted.
        """
        run = run_from_data(record.run, self.catalog)
        other = run_from_data({**record.run, "task": {**record.run["task"], **source}, **changes}, self.catalog)
        prepare = execute_module.prepare
        with monkeypatch.context() as patch:
            patch.setattr(execute_module, "_prepared", execute_module._Prepared())
            patch.setattr(
                execute_module, "prepare", lambda run, device: Mistaken(prepare(run, device), prepare(other, device))
            )
            fitted = execute(run)
        assert fitted.status == "ok", fitted.message
        return fitted

    def verify(self, **options: Any) -> Report:
        """What `inrbench verify` finds."""
        return verify(self.path, self.catalog, **options)


class Mistaken:
    """A problem that is measured as one says and trained on the samples of another."""

    def __init__(self, measured: Problem, trained: Problem) -> None:
        self._measured, self._trained = measured, trained

    def __getattr__(self, name: str) -> Any:
        return getattr(self._trained if name in ("batch", "loss", "elements") else self._measured, name)


@pytest.fixture
def planted(catalog: Catalog) -> Callable[[Path], Folder]:
    """Makes a folder one that defects can be planted into."""
    return lambda path: Folder(path, catalog)


@pytest.fixture
def folder(right_folder: Path, catalog: Catalog, tmp_path: Path) -> Folder:
    """A copy of `right_folder`."""
    path = tmp_path / "results"
    shutil.copytree(right_folder, path)
    # What is planted has to be read from the files.
    (path / "index.sqlite").unlink(missing_ok=True)
    return Folder(path, catalog)
