"""Listing and resuming a folder of many runs.

    python benchmarks/store.py [--runs 5000]

Carries out one small run, writes copies of it under as many ids as an experiment of that size has, and prints how
long `inrbench results` takes without and with an index, and `inrbench eval` with every run done, each as a process of
its own.
"""

from __future__ import annotations

import argparse
import dataclasses
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml
from common import verdict

from inrbench_core.plugins.loading import load_catalog
from inrbench_core.results.load import experiment_data
from inrbench_core.runs.execute import execute
from inrbench_core.runs.plan import make_plan
from inrbench_core.runs.run import FitRun
from inrbench_core.runs.runfile import encode
from inrbench_core.runs.store import RunStore
from inrbench_core.spec.builder import load_experiment

RATES = 5
RESULTS_S, RESUME_S = 2.0, 5.0


def write_spec(folder: Path, runs: int) -> Path:
    """A spec with about so many fits: five rates, the rest seeds."""
    seeds = max(1, round(runs / (RATES + 2)))
    spec = {
        "name": "many",
        "task": {"name": "image", "source": "camera", "size": 16},
        "fields": [{"name": "mlp", "activation": "sine", "width": 8, "depth": 1}],
        "training": {"steps": 20, "evaluate_every": 0, "compile": "off"},
        "seeds": seeds,
        "sweep": {"training.lr": [1e-3 * (1 + index) for index in range(RATES)]},
        "device": "cpu",
    }
    file = folder / "many.yaml"
    file.write_text(yaml.safe_dump(spec), encoding="utf-8")
    return file


def fill(folder: Path, file: Path) -> int:
    """Write a file for every run of the spec; returns how many."""
    catalog = load_catalog()
    plan = make_plan(load_experiment(file, catalog), catalog, "cpu")
    store = RunStore(folder)
    store.runs.mkdir(parents=True)
    store.add_experiment(experiment_data(plan))
    done = {isinstance(run, FitRun): execute(run) for run in list(plan.runs.values())[:4]}
    for run in plan.runs.values():
        record = dataclasses.replace(done[isinstance(run, FitRun)], run=run.to_data())
        store.path(run.id).write_bytes(encode(record))
    return len(plan.runs)


def seconds(*arguments: str | Path) -> float:
    """Wall time of an inrbench command."""
    started = time.perf_counter()
    command = [sys.executable, "-m", "inrbench_core.cli.app", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stderr)
    return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5000, help="default %(default)s")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        file = write_spec(Path(temporary), options.runs)
        folder = Path(temporary) / "results"
        count = fill(folder, file)
        print(f"{count:,} runs", flush=True)
        print(f"results, no index yet  {seconds('results', folder):6.2f} s", flush=True)
        listed = seconds("results", folder)
        print(
            f"results                {listed:6.2f} s  aim {RESULTS_S:g} s: {verdict(listed <= RESULTS_S)}", flush=True
        )
        resumed = seconds("eval", "--spec", file, "--out", folder)
        print(
            f"eval, all done         {resumed:6.2f} s  aim {RESUME_S:g} s: {verdict(resumed <= RESUME_S)}", flush=True
        )


if __name__ == "__main__":
    main()
