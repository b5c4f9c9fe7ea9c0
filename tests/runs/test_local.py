"""The local executor: workers get their share of GPUs, and memory that is kept from one block to the next."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from runs_support import wait_until

from inrbench_core.api.executor import ExecutorContext, Job
from inrbench_core.plugins.builtin import LocalSpec
from inrbench_core.runs.child import Child
from inrbench_core.runs.gpus import visible_gpus
from inrbench_core.runs.local import LocalExecutor, cores

# A process that answers with its own environment, and with the page faults of using 64 MiB a second time.
ANSWERS = """
import ctypes, os, resource
from inrbench_core.runs.serve import connect, send

connection = connect()
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.malloc.argtypes, libc.free.argtypes = ctypes.c_void_p, [ctypes.c_size_t], [ctypes.c_void_p]
size = 64 << 20
for _ in range(2):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    block = libc.malloc(size)
    ctypes.memset(block, 1, size)
    libc.free(block)
    faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
send(connection, "answer", (dict(os.environ), faults))
"""


@pytest.fixture
def answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a module that a `Child` can run."""
    (tmp_path / "answers.py").write_text(ANSWERS)
    monkeypatch.syspath_prepend(str(tmp_path))
    return "answers"


def ask(module: str) -> tuple[dict[str, str], int]:
    child = Child(module, {})
    try:
        child.socket.settimeout(20)
        child.process.wait(timeout=20)
        ((_, answer),) = child.receive()
    finally:
        child.kill()
    return answer


@pytest.mark.skipif(sys.platform != "linux", reason="malloc of another system")
def test_a_process_keeps_large_blocks(answers: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_"):
        monkeypatch.delenv(name, raising=False)
    if "glibc" not in os.confstr("CS_GNU_LIBC_VERSION"):
        pytest.skip("another C library")
    # 64 MiB are 16,384 pages.
    assert ask(answers)[1] < 100


def test_allocator_settings_of_the_user_are_kept(answers: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MALLOC_MMAP_THRESHOLD_", "1000000")
    environment, faults = ask(answers)
    assert environment["MALLOC_MMAP_THRESHOLD_"] == "1000000"
    if sys.platform == "linux":
        assert faults > 100


@pytest.fixture
def four_gpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An `nvidia-smi` that lists four GPUs, one of them in two parts."""
    lines = ["GPU 0: H200 (UUID: GPU-a)", "  MIG 1g Device 0: (UUID: MIG-a)", "  MIG 1g Device 1: (UUID: MIG-b)"]
    lines += [f"GPU {number}: H200 (UUID: GPU-{number})" for number in range(1, 4)]
    script = tmp_path / "nvidia-smi"
    script.write_text("#!/bin/sh\ncat <<END\n" + "\n".join(lines) + "\nEND\n")
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


@pytest.mark.parametrize(
    ("variable", "gpus"),
    [
        (None, ["0", "1", "2", "3"]),
        ("", []),
        ("-1", []),
        ("2", ["2"]),
        ("3,1", ["3", "1"]),
        ("0,-1,1", ["0"]),
        (" GPU-a, MIG-b", ["GPU-a", "MIG-b"]),
    ],
)
@pytest.mark.usefixtures("four_gpus")
def test_visible_gpus(variable: str | None, gpus: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    if variable is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", variable)
    assert visible_gpus() == gpus


def test_no_driver_no_gpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert visible_gpus() == []


@pytest.mark.parametrize(
    ("device", "planned", "jobs"),
    [("cuda", 100, 4), ("cuda", 3, 3), ("cuda:1", 100, 1), ("cpu", 1, 1), ("cpu", 100, min(8, cores()))],
)
@pytest.mark.usefixtures("four_gpus")
def test_jobs_at_a_time(device: str, planned: int, jobs: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    executor = LocalExecutor(LocalSpec(), ExecutorContext(planned, device))
    assert executor.workers == jobs
    assert executor.threads == max(1, cores() // jobs)


def gpus_of(executor: LocalExecutor) -> list[str | None]:
    """CUDA_VISIBLE_DEVICES of each worker, as the system tells it."""
    found = []
    for worker in executor._workers:
        # Empty for a moment after the process has begun.
        content = wait_until(Path(f"/proc/{worker.process.pid}/environ").read_bytes).decode()
        variables = dict(item.split("=", 1) for item in content.split("\0") if item)
        found.append(variables.get("CUDA_VISIBLE_DEVICES"))
    return found


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize(
    ("device", "jobs", "gpus"),
    [("cuda", 5, ["0", "1", "2", "3", "0"]), ("cuda:1", 2, [None, None]), ("cpu", 2, [None, None])],
)
@pytest.mark.usefixtures("four_gpus")
def test_workers_share_out_the_gpus(device: str, jobs: int, gpus: list[str | None]) -> None:
    executor = LocalExecutor(LocalSpec(jobs=jobs), ExecutorContext(100, device))
    try:
        for number in range(6):
            executor.submit(Job(f"job{number}", (), (), (), 0.0, 0.0))
        executor._hand_out()
        assert gpus_of(executor) == gpus
        # Another worker takes the place of one that was ended.
        executor.cancel("job1")
        executor._hand_out()
        assert sorted(map(str, gpus_of(executor))) == sorted(map(str, gpus))
    finally:
        executor.shutdown()
