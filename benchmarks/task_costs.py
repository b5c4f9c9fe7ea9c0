"""What each task costs beside training: preparation and evaluation, in processor time on one thread.

    python benchmarks/task_costs.py [TASK ...] [--before PYTHON] [--seconds 4]

The field is a SIREN of 50,000 parameters. Each task is timed twice: with its default options and training (1,000
steps), and with the options and training of specs/tasks/NAME.yaml. Columns, in s:

- cold: preparation with an empty cache, without imports; cached: again, from the cache on disk; seed: for another seed.
  All three with the picture of the truth, which each run keeps.
- train: all steps, from the median of as many as take `--seconds`; without compilation.
- cheap and full: one evaluation along the curve, and the one at the end; share: full / train.

With `--before`, the interpreter of another checkout's environment times the same after each task.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import yaml
from common import training_spec, verdict

from inrbench_core.api.problem import SeedStreams
from inrbench_core.fit import build_model
from inrbench_core.fit.stepping import Stepper
from inrbench_core.plugins.loading import load_catalog

AIM = 0.1
SPECS = Path(__file__).parent.parent / "specs" / "tasks"
FIELD = {"name": "mlp", "activation": "sine", "width": {"parameters": 50_000}, "depth": 3}
COLUMNS = ("cold", "cached", "seed", "train", "cheap", "full")
CPU = torch.device("cpu")
FEWEST_STEPS = 3


def processor_s(call: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds of this process' processor time, and what the call returned."""
    started = time.process_time()
    result = call()
    return time.process_time() - started, result


def child(case: dict[str, Any], seconds: float) -> None:
    """Time one case in this process; prints the columns as JSON."""
    torch.set_num_threads(1)
    catalog = load_catalog()
    task, field = catalog.resolve("task", case["task"]), catalog.resolve("field", FIELD)
    training = training_spec(**{**task.entry.training, **case["training"], "compile": "off"})
    task.entry.load()

    def prepare(seed: int) -> Any:
        problem = task.build(device=CPU, seeds=SeedStreams(seed))
        problem.truth()
        return problem

    times = {}
    times["cold"], problem = processor_s(lambda: prepare(0))
    times["cached"], problem = processor_s(lambda: prepare(0))
    times["seed"], problem = processor_s(lambda: prepare(1))
    seeds = SeedStreams(1)
    model = build_model(field, problem.shapes, seeds=seeds, device=CPU).model
    stepper = Stepper(problem, model, training, seeds)
    steps: list[float] = []
    while len(steps) < FEWEST_STEPS or sum(steps) < seconds:
        steps.append(processor_s(lambda: stepper.step(len(steps) + 1))[0])
    times["train"] = statistics.median(steps) * training.steps
    model.eval()
    # The first one also pays for what is computed once for a problem.
    times["cheap"], _ = processor_s(lambda: problem.evaluate(model, full=False))
    times["full"], _ = processor_s(lambda: problem.evaluate(model, full=True))
    print(json.dumps(times))


def cases(names: list[str]) -> dict[str, dict[str, Any]]:
    """Task and training by the name of the row."""
    found = {}
    for path in sorted(SPECS.glob("*.yaml")):
        if names and path.stem not in names:
            continue
        spec = yaml.safe_load(path.read_text())
        found[path.stem] = {"task": {"name": spec["task"]["name"]}, "training": {}}
        found[f"{path.stem}, {path.parent.name}/"] = {"task": spec["task"], "training": spec["training"]}
    return found


def timed(python: str, case: dict[str, Any], seconds: float) -> dict[str, float]:
    """The columns, timed in a process of their own with an empty cache."""
    with tempfile.TemporaryDirectory() as cache:
        command = [python, __file__, "--child", json.dumps(case), "--seconds", str(seconds)]
        environment = {**os.environ, "INRBENCH_CACHE": cache, "OMP_NUM_THREADS": "1"}
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if done.returncode:
        sys.exit(f"{case}: {done.stderr.strip().splitlines()[-1]}")
    times: dict[str, float] = json.loads(done.stdout)
    return times


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tasks", nargs="*", metavar="TASK", help="default: all of specs/tasks")
    parser.add_argument("--before", metavar="PYTHON", help="interpreter of another checkout's environment")
    parser.add_argument("--seconds", type=float, default=4.0, help="of steps that are timed (default %(default)s)")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        child(json.loads(options.child), options.seconds)
        return
    pythons = {"before": options.before, "now": sys.executable} if options.before else {"now": sys.executable}
    print(f"SIREN of 50,000 parameters, one thread, torch {torch.__version__}, aim of the share: {AIM:.0%}\n")
    print(f"| task | code | {' | '.join(COLUMNS)} | share | |\n| --- | --- |{' ---: |' * (len(COLUMNS) + 1)} --- |")
    for name, case in cases(options.tasks).items():
        for code, python in pythons.items():
            times = timed(python, case, options.seconds)
            share = times["full"] / times["train"]
            figures = " | ".join(f"{times[column]:.3g}" for column in COLUMNS)
            print(f"| {name} | {code} | {figures} | {share:.1%} | {verdict(share <= AIM)} |", flush=True)


if __name__ == "__main__":
    main()
