import os
import subprocess
import sys
import time

import h5py
import numpy as np
import pytest

from inrbench_core.api.errors import InrbenchError
from inrbench_core.runs.record import RunRecord
from inrbench_core.runs.store import RunStore


def record(run_id="a1", **changes):
    options = {
        "spec": {"task": {"name": "line"}},
        "status": "ok",
        "metrics": {"psnr": 12.345678901234567, "bad": float("nan")},
        "parameters": 49,
        "width": 16,
        "times": {"train": 1.5},
        "curve": {"step": np.arange(3), "loss": np.array([1.0, np.nan, 0.5])},
        "outputs": {"values": np.random.default_rng(0).normal(size=(4, 5, 3)).astype(np.float32)},
        "preview": np.arange(48, dtype=np.uint8).reshape(4, 4, 3),
        "weights": {"layers.0.weight": np.ones((2, 3), np.complex64), "empty": np.zeros((0, 2)), "scalar": np.array(3)},
        "traceback": "x" * 100_000,
    }
    return RunRecord(run_id, **{**options, **changes})


def test_a_record_comes_back_bit_for_bit(tmp_path):
    store = RunStore(tmp_path)
    written = record()
    store.write(written)
    read = store.read("a1")
    for name in ("spec", "status", "parameters", "width", "times", "traceback", "step", "compiled"):
        assert getattr(read, name) == getattr(written, name)
    assert read.metrics["psnr"] == written.metrics["psnr"]
    assert np.isnan(read.metrics["bad"])
    for group in ("curve", "outputs", "weights"):
        for key, array in getattr(written, group).items():
            np.testing.assert_array_equal(getattr(read, group)[key], array)
            assert getattr(read, group)[key].dtype == array.dtype
    np.testing.assert_array_equal(read.preview, written.preview)
    assert read.truth is None
    assert store.read("a1", arrays=False).outputs == {}


def test_absent_truncated_and_foreign_files_count_as_not_there(tmp_path):
    store = RunStore(tmp_path)
    assert store.read("a1") is None
    store.write(record())
    whole = store.path("a1").read_bytes()
    for length in (0, 100, len(whole) // 2, len(whole) - 1):
        store.path("a1").write_bytes(whole[:length])
        assert store.read("a1") is None, length
    with h5py.File(store.path("a1"), "w") as file:
        file.attrs["schema"] = "something else"
    assert store.read("a1") is None


def test_a_write_that_fails_leaves_the_old_file_and_no_litter(tmp_path, monkeypatch):
    store = RunStore(tmp_path)
    store.write(record())

    def full_disk(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(OSError, match="No space left"):
        store.write(record(parameters=50))
    assert store.read("a1").parameters == 49
    assert [path.name for path in store.runs.iterdir()] == ["a1.h5"]


def test_a_writer_killed_at_any_time_leaves_a_whole_file_or_none(tmp_path):
    """A process writes the same run over and over and is killed; what is there is always whole."""
    code = f"""
import sys; sys.path.insert(0, {os.path.dirname(__file__)!r})
from pathlib import Path
from test_store import record
from inrbench_core.runs.store import RunStore
store = RunStore(Path({str(tmp_path)!r}))
print("ready", flush=True)
for count in range(10**6):
    store.write(record(parameters=count))
"""
    store = RunStore(tmp_path)
    for _ in range(3):
        with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as process:
            process.stdout.readline()
            while not store.path("a1").exists():
                time.sleep(0.01)
            try:
                process.wait(timeout=0.3)
            except subprocess.TimeoutExpired:
                process.kill()
        assert store.read("a1") is not None
    store.begin("name", [], "")
    assert [path.name for path in store.runs.iterdir()] == ["a1.h5"]


def test_temporary_files_of_living_writers_are_left_alone(tmp_path):
    store = RunStore(tmp_path)
    store.begin("name", [], "")
    mine = store.runs / f".a1.{os.uname().nodename}.{os.getpid()}.tmp"
    foreign = store.runs / ".a1.another-host.1.tmp"
    mine.touch()
    foreign.touch()
    store.begin("name", [], "")
    assert mine.exists()
    assert foreign.exists()


def test_a_folder_without_results_is_one_clear_line(tmp_path):
    with pytest.raises(InrbenchError, match="no results here"):
        RunStore(tmp_path).planned()
    (tmp_path / "experiment.json").write_text("{")
    with pytest.raises(InrbenchError, match="cannot be read"):
        RunStore(tmp_path).planned()
