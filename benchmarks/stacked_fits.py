"""Training steps of like fits, one by one against in a stack: the ratio of their times, and where the rule stacks.

For each field, batch size and number of members, rounds time a step of every fit alone and a step of the stack, one
after the other, on one thread, as workers of `executor: local` have it on a machine with as many jobs as cores. The
ratio is formed within a round; the median over the rounds is printed, with `*` where the fit engine would stack. Each
line runs in a process with the allocator's thresholds that workers have.

    python benchmarks/stacked_fits.py [--rounds 9] [--fields sine48,dog] [--batches 256,1024,4096] [--members 4,8,16]
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import subprocess
import sys
import time
from typing import Any

import torch
from common import allocator_environment, training_spec, verdict

from inrbench_core.api.problem import SeedStreams
from inrbench_core.fit import build_model
from inrbench_core.fit.loop import FitUnderWay
from inrbench_core.fit.stack import Stack, most_members
from inrbench_core.plugins.loading import load_catalog
from inrbench_core.spec.training import LEAST_MEMBERS

FIELDS: dict[str, dict[str, Any]] = {
    "sine48": {"name": "mlp", "activation": "sine", "width": 48, "depth": 1},
    "sine128": {"name": "mlp", "activation": "sine", "width": 128, "depth": 2},
    "relu": {"name": "mlp", "encoding": "rff", "activation": "relu", "width": 64, "depth": 2},
    **{
        basis: {"name": "kan", "basis": basis, "width": 16, "depth": 1}
        for basis in ("chebyshev", "bspline", "fourier", "dog", "fcn")
    },
}
TASK = {"name": "image", "size": 96}
AIM = 0.95
# Of a round, for each side.
LEAST_S = 0.1


def fits_of(field: str, batch: int, members: int) -> list[FitUnderWay]:
    """Fits with seeds of their own, started."""
    catalog = load_catalog([])
    training = training_spec(steps=10_000, batch=batch, evaluate_every=0, compile="off")
    made, cpu = [], torch.device("cpu")
    for seed in range(members):
        seeds = SeedStreams(seed)
        problem = catalog.resolve("task", TASK).build(device=cpu, seeds=seeds)
        model = build_model(catalog.resolve("field", FIELDS[field]), problem.shapes, seeds=seeds, device=cpu).model
        made.append(FitUnderWay(problem, model, training, seeds, {}, lambda progress: None))
        made[-1].start()
    return made


def measure(field: str, batch: int, members: int, rounds: int) -> dict[str, float]:
    """Medians: ms of one step of all fits, alone and together, and their ratio; `stacks`: whether the rule stacks."""
    alone, together = fits_of(field, batch, members), fits_of(field, batch, members)
    stack = Stack([one.stepper for one in together])

    def step_alone() -> None:
        for one in alone:
            one.take_step()

    def step_together() -> None:
        for one, loss in zip(together, stack.step(together[0].next_step), strict=True):
            assert not isinstance(loss, Exception)
            one.proceed(loss, 0.0)

    seconds: dict[str, list[float]] = {"alone": [], "together": []}
    sides = {"alone": step_alone, "together": step_together}
    for _ in range(rounds + 1):
        for name, step in sides.items():
            started, count = time.process_time(), 0
            while time.process_time() - started < LEAST_S:
                step()
                count += 1
            seconds[name].append((time.process_time() - started) / count)
    # The first round warms up.
    pairs = list(zip(seconds["alone"][1:], seconds["together"][1:], strict=True))
    largest = most_members(alone[0].problem, alone[0].model, alone[0].training)
    return {
        "alone_ms": 1e3 * statistics.median(one for one, _ in pairs),
        "together_ms": 1e3 * statistics.median(other for _, other in pairs),
        "ratio": statistics.median(one / other for one, other in pairs),
        "stacks": LEAST_MEMBERS <= members <= largest,
    }


def in_a_process(field: str, batch: int, members: int, rounds: int) -> dict[str, float]:
    """`measure` with the allocator's thresholds of workers."""
    command = [sys.executable, __file__, "--one", json.dumps([field, batch, members]), "--rounds", str(rounds)]
    done = subprocess.run(command, env=allocator_environment("tuned"), capture_output=True, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def main() -> None:
    """Print the table and the verdict."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--fields", default=",".join(FIELDS))
    parser.add_argument("--batches", default="256,1024,4096")
    parser.add_argument("--members", default="4,8,16")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if arguments.one:
        print(json.dumps(measure(*json.loads(arguments.one), arguments.rounds)))
        return
    worst = math.inf
    print(f"{'field':<12}{'batch':>8}{'members':>9}{'alone ms':>11}{'stack ms':>11}{'alone / stack':>15}")
    for field in arguments.fields.split(","):
        for batch in map(int, arguments.batches.split(",")):
            for members in map(int, arguments.members.split(",")):
                found = in_a_process(field, batch, members, arguments.rounds)
                mark = " *" if found["stacks"] else ""
                times = f"{found['alone_ms']:>11.2f}{found['together_ms']:>11.2f}"
                print(f"{field:<12}{batch:>8}{members:>9}{times}{found['ratio']:>15.2f}{mark}", flush=True)
                worst = min(worst, found["ratio"] if found["stacks"] else math.inf)
    print(f"* stacked by the rule; the least ratio of those is {worst:.2f}; aim {AIM}: {verdict(worst >= AIM)}")


if __name__ == "__main__":
    main()
