"""Plugins really installed into an environment of their own: an outsider's, and six bad ones."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

OUTSIDER = Path(__file__).parent.parent / "distributions" / "outsider"
STAND_INS = Path(__file__).parent.parent / "stand_ins"

pytestmark = pytest.mark.slow


SPEC = """
task: line
fields: [{name: shallow, activation: ACTIVATION}]
training: {steps: 3}
"""


def evaluate(environment, folder: Path, activation: str, code: int = 0) -> str:
    spec = folder / f"{activation.rpartition(':')[2]}.yaml"
    spec.write_text(SPEC.replace("ACTIVATION", f"'{activation}'"))
    out = ("--out", folder / spec.stem, "--jobs", "1")
    done = environment.inrbench("eval", "--spec", spec, *out, "--plugin-file", STAND_INS / "small_plugin.py", code=code)
    return done.stdout + done.stderr


def test_an_outsiders_plugin_comes_works_and_goes(environment, tmp_path: Path) -> None:
    assert "outsine" not in environment.inrbench("list").stdout
    environment.pip("install", "--no-deps", "--no-build-isolation", OUTSIDER)
    try:
        listed = json.loads(environment.inrbench("list", "activation", "--json").stdout)["components"]
        (outsine,) = [item for item in listed if item["name"] == "outsine"]
        assert (outsine["distribution"], outsine["version"]) == ("outsider-inr", "2.3.4")
        assert outsine["summary"] == "Cosine of the scaled pre-activation."
        assert "outsine" in environment.inrbench("schema").stdout
        assert "outsine" in environment.inrbench("show", "activation", "outsine").stdout
        assert "1/1" in evaluate(environment, tmp_path, "outsine")
    finally:
        environment.pip("uninstall", "--yes", "outsider-inr")
    assert "outsine" not in environment.inrbench("list").stdout
    assert "no activation named 'outsine'" in evaluate(environment, tmp_path, "outsine", code=2)


GOOD_HOOK = """
    from inrbench_core import ActivationEntry, ComponentSpec, hookimpl

    class OddSpec(ComponentSpec):
        '''An odd one.'''

    @hookimpl
    def inrbench_activations():
        yield {record}
"""

BAD = {
    "raises-on-import": ("raise RuntimeError('no luck today')", "failed to import: RuntimeError: no luck today"),
    "exits-on-import": ("raise SystemExit(7)", "failed to import: SystemExit: 7"),
    "returns-wrong-record": (
        GOOD_HOOK.format(record="{'name': 'odd'}"),
        "returned a wrong record: hook for activation entries returned dict, not ActivationEntry",
    ),
    "has-an-old-api": (
        GOOD_HOOK.format(record="ActivationEntry('odd', OddSpec, 'odd:Odd', api=0)"),
        "is incompatible: activation 'odd' is written for api 0, this inrbench has api 1; "
        "pip install --upgrade has-an-old-api",
    ),
    "claims-a-taken-name": (GOOD_HOOK.format(record="ActivationEntry('wave', OddSpec, 'odd:Odd', api=1)"), None),
    "malformed-entry-points": (None, "has unreadable entry points: entry_points.txt cannot be read"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_plugin_harms_no_other_and_is_named_with_its_cause(environment, tmp_path: Path, name: str) -> None:
    source, message = BAD[name]
    module = f"bad_{name.replace('-', '_')}"
    text = "[inrbench]\nthis is no entry point\n" if source is None else f"[inrbench]\nbad = {module}\n"
    info = environment.install_metadata(name, text, {module: source or ""})
    try:
        plain = environment.inrbench("list")
        assert "local" in plain.stdout
        data = json.loads(environment.inrbench("list", "--json").stdout)
        assert any(item["name"] == "local" for item in data["components"])
        assert "1/1" in evaluate(environment, tmp_path, "kink")
        if message is None:
            assert_clash(environment, tmp_path, name)
            return
        (broken,) = data["broken"]
        assert (broken["distribution"], broken["version"]) == (name, "1.2.3")
        assert f"{name} 1.2.3 {message}" in " ".join(plain.stdout.split())
        if name == "has-an-old-api":
            assert "written for api 0" in evaluate(environment, tmp_path, "odd", code=3)
        else:
            assert name in evaluate(environment, tmp_path, "odd", code=2)
    finally:
        for path in [*info.iterdir()]:
            path.unlink()
        info.rmdir()
        (environment.site / f"{module}.py").unlink()


def assert_clash(environment, folder: Path, name: str) -> None:
    """Neither of two claimants wins; both are named, and either can be picked."""
    plugin_file = str(STAND_INS / "small_plugin.py")
    listed = environment.inrbench("list", "--plugin-file", plugin_file).stdout
    assert listed.count("wave (clash)") == 2
    told = evaluate(environment, folder, "wave", code=2)
    assert "activation 'wave' is claimed by several distributions" in told
    assert f"'{name}:wave'" in told
    assert "'small_plugin.py:wave'" in told
    assert "1/1" in evaluate(environment, folder, "small_plugin.py:wave")
