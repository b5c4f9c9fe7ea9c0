"""RunStore: whole files or none, good records stay, experiments are kept, one writer at a time."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from runs_support import STAND_INS, times_of_files, wait_until

from inrbench_core.api.errors import InrbenchError
from inrbench_core.runs.plan import AnyRun
from inrbench_core.runs.record import STATUSES, RunArrays, RunRecord
from inrbench_core.runs.runfile import NotARun, decode, encode, read_file
from inrbench_core.runs.store import FolderInUse, RunStore

Made = list[tuple[AnyRun, bytes]]


def changed(content: bytes, run: AnyRun, **facts: object) -> bytes:
    """A run's file with other facts."""
    return encode(replace(decode(content, run.id), **facts))  # type: ignore[arg-type]


def test_a_record_comes_back_bit_for_bit(made_runs: Made) -> None:
    run, content = made_runs[-1]
    random = np.random.default_rng(0)
    arrays = RunArrays(
        curve={"step": np.arange(3), "loss": np.array([1.0, np.nan, 0.5])},
        outputs={"values": random.normal(size=(4, 5, 3)).astype(np.float32), "a/b": np.array([-0.0, np.inf])},
        weights={"complex": np.ones((2, 3), np.complex64), "empty": np.zeros((0, 2)), "scalar": np.array(3)},
        parameters={"pose": random.normal(size=6)},
        preview=np.arange(48, dtype=np.uint8).reshape(4, 4, 3),
        analyses={"spectrum": {"steps": np.arange(2), "metrics/low": np.array([0.1, 0.2])}},
    )
    metrics = {"psnr": 12.345678901234567, "bad": float("nan"), "most": float("inf")}
    written = replace(
        decode(content, run.id), metrics=metrics, traceback="x" * 100_000, message="naïve ∂", read_arrays=lambda: arrays
    )
    read = decode(encode(written), run.id)
    assert repr(replace(read, metrics={})) == repr(replace(written, metrics={}))
    assert np.array(list(read.metrics.values())).tobytes() == np.array(list(metrics.values())).tobytes()
    assert read.arrays.truth is None
    pairs = [(read.arrays.preview, arrays.preview)]
    for name in ("curve", "outputs", "weights", "parameters"):
        ours, theirs = getattr(read.arrays, name), getattr(arrays, name)
        assert set(ours) == set(theirs)
        pairs += [(ours[key], theirs[key]) for key in theirs]
    pairs += [(read.arrays.analyses["spectrum"][key], array) for key, array in arrays.analyses["spectrum"].items()]
    for ours, theirs in pairs:
        assert (ours.dtype, ours.shape, ours.tobytes()) == (theirs.dtype, theirs.shape, theirs.tobytes())


def test_the_file_is_hdf5_for_other_programs(made_runs: Made, tmp_path: Path) -> None:
    import h5py

    run, content = made_runs[-1]
    (tmp_path / "a.h5").write_bytes(content)
    with h5py.File(tmp_path / "a.h5") as file:
        assert file.attrs["id"] == run.id
        assert file.attrs["status"] == "ok"
        assert json.loads(file["facts"].asstr()[()])["metrics"] == dict(decode(content, run.id).metrics)
        assert file["outputs/values"].shape == (64, 1)


@pytest.mark.parametrize("new", STATUSES)
@pytest.mark.parametrize("old", STATUSES)
def test_a_good_record_is_replaced_by_a_good_one_only(store: RunStore, made_runs: Made, old: str, new: str) -> None:
    """Interrupted and failed runs replaced good ones, weights and all."""
    run, content = made_runs[-1]
    store.path(run.id).write_bytes(changed(content, run, status=old, step=1))
    returned = store.put(run.id, changed(content, run, status=new, step=2))
    assert (returned.status, returned.step) == (new, 2)
    kept = read_file(store.path(run.id))
    assert (kept.status, kept.step) == ((old, 1) if old == "ok" != new else (new, 2))
    # The index says the same as the file.
    (listed,) = RunStore(store.folder).records([run.id]).values()
    assert (listed.status, listed.step) == (kept.status, kept.step)


def test_the_file_of_another_run_is_refused_and_nothing_is_written(store: RunStore, made_runs: Made) -> None:
    (run, _), (_, other) = made_runs[:2]
    before = times_of_files(store.folder)
    for content in (other, b"", b"x" * 1000):
        with pytest.raises(NotARun):
            store.put(run.id, content)
    assert times_of_files(store.folder) == before


