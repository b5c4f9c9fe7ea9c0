"""What the tests of runs share: a catalog of stand-ins, and experiments that are carried out on it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
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
from runs_support import PLUGINS, TINY, CarryOut, ExecutorCase, MakeCase, MakeExperiment, MakePlan


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


@pytest.fixture(scope="session")
def ray_case(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ExecutorCase]:
    """A Ray cluster of one node with two CPUs, on loopback."""
    from inrbench_executor_ray.testing import LocalCluster

    place = tmp_path_factory.mktemp("place")
    # Its nodes keep the environment that they were started with.
    with LocalCluster(nodes=1, cpus=2, environment={"TROUBLE_PLACE": str(place)}) as cluster:
        spec = {"name": "ray", "address": cluster.address, "wait_s": 60}
        yield ExecutorCase(spec, place, cluster.process.pid)


@pytest.fixture
def case_of(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MakeCase:
    """Makes the executor of a name ready for a test."""

    def make(name: str) -> ExecutorCase:
        if name == "ray":
            found: ExecutorCase = request.getfixturevalue("ray_case")
            for file in found.place.iterdir():
                file.unlink()
            return found
        place = tmp_path / "place"
        place.mkdir()
        monkeypatch.setenv("TROUBLE_PLACE", str(place))
        return ExecutorCase({"name": name}, place)

    return make
