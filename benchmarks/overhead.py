"""What a sweep of small fits costs beside the fits themselves.

    python benchmarks/overhead.py [--fits 60] [--steps 700]

Carries out a sweep in a fresh folder, as `inrbench eval` does, with one job at a time and with two, and prints the wall
time, times the jobs at a time, over the sum of what the runs took (preparation, training, evaluation), less 1. Starting
workers is in it.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

from common import verdict

import inrbench_core as inr

AIM = 0.05


def sweep(fits: int, steps: int, jobs: int) -> dict[str, object]:
    """A spec of so many fits on a small picture."""
    return {
        "name": "overhead",
        "task": {"name": "image", "source": "camera", "size": 64},
        "fields": [{"name": "mlp", "activation": "sine", "width": 48, "depth": 2}],
        "training": {"steps": steps, "batch": 2048, "evaluate_every": 0, "compile": "off"},
        "seeds": list(range(fits)),
        "executor": {"name": "local", "jobs": jobs},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fits", type=int, default=60, help="default %(default)s")
    parser.add_argument("--steps", type=int, default=700, help="of each fit (default %(default)s)")
    options = parser.parse_args()
    print(f"{'jobs':>4}{'fits [s]':>10}{'wall [s]':>10}{'overhead':>10}")
    for jobs in (1, 2):
        with tempfile.TemporaryDirectory() as folder:
            started = time.perf_counter()
            results = inr.evaluate(sweep(options.fits, options.steps, jobs), out=Path(folder) / "results")
            wall = time.perf_counter() - started
        total = sum(run.record.times["total"] for run in results.runs if run.record is not None)
        overhead = wall * jobs / total - 1.0
        print(
            f"{jobs:4}{total:10.1f}{wall:10.1f}{overhead:10.1%}  aim {AIM:.0%}: {verdict(overhead <= AIM)}", flush=True
        )


if __name__ == "__main__":
    main()
