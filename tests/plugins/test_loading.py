"""Loading: each plugin on its own, what is wrong is told with its cause, and what is sound stays."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from inrbench_core.api.suggest import did_you_mean
from inrbench_core.plugins.discovery import allowed
from inrbench_core.plugins.loading import load_catalog

STAND_INS = Path(__file__).parent.parent / "stand_ins"


def test_listing_in_a_fresh_process_imports_no_torch() -> None:
    code = """
import sys
from inrbench_core.cli.app import build_app
sys.argv = ["inrbench", "list"]
try:
    build_app()()
finally:
    print("torch" in sys.modules, file=sys.stderr)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert done.stderr.strip() == "False"
    assert "executors" in done.stdout


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, True),
        ({"INRBENCH_PLUGINS": ""}, False),
        ({"INRBENCH_PLUGINS": "other, Some_Plugin"}, True),
        ({"INRBENCH_PLUGINS": "other"}, False),
        ({"INRBENCH_DISABLE": "some.plugin"}, False),
        ({"INRBENCH_DISABLE": "other"}, True),
    ],
)
def test_the_environment_decides_what_loads(environment: dict[str, str], expected: bool) -> None:
    assert allowed("some-plugin", environment) is expected


def test_with_no_plugins_core_still_works(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INRBENCH_PLUGINS", "")
    catalog = load_catalog()
    assert {item.distribution for item in catalog.registered} == {"inrbench"}
    assert catalog.failures == []


def test_a_plugin_file_that_is_missing_or_broken_is_a_failure_with_its_name(tmp_path: Path) -> None:
    missing, broken = tmp_path / "absent.py", tmp_path / "broken.py"
    broken.write_text("1/0")
    failures = load_catalog([missing, broken, STAND_INS / "small_plugin.py"]).failures
    assert [failure.distribution for failure in failures] == [missing.name, broken.name]
    assert "ZeroDivisionError" in failures[1].error
    assert "broken.py" in failures[1].traceback


def test_strict_plugins_raise(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = tmp_path / "broken.py"
    broken.write_text("1/0")
    monkeypatch.setenv("INRBENCH_STRICT_PLUGINS", "1")
    with pytest.raises(RuntimeError, match="ZeroDivisionError"):
        load_catalog([broken])


RECORD = """
from inrbench_core import ActivationEntry, ComponentSpec, hookimpl
class Spec(ComponentSpec):
    '''A spec.'''
class Reserved(ComponentSpec):
    label: int = 1
@hookimpl
def inrbench_activations():
    yield ActivationEntry("good", Spec, "module:Class", api=1)
    yield {record}
"""
TASK = """
from inrbench_core import ComponentSpec, Metric, TaskEntry, TaskSpec, hookimpl
class Spec(TaskSpec):
    '''A task.'''
class Taken(TaskSpec):
    signals: int = 1
METRICS = (Metric("psnr"), Metric("mae"))
@hookimpl
def inrbench_tasks():
    yield TaskEntry("good", Spec, "module:make", metrics=METRICS, rank_by="mae", api=1)
    yield {record}
"""


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ("ActivationEntry('Bad Name', Spec, 'm:C', api=1)", "name 'Bad Name' may hold only"),
        ("ActivationEntry('bad', dict, 'm:C', api=1)", "spec must be a subclass of ComponentSpec"),
        ("ActivationEntry('bad', Spec, 'm.C', api=1)", "target 'm.C' is not 'module:attribute'"),
        ("ActivationEntry('bad', Reserved, 'm:C', api=1)", "the spec field 'label' is reserved"),
        ("ActivationEntry('bad', Spec, 'm:C', api=9)", "pip install --upgrade inrbench"),
        ("ActivationEntry('bad', Spec, 'm:C', api='1')", "api is '1', not a whole number"),
        ("ActivationEntry('bad', Spec, 'm:C', api=True)", "api is True, not a whole number"),
        ("None", "hook for activation entries returned NoneType, not ActivationEntry"),
        ("1/0", "ZeroDivisionError"),
        # Copied from core, it could never tell for which version a plugin was written.
        ("ActivationEntry('bad', Spec, 'm:C')", "missing 1 required keyword-only argument: 'api'"),
    ],
)
def test_a_wrong_record_is_told_and_the_good_one_beside_it_stays(tmp_path: Path, record: str, message: str) -> None:
    file = tmp_path / "records.py"
    file.write_text(RECORD.replace("{record}", record))
    catalog = load_catalog([file])
    (failure,) = [item for item in catalog.failures if item.distribution == file.name]
    assert message in failure.describe()
    # A hook that raises half-way gives nothing: what it would have added is not known.
    raised = failure.stage == "hook"
    assert ("good" in catalog.names("activation")) is not raised


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ("TaskEntry('bad', Spec, 'm:f', api=1)", "task 'bad' declares no metrics"),
        ("TaskEntry('bad', Spec, 'm:f', metrics=METRICS, rank_by='ssim', api=1)", "rank_by 'ssim' is none of its"),
        ("TaskEntry('bad', Taken, 'm:f', metrics=METRICS, api=1)", "the spec field 'signals' is reserved"),
        ("TaskEntry('bad', ComponentSpec, 'm:f', metrics=METRICS, api=1)", "spec must be a subclass of TaskSpec"),
    ],
)
def test_a_wrong_task_is_told_and_the_good_one_beside_it_stays(tmp_path: Path, record: str, message: str) -> None:
    file = tmp_path / "tasks.py"
    file.write_text(TASK.replace("{record}", record))
    catalog = load_catalog([file])
    (failure,) = [item for item in catalog.failures if item.distribution == file.name]
    assert message in failure.describe()
    assert "good" in catalog.names("task")
    assert "bad" not in catalog.names("task")


