"""Workers: their death is seen, they end with the driver, and a process does one job at a time."""

from __future__ import annotations

import pickle
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from runs_support import PLUGINS, CarryOut, MakePlan, children_of, fits, record_of, started, wait_until

from inrbench_core.api.executor import Job
from inrbench_core.runs.runfile import decode
from inrbench_core.runs.serve import take_message
from inrbench_core.runs.store import RunStore
from inrbench_core.runs.work import work

WriteSpec = Callable[[str], Path]


@pytest.mark.slow
@pytest.mark.parametrize("do", ["fork", "c_fork"])
def test_a_worker_that_dies_while_its_child_lives_does_not_stop_the_others(
    write_spec: WriteSpec, tmp_path: Path, do: str
) -> None:
    """The driver waited for ever for the end of a pipe that the child held open."""
    spec = write_spec(
        f"{{tasks: [{{name: trouble, do: {do}}}, line], fields: [shallow], training: {{steps: 3}},"
        " executor: {name: local, jobs: 1}}"
    )
    place = tmp_path / "place"
    place.mkdir()
    with started("eval", "--spec", spec, "--out", tmp_path / "out", env={"TROUBLE_PLACE": str(place)}) as driver:
        output, errors = driver.communicate(timeout=120)
        assert driver.returncode == 1, errors
        assert children_of(driver.pid) == []
    assert "its worker process died (signal SIGKILL)" in output
    # Tried twice.
    assert len(list(place.iterdir())) == 2
    assert sum(record.status == "ok" for record in every_record(tmp_path / "out")) == 3


@pytest.mark.slow
@pytest.mark.parametrize("do", ["hold", "fork_and_sleep"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL], ids=lambda number: number.name)
def test_no_worker_outlives_the_driver(write_spec: WriteSpec, tmp_path: Path, do: str, number: signal.Signals) -> None:
    """Not in a step of ten minutes either, during which the worker looks at nothing."""
    spec = write_spec(f"{{task: {{name: trouble, do: {do}}}, fields: [shallow], training: {{steps: 3}}}}")
    place = tmp_path / "place"
    place.mkdir()
    arguments = ("eval", "--spec", spec, "--out", tmp_path / "out", "--jobs", "1")
    with started(*arguments, env={"TROUBLE_PLACE": str(place)}) as driver:
        wait_until(lambda: list(place.iterdir()))
        time.sleep(0.3)
        workers = children_of(driver.pid)
        assert len(workers) == (2 if do == "fork_and_sleep" else 1)
        driver.send_signal(number)
        told = time.monotonic()
        wait_until(lambda: not set(workers) & set(children_of(driver.pid)), 2.0)
        _, errors = driver.communicate(timeout=60)
        assert time.monotonic() - told < 10
        assert "Traceback" not in errors
        assert driver.returncode == (-number if number == signal.SIGKILL else 130)
    statuses = sorted(record.status for record in every_record(tmp_path / "out"))
    assert statuses == (["ok"] if number == signal.SIGKILL else ["interrupted", "ok"])


def every_record(folder: Path) -> list[object]:
    store = RunStore(folder)
    return list(store.records({file.stem for file in store.runs.glob("*.h5")}).values())


def test_interrupted_runs_are_carried_out_again(evaluate: CarryOut, plan: MakePlan, tmp_path: Path) -> None:
    from inrbench_core.runs.outcome import failure
    from inrbench_core.runs.runfile import encode

    store = RunStore(tmp_path / "results")
    store.runs.mkdir(parents=True)
    for run in plan().runs.values():
        store.put(run.id, encode(failure(run, "interrupted", "interrupted by the user")))
    results = evaluate()
    assert [run.status for run in results.runs] == ["ok", "ok"]


def test_a_message_is_taken_when_all_of_it_has_come() -> None:
    """A worker may die in the middle of one, and a child of it keep the socket open."""
    messages = [("finished", ("run", bytes(3000))), ("ended", None)]
    sent = b"".join(len(body).to_bytes(8, "big") + body for body in map(pickle.dumps, messages))
    received = bytearray()
    found = []
    for byte in sent:
        received.append(byte)
        while (message := take_message(received)) is not None:
            found.append(message)
    assert found == messages
    assert received == b""
    assert take_message(bytearray(sent[:-1])[: len(sent) // 2]) is None


def test_a_second_job_in_the_same_process_at_the_same_time_is_refused(plan: MakePlan) -> None:
    """Threads would draw their weights from one generator, so that seeds would mean nothing."""
    runs = list(plan().runs.values())
    job = Job("one", tuple(run.to_data() for run in runs), tuple(str(plugin) for plugin in PLUGINS))
    first = work(job)
    run_id, content = next(first)
    raised: list[str] = []

    def second() -> None:
        try:
            list(work(job))
        except RuntimeError as error:
            raised.append(str(error))

    thread = threading.Thread(target=second)
    thread.start()
    thread.join()
    assert raised == ["this process is already doing a job; an executor needs one process for each"]
    # The first is not disturbed, and when it has ended there is room for another.
    rest = list(first)
    assert [run_id, *(found for found, _ in rest)] == [run.id for run in runs]
    assert decode(content, run_id).status == "ok"
    assert len(list(work(job))) == 2


def test_code_that_changes_under_a_running_experiment_fails_its_runs(
    evaluate: CarryOut, plan: MakePlan, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run is never kept under the fingerprint of code that did not compute it."""
    from inrbench_core.plugins import fingerprints

    original = fingerprints.source_fingerprint
    made = plan()
    monkeypatch.setattr(fingerprints, "source_fingerprint", lambda *given: original(*given) + "edited")
    # As in a worker that has not imported this code yet.
    monkeypatch.setattr("inrbench_core.runs.work._verified", set())
    # A worker of this process sees the edit; the plan was made before.
    job = Job("one", (next(iter(made.runs.values())).to_data(),), tuple(str(plugin) for plugin in PLUGINS))
    with pytest.raises(Exception, match=r"the code of small_plugin\.py is not what the experiment was planned with"):
        list(work(job))
    monkeypatch.undo()
    assert {record_of(run).status for run in fits(evaluate())} == {"ok"}
