"""The executor without Ray: options, what travels, and a connection that says nothing or ends."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import types
from pathlib import Path

import pytest
from inrbench_executor_ray import executor as executor_module
from inrbench_executor_ray.code import Parcels, stage, unpack
from inrbench_executor_ray.executor import ClusterLost, RayExecutor
from inrbench_executor_ray.plugin import RaySpec
from pydantic import ValidationError

from inrbench_core import ExecutorContext, Job
from inrbench_core.api.errors import UnsupportedError
from inrbench_core.plugins.fingerprints import Fingerprints
from inrbench_core.plugins.loading import load_catalog
from inrbench_core.runs.child import Child

CPU = ExecutorContext(jobs=1, device="cpu")
RELAY = """
import pickle, sys, time
from inrbench_core.runs.serve import connect, send
connection = connect()
messages = connection.makefile("rb")
pickle.load(messages)
{then}
"""


@pytest.mark.parametrize("options", [{"address": "ray://head:10001"}, {"gpus_per_run": 1.5}, {"cpus_per_run": 0}])
def test_options_that_ray_cannot_do_are_refused(options: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        RaySpec.model_validate(options)


@pytest.mark.parametrize(
    ("device", "options", "reason"),
    [
        ("cuda:1", {}, "device: cuda:1 is a GPU of this machine"),
        ("cuda", {"gpus_per_run": 0}, "gpus_per_run: 0 and device: cuda"),
    ],
)
def test_a_device_that_ray_does_not_give_is_refused(device: str, options: dict[str, object], reason: str) -> None:
    with pytest.raises(UnsupportedError, match=reason):
        RayExecutor(RaySpec.model_validate(options), ExecutorContext(jobs=1, device=device))


@pytest.fixture
def use_relay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Puts a module in the place of the relay, which connects and does as it is told."""

    def use(then: str) -> None:
        (tmp_path / "stand_in_relay.py").write_text(RELAY.format(then=then))
        monkeypatch.syspath_prepend(tmp_path)
        monkeypatch.setattr(executor_module, "Child", lambda _, environment: Child("stand_in_relay", environment))

    return use


def test_a_connection_that_hangs_is_given_up_on(use_relay) -> None:
    use_relay("time.sleep(600)")
    with pytest.raises(UnsupportedError, match="the Ray cluster at auto has not answered for 0"):
        RayExecutor(RaySpec(wait_s=0.5), CPU)


def test_a_refused_connection_says_why(use_relay) -> None:
    use_relay("send(connection, 'refused', 'no connection: no such host')\nsys.exit(1)")
    with pytest.raises(UnsupportedError, match="executor ray: no connection: no such host; start Ray with"):
        RayExecutor(RaySpec(), CPU)


def test_a_connection_that_ends_raises_after_what_it_has_told(use_relay) -> None:
    use_relay(
        "send(connection, 'connected', None)\n"
        "number, job = pickle.load(messages)[1]\n"
        "send(connection, 'event', (number, ('started', None)))\n"
        "open(__import__('os').environ['INRBENCH_RAY_LOG'], 'w').write('GCS is gone\\n')\n"
    )
    executor = RayExecutor(RaySpec(), CPU)
    executor.submit(Job("one", ()))
    told = []
    with pytest.raises(ClusterLost, match=r"the connection to the Ray cluster at auto has ended \(GCS is gone\)"):  # noqa: PT012
        while True:
            for event in executor.events(5.0):
                told.append((event.job_id, event.what))
    assert told == [("one", "started")]
    assert list(executor.unfinished()) == []
    with pytest.raises(ClusterLost):
        executor.submit(Job("two", ()))
    executor.shutdown()


def test_the_code_that_travels_has_the_fingerprints_of_the_code_here(tmp_path: Path) -> None:
    """Found by a fresh Python that has it at the front of its path, with its entry points and versions."""
    catalog = load_catalog()
    distributions = stage(tmp_path)
    assert "inrbench-executor-ray" in distributions
    assert set(distributions) == {item.distribution for item in catalog.registered} - {"inrbench"}
    script = (
        "import json, inrbench_core\n"
        "from inrbench_core.plugins.loading import load_catalog\n"
        "from inrbench_core.plugins.fingerprints import Fingerprints\n"
        "catalog = load_catalog()\n"
        "field = catalog.resolve('field', {'name': 'mlp', 'activation': 'sine'})\n"
        "places = {item.package: __import__(item.package).__file__ for item in catalog.registered}\n"
        "print(json.dumps([inrbench_core.__version__, places, Fingerprints(catalog).of([field])]))\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run([sys.executable, "-P", "-c", script], env=environment, capture_output=True, check=True)
    version, places, fingerprints = json.loads(done.stdout)
    assert all(Path(place).is_relative_to(tmp_path) for place in places.values())
    assert version == __import__("inrbench_core").__version__
    assert fingerprints == Fingerprints(catalog).of([catalog.resolve("field", {"name": "mlp", "activation": "sine"})])


def test_files_travel_once_and_a_plugin_file_with_the_modules_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    there.mkdir()
    (here / "my_plugin.py").write_text(
        "from inrbench_core import ComponentSpec, ActivationEntry, hookimpl\n"
        "class MineSpec(ComponentSpec):\n    '''Mine.'''\n"
        "@hookimpl\ndef inrbench_activations():\n"
        "    yield ActivationEntry('mine', MineSpec, 'my_module:Mine', api=1)\n"
    )
    (here / "my_module.py").write_text("class Mine: ...\n")
    (here / "unrelated.py").write_text("1 / 0\n")
    (here / "photo.png").write_bytes(b"pixels")
    stored: list[object] = []
    parcels = Parcels(lambda content: stored.append(content) or content)
    job = Job("one", (), (str(here / "my_plugin.py"),), (str(here / "photo.png"),))
    first, second = parcels.of(job), parcels.of(job)
    assert first == second
    assert len(stored) == 2
    monkeypatch.chdir(there)
    monkeypatch.setitem(sys.modules, "ray", types.SimpleNamespace(get=lambda content: content))
    plugin, photo = unpack(first[str(here / "my_plugin.py")]), unpack(first[str(here / "photo.png")])
    assert sorted(file.name for file in plugin.parent.iterdir()) == ["my_module.py", "my_plugin.py"]
    assert photo.name == "photo.png"
    assert photo.read_bytes() == b"pixels"
    assert unpack(first[str(here / "photo.png")]) == photo
    # A file that has changed travels again, to another place.
    (here / "photo.png").write_bytes(b"other pixels")
    assert unpack(parcels.of(job)[str(here / "photo.png")]).read_bytes() == b"other pixels"
    assert photo.read_bytes() == b"pixels"