def test_a_plugin_without_hooks_is_a_failure(tmp_path: Path) -> None:
    file = tmp_path / "hookless.py"
    file.write_text("def inrbench_activations(): yield 1\n")
    (failure,) = [item for item in load_catalog([file]).failures if item.distribution == file.name]
    assert "it implements no hook; is @hookimpl missing" in failure.describe()


def test_a_field_that_takes_a_recipes_name_is_a_clash(tmp_path: Path) -> None:
    file = tmp_path / "taker.py"
    file.write_text(
        "from inrbench_core import ComponentSpec, FieldEntry, hookimpl\n"
        "class Spec(ComponentSpec):\n    '''A field.'''\n"
        "@hookimpl\ndef inrbench_fields(): yield FieldEntry('swell', Spec, 'm:C', api=1)\n"
    )
    catalog = load_catalog([STAND_INS / "small_plugin.py", file])
    for look_up in (catalog.recipe, lambda name: catalog.resolve("field", name)):
        with pytest.raises(Exception, match="'swell' is claimed by several") as caught:
            look_up("swell")
        assert "'small_plugin.py:swell'" in str(caught.value)
        assert "'taker.py:swell'" in str(caught.value)
    assert catalog.recipe("small_plugin.py:swell").stands_for["name"] == "shallow"
    assert catalog.resolve("field", "taker.py:swell").distribution == "taker.py"


def test_an_unknown_hook_is_a_failure(tmp_path: Path) -> None:
    file = tmp_path / "unknown_hook.py"
    file.write_text("from inrbench_core import hookimpl\n@hookimpl\ndef inrbench_colours(): yield 1\n")
    (failure,) = [item for item in load_catalog([file]).failures if item.distribution == file.name]
    assert failure.stage == "register"
    assert "inrbench_colours" in failure.error


def test_printing_on_import_does_not_reach_stdout(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "printing.py"
    file.write_text("print('hello from a plugin')")
    load_catalog([file])
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "hello" in captured.err


def test_did_you_mean() -> None:
    assert did_you_mean("sien", ["sine", "relu"]) == "; did you mean 'sine'?"
    assert did_you_mean("hash-grid", ["hash_grid"]) == "; did you mean 'hash_grid'?"
    assert did_you_mean("xyz", ["sine"]) == ""


def test_a_plugin_file_takes_the_place_of_no_other_module(tmp_path: Path) -> None:
    text = "from inrbench_core import hookimpl\n@hookimpl\ndef inrbench_activations():\n    return []\n"
    files = [tmp_path / "one" / "mine_inr.py", tmp_path / "two" / "mine_inr.py", tmp_path / "statistics.py"]
    files.append(tmp_path / "scipy.py")
    for file in files:
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)
    catalog = load_catalog(files)
    told = {failure.entry_point: failure.error for failure in catalog.failures}
    assert told["mine_inr"] == f"{files[0]} has the same name; rename one of them"
    assert told["statistics"] == "statistics is the name of a module of Python itself; rename the file"
    assert told["scipy"] == "scipy is the name of an installed module; rename the file"
    import statistics

    assert statistics.fmean([1.0, 3.0]) == 2.0
