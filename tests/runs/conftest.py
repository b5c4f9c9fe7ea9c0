"""What the tests of runs share: a catalog of stand-ins, and experiments that are carried out on it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from inrbench_core.plugins.catalog import Catalog
from inrbench_core.plugins.loading import load_catalog
from inrbench_core.results.evaluate import Options, carry_out, find_device
from inrbench_core.results.results import Results
from inrbench_core.runs.plan import AnyRun, Plan, make_plan
from inrbench_core.runs.store import RunStore
from inrbench_core.spec.builder import build_experiment
from inrbench_core.spec.experiment import Experiment
from inrbench_core.spec.yaml_io import document_of

sys.path.append(str(Path(__file__).parent))
from runs_support import PLUGINS, TINY, CarryOut, MakeExperiment, MakePlan


@pytest.fixture(scope="session")
def catalog() -> Catalog:
    """What is installed, and the stand-ins."""
    return load_catalog(PLUGINS)


@pytest.fixture(scope="session")
def experiment(catalog: Catalog) -> MakeExperiment:
    """Makes the experiment of a spec's keys; without more of them it is one tiny fit in this process."""

    def make(**keys: Any) -> Experiment:
        defaults = {"name": "tiny", "task": "line", "fields": ["shallow"], "training": TINY, "executor": "inline"}
        given = {key: value for key, value in {**defaults, **keys}.items() if value is not None}
        return build_experiment(document_of(given), catalog, ())

    return make


@pytest.fixture(scope="session")
def plan(experiment: MakeExperiment, catalog: Catalog) -> MakePlan:
    """Makes the plan of a spec's keys."""

    def make(**keys: Any) -> Plan:
        made = experiment(**keys)
        return make_plan(made, catalog, find_device(made.device))

    return make


@pytest.fixture
def evaluate(experiment: MakeExperiment, catalog: Catalog, tmp_path: Path) -> CarryOut:
    """Carries out a spec's keys in `tmp_path / out`."""

    def run(*, out: str = "results", fresh: bool = False, wait: bool = False, **keys: Any) -> Results:
        options = Options(tmp_path / out, fresh=fresh, wait=wait)
        return carry_out(experiment(**keys), catalog, options, PLUGINS)

    return run


@pytest.fixture(scope="session")
def made_runs(plan: MakePlan) -> list[tuple[AnyRun, bytes]]:
    """Four runs that are ok, each with its file."""
    from inrbench_core.runs.execute import execute
    from inrbench_core.runs.runfile import encode

    runs = plan(seeds=3).runs.values()
    return [(run, encode(execute(run))) for run in list(runs)[:4]]


@pytest.fixture
def store(tmp_path: Path, made_runs: list[tuple[AnyRun, bytes]]) -> RunStore:
    """A folder with those runs."""
    made = RunStore(tmp_path / "results")
    made.runs.mkdir(parents=True)
    for run, content in made_runs:
        made.put(run.id, content)
    return made
