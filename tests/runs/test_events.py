"""The life-cycle hooks: their order, what they are told, and that one that fails costs no run."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from runs_support import PLUGIN_OPTIONS, PLUGINS, STAND_INS, TINY, CarryOut, MakeExperiment, fits

from inrbench_core.api.hookspecs import hookimpl
from inrbench_core.plugins.catalog import Catalog
from inrbench_core.plugins.loading import load_catalog
from inrbench_core.results.evaluate import Options, Stopped, carry_out
from inrbench_core.runs.plan import AnyRun
from inrbench_core.runs.record import RunRecord

LISTENER = STAND_INS / "listener_plugin.py"


def events_of(experiment: MakeExperiment, folder: Path, log: Path, **keys: object) -> list[list[object]]:
    catalog = load_catalog([*PLUGINS, LISTENER])
    carry_out(experiment(**keys), catalog, Options(folder), PLUGINS)
    return [json.loads(line) for line in log.read_text().splitlines()]


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LISTENER_LOG", str(tmp_path / "log"))
    return tmp_path / "log"


def test_hooks_are_called_in_order_with_what_happened(experiment: MakeExperiment, tmp_path: Path, log: Path) -> None:
    keys = {"training": {**TINY, "steps": 2000}, "executor": {"name": "local", "jobs": 1}, "seeds": 2}
    told = events_of(experiment, tmp_path / "results", log, **keys)
    assert told[0] == ["experiment_started", "tiny", 3, 0, str(tmp_path / "results")]
    assert told[-1] == ["experiment_finished", 3]
    by_run: dict[object, list[list[object]]] = {}
    for event in told[1:-1]:
        by_run.setdefault(event[1], []).append(event)
    assert len(by_run) == 3
    for events in by_run.values():
        assert events[0][0] == "run_started"
        assert events[-1][0] == "run_finished"
        assert {event[0] for event in events[1:-1]} == {"progress"}
        assert events[-1][2:] == ["ok", ["values"], "preview"]
    phases = {phase for events in by_run.values() for _, _, phase in events[1:-1]}
    assert {"preparing", "training", "evaluating"} <= phases


def test_what_was_done_before_is_said_at_the_start_and_not_again(
    experiment: MakeExperiment, tmp_path: Path, log: Path
) -> None:
    events_of(experiment, tmp_path / "results", log)
    log.unlink()
    told = events_of(experiment, tmp_path / "results", log)
    assert told == [["experiment_started", "tiny", 2, 2, str(tmp_path / "results")], ["experiment_finished", 2]]


HOOKS = ("experiment_started", "run_started", "progress", "run_finished", "experiment_finished")


@pytest.mark.parametrize("how", ["raise", "exit"])
def test_a_listener_that_fails_is_told_once_and_costs_nothing(
    experiment: MakeExperiment, tmp_path: Path, log: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """A listener that called sys.exit() ended `eval` with status 0 and nothing done."""
    for hook in HOOKS:
        log.unlink(missing_ok=True)
        monkeypatch.setenv("LISTENER_FAULT", f"{hook} {how}")
        # Progress comes from workers only.
        executor = {"name": "local", "jobs": 1} if hook == "progress" else "inline"
        with pytest.warns(UserWarning, match=f"inrbench_{hook} of listener_plugin.py:listener_plugin raised"):
            told = events_of(experiment, tmp_path / f"{hook}-{how}", log, executor=executor)
        # It is not called any more.
        assert told[-1][0] == hook
        assert sum(event[0] == hook for event in told) == 1
        assert len(list((tmp_path / f"{hook}-{how}" / "runs").glob("*.h5"))) == 2


def test_eval_goes_on_and_exits_as_it_should_where_a_listener_exits(
    run_cli: Callable[..., subprocess.CompletedProcess[str]], write_spec: Callable[[str], Path], tmp_path: Path
) -> None:
    options = [*PLUGIN_OPTIONS, "--plugin-file", LISTENER, "--out", tmp_path / "results"]
    environment = {"LISTENER_LOG": str(tmp_path / "log"), "LISTENER_FAULT": "run_started exit"}
    for trouble, status in (("", 0), ("raise", 1)):
        spec = write_spec(f"{{task: {{name: line, trouble: '{trouble}'}}, fields: [shallow], training: {{steps: 3}}}}")
        done = run_cli("eval", "--spec", spec, *options, env=environment)
        assert done.returncode == status, done.stderr
        assert "Traceback" not in done.stderr
        assert done.stderr.count("raised and is not called any more: SystemExit: 0") == 1
        assert "wave" in done.stdout


def test_the_arrays_of_a_repeated_run_that_fails_are_not_those_of_the_good_file(
    experiment: MakeExperiment, evaluate: CarryOut, catalog: Catalog, tmp_path: Path
) -> None:
    """With --fresh a good record stays in its file; what the listener is told is what happened now."""
    keys = {"task": {"name": "line"}, "seeds": [0, 1]}
    good = fits(evaluate(**keys))[1]
    heard: list[tuple[AnyRun, RunRecord]] = []

    class Listener:
        @hookimpl
        def inrbench_run_finished(self, run: AnyRun, record: RunRecord) -> None:
            assert record.arrays is not None
            heard.append((run, record))

    listener = Listener()
    catalog.manager.register(listener)
    try:
        fault = experiment(**keys, executor={"name": "inline", "fault": "garbage_bytes"})
        results = carry_out(fault, catalog, Options(tmp_path / "results", fresh=True), PLUGINS)
    finally:
        catalog.manager.unregister(listener)
    (failed,) = [record for run, record in heard if run.id == good.id]
    assert failed.status == "failed"
    assert dict(failed.arrays.outputs) == {}
    assert good.id in results.failed
    # The table shows the good one.
    (kept,) = [run for run in results.runs if run.id == good.id]
    assert kept.status == "ok"
    assert kept.record is not None
    np.testing.assert_array_equal(kept.record.arrays.outputs["values"], good.record.arrays.outputs["values"])  # type: ignore[union-attr]


@pytest.mark.parametrize("at", [1, 4])
def test_an_interrupt_that_a_callback_swallows_stops_all_the_same(
    experiment: MakeExperiment, catalog: Catalog, tmp_path: Path, at: int
) -> None:
    """Python itself drops a KeyboardInterrupt within a finaliser."""
    before = signal.getsignal(signal.SIGINT)

    class Listener:
        finished = 0

        @hookimpl
        def inrbench_run_finished(self, run: AnyRun, record: RunRecord) -> None:
            self.finished += 1
            if self.finished == at:
                with contextlib.suppress(KeyboardInterrupt):
                    signal.raise_signal(signal.SIGINT)

    listener = Listener()
    catalog.manager.register(listener)
    try:
        with pytest.raises(Stopped):
            carry_out(experiment(seeds=3, executor="inline"), catalog, Options(tmp_path / "results"), PLUGINS)
    finally:
        catalog.manager.unregister(listener)
    assert len(list((tmp_path / "results" / "runs").glob("*.h5"))) == at
    assert signal.getsignal(signal.SIGINT) is before
