"""evaluate, load_results and to_frame, as a program of the user's calls them."""

import builtins
import math
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import inrbench_core as inr
from inrbench_core.api.errors import InrbenchError, UnsupportedError
from inrbench_core.spec.yaml_io import SpecError

STAND_INS = Path(__file__).parent.parent / "stand_ins"
PLUGINS = [STAND_INS / "small_plugin.py", STAND_INS / "executors_plugin.py"]
SMALL = {
    "name": "small",
    "task": "line",
    "fields": [{"name": "shallow", "activation": ["wave", "kink"]}],
    "training": {"steps": 5, "evaluate_every": 0, "compile": "off"},
    "seeds": 2,
    "executor": "inline",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("evaluated") / "out"


@pytest.fixture(scope="module")
def results(folder):
    return inr.evaluate(SMALL, out=folder, plugin_files=PLUGINS)


def test_a_mapping_and_a_file_that_says_the_same_have_the_same_runs(results, folder, tmp_path):
    (tmp_path / "small.yaml").write_text(
        "{name: small, task: line, fields: [{name: shallow, activation: [wave, kink]}], seeds: 2, executor: inline,\n"
        " training: {steps: 5, evaluate_every: 0, compile: off}}"
    )
    files = {run.id: run.path.stat().st_mtime_ns for run in results.runs}
    again = inr.evaluate(tmp_path / "small.yaml", out=folder, plugin_files=PLUGINS)
    assert [run.id for run in again.runs] == [run.id for run in results.runs]
    assert {run.id: run.path.stat().st_mtime_ns for run in again.runs} == files
    assert {run.status for run in again.runs} == {"ok"}


def test_what_is_loaded_is_what_was_evaluated(results, folder):
    assert inr.load_results(folder).to_records() == results.to_records()


def test_changes_are_those_of_the_command_line(tmp_path):
    changed = inr.evaluate(SMALL, out=tmp_path, settings=["seeds=1", "fields=[swell]"], plugin_files=PLUGINS)
    assert [(run.field, run.seed) for run in changed.runs] == [("zero", 0), ("swell", 0)]


def test_the_table_of_a_call_is_of_its_own_spec_and_the_folder_keeps_all(tmp_path):
    inr.evaluate(SMALL, out=tmp_path, plugin_files=PLUGINS)
    other = inr.evaluate({**SMALL, "fields": ["swell"]}, out=tmp_path, plugin_files=PLUGINS)
    assert {run.field for run in other.runs} == {"zero", "swell"}
    assert {run.field for run in inr.load_results(tmp_path).runs} == {"zero", "swell"}
    assert {run.field for run in inr.load_results(tmp_path, every=True).runs} == {"zero", "wave", "kink", "swell"}


def test_runs_that_fail_are_in_the_results_and_named(tmp_path):
    spec = {**SMALL, "task": {"name": "line", "trouble": "raise"}, "fields": ["shallow"], "seeds": 1}
    results = inr.evaluate(spec, out=tmp_path, plugin_files=PLUGINS)
    (fit,) = [run for run in results.runs if not run.baseline]
    assert fit.status == "failed"
    assert results.failed == {fit.id}
    assert dict(fit.metrics) == {}
    with pytest.raises(InrbenchError, match="line: no field has a rank"):
        results.best()


def test_mistakes_in_a_mapping_are_told_by_their_paths(tmp_path):
    with pytest.raises(SpecError, match=r"^spec: fields\[0\]: no field named 'shalow'; did you mean 'shallow'"):
        inr.evaluate({**SMALL, "fields": ["shalow"]}, out=tmp_path, plugin_files=PLUGINS)
    with pytest.raises(UnsupportedError, match="the executor 'inline' has no option 'jobs'"):
        inr.evaluate(SMALL, out=tmp_path, plugin_files=PLUGINS, jobs=2)


SCRIPT = """
import inrbench_core as inr
print("top level")
results = inr.evaluate(
    {
        "name": "small",
        "task": "line",
        "fields": ["shallow"],
        "training": {"steps": 5, "evaluate_every": 0},
        "seeds": 2,
        "executor": {"name": "local", "jobs": 2},
    },
    plugin_files=[PLUGIN],
)
print(sorted(run.status for run in results.runs))
"""


@pytest.mark.parametrize("way", ["file", "stdin"])
def test_a_script_needs_no_guard_and_no_file(tmp_path, way):
    text = SCRIPT.replace("PLUGIN", repr(str(PLUGINS[0])))
    (tmp_path / "script.py").write_text(text)
    arguments = ["script.py"] if way == "file" else ["-"]
    done = subprocess.run(
        [sys.executable, *arguments],
        input=text if way == "stdin" else "",
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    # Workers that imported the script again would print as well.
    assert done.stdout.splitlines() == ["top level", "['ok', 'ok', 'ok']"]


def test_a_frame_has_one_row_for_each_run_and_metric(results):
    frame = results.to_frame()
    assert len(frame) == len(list(results.runs)) * 2
    assert list(frame.columns[:6]) == ["run", "group", "task", "signal", "field", "baseline"]
    means = frame[frame.metric == "psnr"].groupby("field").value.mean()
    (board,) = results.leaderboards()
    assert {row.label: row.metrics["psnr"].mean for row in board.rows} == pytest.approx(means.to_dict())
    units = dict(zip(frame.metric, frame.unit, strict=True))
    assert units == {"psnr": "dB", "mae": ""}
    assert frame[frame.field == "wave"].group.nunique() == 1
    assert frame[~frame.baseline].parameters.eq(49).all()


def test_a_run_without_figures_is_in_the_frame(tmp_path):
    spec = {**SMALL, "task": {"name": "line", "trouble": "nan"}, "fields": ["shallow"], "seeds": 1}
    results = inr.evaluate(spec, out=tmp_path, plugin_files=PLUGINS)
    (record,) = [record for record in results.to_records() if not record["baseline"]]
    assert record["status"] == "diverged"
    assert record["metric"] is None
    assert math.isnan(record["value"])
    assert "psnr is not a number" in record["message"]
    assert list(results.to_frame().isna().sum()[["metric", "value"]]) == [1, 2]


def test_without_pandas_the_message_says_what_to_install(results, monkeypatch):
    real_import = builtins.__import__

    def without_pandas(name, *arguments, **options):
        if name == "pandas":
            raise ImportError(name)
        return real_import(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", without_pandas)
    with pytest.raises(InrbenchError, match=r"^to_frame needs pandas: pip install 'inrbench\[pandas\]'$"):
        results.to_frame()


def test_the_extra_that_the_message_names_brings_pandas():
    import tomllib

    project = tomllib.loads((Path(__file__).parent.parent.parent / "pyproject.toml").read_text())["project"]
    assert any(item.startswith("pandas") for item in project["optional-dependencies"]["pandas"])


def test_the_interrupt_of_a_call_ends_workers_and_keeps_what_is_done(tmp_path):
    script = textwrap.dedent(f"""
        import _thread, threading, time
        from pathlib import Path
        import inrbench_core as inr
        spec = {{"name": "x", "task": "line", "fields": ["shallow"], "seeds": 3,
                 "training": {{"steps": 2000000, "evaluate_every": 0}}, "executor": {{"name": "local", "jobs": 1}}}}

        def interrupt():
            while not list(Path("results/x/runs").glob("*.h5")):
                time.sleep(0.05)
            _thread.interrupt_main()

        threading.Thread(target=interrupt, daemon=True).start()
        try:
            inr.evaluate(spec, plugin_files=[{str(PLUGINS[0])!r}])
        except KeyboardInterrupt:
            results = inr.load_results("results/x")
            print(sorted({{run.status for run in results.runs}}))
    """)
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "ok" in done.stdout
    assert "missing" in done.stdout
