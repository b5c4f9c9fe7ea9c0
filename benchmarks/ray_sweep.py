"""A sweep on a Ray cluster of three nodes, of which one is killed in the middle, against the local executor.

    python benchmarks/ray_sweep.py [--fits 200] [--short 50]

Everything is on this machine, on loopback. First so many fits on three nodes of one CPU each, one of which is killed
after a third of them, and the same fits by two local workers: every run has to be there once, with the same metrics and
weights, bit for bit. Then so many short fits with two jobs at a time, by local workers and on one Ray node with two
CPUs: wall time, with the start of workers.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from common import verdict

import inrbench_core as inr
from inrbench_core import ExecutorEvent

# Before workers start: figures depend on the number of threads.
os.environ["OMP_NUM_THREADS"] = "1"


def sweep(fits: int, steps: int, executor: dict[str, Any], out: Path) -> tuple[inr.Results, float]:
    """Fits of a small SIREN on a small picture; with the wall time, in s."""
    spec = {
        "name": "sweep",
        "task": {"name": "image", "source": "camera", "size": 32},
        "fields": [{"name": "mlp", "activation": "sine", "width": 16, "depth": 1}],
        "training": {"steps": steps, "evaluate_every": 0, "compile": "off"},
        "seeds": list(range(fits)),
        "executor": executor,
    }
    started = time.perf_counter()
    results = inr.evaluate(spec, out=out)
    return results, time.perf_counter() - started


def same(one: inr.Results, other: inr.Results) -> int:
    """How many runs are ok in both, with the same metrics and weights."""
    theirs = {run.id: run.record for run in other.runs}
    count = 0
    for run in one.runs:
        ours, found = run.record, theirs.get(run.id)
        if ours is None or found is None or not ours.status == found.status == "ok":
            continue
        weights, others = ours.arrays.weights, found.arrays.weights
        equal = all(np.array_equal(weights[name], others[name]) for name in {*weights, *others})
        count += dict(ours.metrics) == dict(found.metrics) and equal
    return count


def removed_node(fits: int, folder: Path) -> None:
    """Carry out the sweep on three nodes, kill one, and compare."""
    from inrbench_executor_ray.executor import RayExecutor
    from inrbench_executor_ray.testing import LocalCluster

    counts = Counter[str]()
    lost: list[str] = []
    training: set[str] = set()
    removed = False
    original = RayExecutor.events
    with LocalCluster(nodes=3, cpus=1) as cluster:

        def listen(self: RayExecutor, timeout_s: float) -> Iterable[ExecutorEvent]:
            nonlocal removed
            for event in original(self, timeout_s):
                counts[event.what] += 1
                if event.what == "lost":
                    lost.append(event.error)
                if event.progress is not None and event.progress.phase == "training":
                    training.add(event.job_id)
                elif event.what != "progress":
                    training.discard(event.job_id)
                # When all three nodes are in the middle of a fit.
                if not removed and counts["finished"] >= fits // 3 and len(training) == 3:
                    removed = True
                    cluster.remove_node()
                    print(f"node killed after {counts['finished']} runs", flush=True)
                yield event

        RayExecutor.events = listen  # type: ignore[method-assign]
        found, wall = sweep(fits, 1000, {"name": "ray", "address": cluster.address}, folder / "ray")
        RayExecutor.events = original  # type: ignore[method-assign]
    local, local_wall = sweep(fits, 1000, {"name": "local", "jobs": 2}, folder / "local")
    runs = len(list(found.runs))
    equal = same(local, found)
    print(f"on Ray {wall:.1f} s, local {local_wall:.1f} s; lost and tried again: {len(lost)} ({'; '.join(lost)})")
    print(f"complete: {runs} runs, {counts['finished']} files came back: {verdict(counts['finished'] == runs)}")
    print(f"identical to local: {equal} of {runs}: {verdict(equal == runs)}")


def overhead(fits: int, folder: Path) -> None:
    """The same short fits with both executors, two at a time."""
    from inrbench_executor_ray.testing import LocalCluster

    _, local = sweep(fits, 300, {"name": "local", "jobs": 2}, folder / "short-local")
    with LocalCluster(nodes=1, cpus=2) as cluster:
        _, ray = sweep(fits, 300, {"name": "ray", "address": cluster.address, "jobs": 2}, folder / "short-ray")
    print(f"{fits} short fits, two at a time: local {local:.1f} s, Ray {ray:.1f} s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fits", type=int, default=200, help="of the sweep (default %(default)s)")
    parser.add_argument("--short", type=int, default=50, help="fits that are timed (default %(default)s)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if options.fits:
            removed_node(options.fits, Path(folder))
        if options.short:
            overhead(options.short, Path(folder))


if __name__ == "__main__":
    main()