def test_a_write_that_fails_leaves_the_old_file_and_no_temporary_one(
    store: RunStore, made_runs: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, content = made_runs[-1]

    def full_disk(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(OSError, match="No space left"):
        store.put(run.id, changed(content, run, parameters=50))
    assert read_file(store.path(run.id)) == decode(content, run.id)
    assert {path.suffix for path in store.runs.iterdir()} == {".h5"}


WRITER = """
import sys
from dataclasses import replace
from pathlib import Path
from inrbench_core.runs.runfile import decode, encode
from inrbench_core.runs.store import RunStore
store, run_id = RunStore(Path(sys.argv[1])), sys.argv[2]
record = decode(store.path(run_id).read_bytes(), run_id)
with store.lock():
    print("ready", flush=True)
    for count in range(10**6):
        store.put(run_id, encode(replace(record, step=count)))
"""


def writer(store: RunStore, run: AnyRun) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, store.folder, run.id], cwd=STAND_INS, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def test_a_writer_killed_at_any_time_leaves_a_whole_file(store: RunStore, made_runs: Made) -> None:
    """A process writes the same run over and over and is killed; what is there is always whole."""
    run, _ = made_runs[-1]
    for count in range(5):
        with writer(store, run) as process:
            time.sleep(0.05 + 0.037 * count)
            process.kill()
        assert read_file(store.path(run.id)).status == "ok"
        # The lock went with its process.
        with store.lock():
            store.sweep()
        assert {path.suffix for path in store.runs.iterdir()} == {".h5"}
        assert RunStore(store.folder).records([run.id])[run.id] == read_file(store.path(run.id))


def test_what_killed_writers_left_is_deleted_wherever_they_write(store: RunStore) -> None:
    folders = [store.folder / name for name in ("runs", "experiments", "known")]
    for folder in folders:
        folder.mkdir(exist_ok=True)
        (folder / ".abc.123.tmp").touch()
        (folder / "abc.csv").touch()
    store.sweep()
    assert all([path.name for path in folder.iterdir() if path.suffix != ".h5"] == ["abc.csv"] for folder in folders)


def test_a_second_writer_is_told_who_the_first_is(store: RunStore, made_runs: Made) -> None:
    with writer(store, made_runs[0][0]) as process:
        expected = f"in use by process {process.pid} on {os.uname().nodename}; wait for it \\(--wait\\), or give"
        with pytest.raises(FolderInUse, match=expected), store.lock():
            pass
        process.kill()
    with store.lock(), pytest.raises(FolderInUse, match=f"process {os.getpid()}"), RunStore(store.folder).lock():
        pass


def test_waiting_ends_when_the_first_writer_does(store: RunStore, made_runs: Made) -> None:
    code = (
        "import sys; from pathlib import Path; from inrbench_core.runs.store import RunStore\n"
        "with RunStore(Path(sys.argv[1])).lock(wait=True): print('mine', flush=True)"
    )
    with store.lock():
        waiting = subprocess.Popen([sys.executable, "-c", code, store.folder], stdout=subprocess.PIPE, text=True)
        with pytest.raises(subprocess.TimeoutExpired):
            waiting.wait(timeout=1.5)
    output, _ = waiting.communicate(timeout=30)
    assert output == "mine\n"


def test_every_experiment_of_a_folder_is_kept(tmp_path: Path) -> None:
    store = RunStore(tmp_path)
    one, two = {"name": "one", "boards": []}, {"name": "two", "boards": []}
    for experiment in (one, two, one):
        store.add_experiment(experiment)
        time.sleep(0.01)
    assert list(store.experiments()) == [two, one]
    assert len(list((tmp_path / "experiments").iterdir())) == 2


def test_a_damaged_experiment_is_named_and_the_others_are_shown(tmp_path: Path) -> None:
    store = RunStore(tmp_path)
    good = {"name": "good", "boards": []}
    store.add_experiment(good)
    (file,) = (tmp_path / "experiments").iterdir()
    text = file.read_text()
    for name, content in {
        "damaged": text.replace("good", "gold"),
        "cut": text[:20],
        "list": "[1]",
        "deep": "[" * 100_000,
        "old": text.replace("experiment/2", "experiment/1"),
        "empty": "",
        "binary": "\x00\x01",
    }.items():
        (tmp_path / "experiments" / f"{name}.json").write_text(content)
    os.mkfifo(tmp_path / "experiments" / "fifo.json")
    (tmp_path / "experiments" / "folder.json").mkdir()
    assert list(store.experiments()) == [good]
    assert set(store.unusable) == {
        f"{name}.json" for name in ("damaged", "cut", "list", "deep", "old", "empty", "binary", "fifo", "folder")
    }
    file.unlink()
    with pytest.raises(InrbenchError, match=r"no results here; .*damaged\.json: damaged: it does not match its id"):
        RunStore(tmp_path).experiments()


def test_a_folder_without_results_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(InrbenchError, match="no results here"):
        RunStore(tmp_path / "nothing").experiments()


def test_setting_aside_never_overwrites(store: RunStore, made_runs: Made) -> None:
    run, content = made_runs[0]
    for number in range(3):
        store.path(run.id).write_bytes(b"damaged" + bytes([number]))
        store.put(run.id, content)
    kept = sorted((store.folder / "set_aside").iterdir())
    assert [path.read_bytes()[-1] for path in kept] == [1, 2, 0]
    assert [path.name for path in kept] == [f"{run.id}-2.h5", f"{run.id}-3.h5", f"{run.id}.h5"]
    assert store.unusable[f"{run.id}.h5"].endswith(f"; it is now set_aside/{run.id}-3.h5")


def test_arrays_are_read_when_asked_for_and_not_before(store: RunStore, made_runs: Made) -> None:
    run, content = made_runs[-1]
    (record,) = RunStore(store.folder).records([run.id]).values()
    assert isinstance(record, RunRecord)
    store.path(run.id).write_bytes(content[:-1])
    with pytest.raises(NotARun, match="damaged or cut off"):
        wait_until(lambda: record.arrays)
    store.path(run.id).unlink()
    with pytest.raises(NotARun, match="no such file"):
        wait_until(lambda: record.arrays)
