"""A training step of published layers, from the user's own checkouts, beside ours: the 22 bases of INR-Bench and SIREN.

    python benchmarks/published_layers.py --checkouts DIR [--quick] [--bases bspline morlet siren]

DIR holds clones of the repositories that `published_code.py` names, each in a folder of its repository's name. A
network 2 -> 64 -> 64 -> 64 -> 3 is trained on 16,384 and on 65,536 points, on one thread: theirs by the loop that their
training scripts have (zero the gradients, whole batch forward, mean squared error, backward, Adam), ours by steps of
the fit engine as a fit of 2,000 steps takes them, compiled where `compile: auto` says so. Of several published
implementations of a basis, the fastest counts.

Each allocator setting has processes of its own: glibc's defaults, and MALLOC_MMAP_THRESHOLD_ and MALLOC_TRIM_THRESHOLD_
raised, for both sides. Theirs and ours take turns, each at least a second by processor time; a ratio is formed within a
round, and medians over rounds are printed. Published code that needs several GiB is timed on fewer points, which stand
behind its file, and its time is scaled up.

The bound: for layers that are a matrix product of basis functions, the time of the step's matrix products alone as a
share of ours; for layers whose functions have parameters on each edge, the time of ours over points and edges, in ns.

A full run takes about 75 minutes, --quick (16,384 points, bases of each family, shorter rounds) about 5.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from common import (
    ALLOCATORS,
    BASES,
    KAN_SIZES,
    OF_EDGES,
    Waves,
    allocator_environment,
    make_kan,
    scattered,
    training_spec,
    verdict,
)
from published_code import PUBLISHED, missing_checkouts
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from inrbench_core.api.components import FieldShape
from inrbench_core.api.problem import SeedStreams
from inrbench_core.fit.stepping import Stepper
from inrbench_core.plugins.loading import load_catalog

POINTS = (16_384, 65_536)
STEPS, RATE = 2_000, 1e-6
QUICK = ("bspline", "fourier", "chebyshev", "grbf", "fcn", "dog", "siren")
MEAN_AIMS = {"default": 12.0, "tuned": 5.0}
LEAST_AIMS = {"default": 3.0}
EDGES = sum(size_in * size_out for size_in, size_out in itertools.pairwise(KAN_SIZES))


@dataclass(frozen=True)
class Row:
    """One basis at one number of points, with one allocator setting; times in ms a step."""

    basis: str
    points: int
    file: str
    timed_points: int
    theirs: float
    ours: float
    ratio: float
    compiled: bool
    products: float


def seconds_a_step(step: Callable[[], object], least_s: float) -> float:
    """Processor time of a step, over at least so many seconds of steps."""
    started, count = time.process_time(), 0
    while True:
        step()
        count += 1
        elapsed = time.process_time() - started
        if elapsed >= least_s:
            return elapsed / count


def published_step(model: nn.Module, problem: Waves) -> Callable[[], None]:
    """The usual loop's step on the whole batch."""
    optimizer = torch.optim.Adam(model.parameters(), lr=RATE)
    loss = nn.MSELoss()

    def step() -> None:
        optimizer.zero_grad()
        loss(model(problem.points), problem.values).backward()
        optimizer.step()

    return step


def engine_step(stepper: Stepper) -> Callable[[], Tensor]:
    """The fit engine's next step; starts again at the first after the last."""
    numbers = itertools.cycle(range(1, STEPS + 1))
    return lambda: stepper.step(next(numbers))


class Products(TorchDispatchMode):
    """Notes the operands of every matrix product."""

    def __init__(self) -> None:
        super().__init__()
        self.operands: list[tuple[Tensor, Tensor]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is torch.ops.aten.mm.default:
            self.operands.append((args[0], args[1]))
        elif func is torch.ops.aten.addmm.default:
            self.operands.append((args[1], args[2]))
        return func(*args, **(kwargs or {}))


def products_step(model: nn.Module, problem: Waves, chunk: int) -> Callable[[], None]:
    """The matrix products of a step in chunks of that size, into memory that is already there."""
    with Products() as noted:
        problem.loss(model, problem.batch(slice(0, chunk))).sum().backward()
    model.zero_grad(set_to_none=True)
    made = [(a.detach(), b.detach(), torch.empty(a.shape[0], b.shape[1])) for a, b in noted.operands]

    def step() -> None:
        for _ in range(math.ceil(problem.elements / chunk)):
            for a, b, out in made:
                torch.mm(a, b, out=out)

    return step


def make_ours(name: str) -> nn.Module:
    """Our network of that basis, or SIREN."""
    catalog = load_catalog()
    if name != "siren":
        return make_kan(name, catalog)
    torch.manual_seed(0)
    options = {"name": "mlp", "activation": "sine", "width": KAN_SIZES[1], "depth": 2}
    model: nn.Module = catalog.resolve("field", options).build(FieldShape(2, 3))
    return model


def measure(name: str, points: int, checkouts: Path, rounds: int, least_s: float) -> Row:
    """Time the published code of a basis and ours in this process."""
    problem = Waves(scattered(points))
    candidates = []
    for code in PUBLISHED[name]:
        count = min(points, code.most_points)
        step = published_step(code.load(checkouts), Waves(problem.points[:count]))
        step()
        candidates.append((seconds_a_step(step, least_s) / count, count, code.file, step))
    _, count, file, theirs = min(candidates, key=lambda candidate: candidate[0])
    del candidates

    model = make_ours(name).train()
    training = training_spec(steps=STEPS, lr=RATE, evaluate_every=0, compile="auto")
    stepper = Stepper(problem, model, training, SeedStreams(0))
    ours, products = engine_step(stepper), products_step(model, problem, stepper.chunk)
    ours()
    products()
    found = [
        (
            seconds_a_step(theirs, least_s) * points / count,
            seconds_a_step(ours, least_s),
            seconds_a_step(products, least_s / 4),
        )
        for _ in range(rounds)
    ]
    their_s, our_s, product_s = (statistics.median(column) for column in zip(*found, strict=True))
    ratio = statistics.median(row[0] / row[1] for row in found)
    return Row(name, points, file, count, 1e3 * their_s, 1e3 * our_s, ratio, stepper.compiled, 1e3 * product_s)


def child(name: str, options: argparse.Namespace) -> None:
    """Print the rows of a basis as JSON."""
    torch.set_num_threads(1)
    for points in options.points:
        print(json.dumps(asdict(measure(name, points, options.checkouts, options.rounds, options.seconds))), flush=True)


def rows_of(name: str, allocator: str, options: argparse.Namespace) -> list[Row]:
    """Measure a basis in a process of its own."""
    command = [sys.executable, __file__, "--child", name, "--checkouts", str(options.checkouts)]
    command += ["--rounds", str(options.rounds), "--seconds", str(options.seconds)]
    command += ["--points", *map(str, options.points)]
    environment = {**allocator_environment(allocator), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if done.returncode:
        print(f"{name}, {allocator} allocator: {(done.stderr.strip().splitlines() or ['no message'])[-1]}", flush=True)
    return [Row(**json.loads(line)) for line in done.stdout.splitlines() if line.startswith("{")]


def bound(row: Row) -> str:
    if row.basis in OF_EDGES:
        return f"{1e6 * row.ours / (row.points * EDGES):.2f} ns"
    return f"{row.products / row.ours:.2f} of GEMM"


def line(default: Row, tuned: Row) -> str:
    file = default.file if default.file == tuned.file else f"{default.file}, tuned: {tuned.file}"
    scaled = f" ({default.timed_points:,} points)" if default.timed_points < default.points else ""
    cells = [f"{row.theirs:,.0f} | {row.ours:,.1f} | {row.ratio:.1f}" for row in (default, tuned)]
    compiled = "yes" if default.compiled else "no"
    return f"| {default.basis} | {' | '.join(cells)} | {bound(tuned)} | {compiled} | {file}{scaled} |"


def summary(allocator: str, ratios: list[float]) -> str:
    mean, least = statistics.geometric_mean(ratios), min(ratios)
    parts = [f"geometric mean of {len(ratios)} bases {mean:.1f}", f"least {least:.1f}"]
    aims = [(mean, MEAN_AIMS.get(allocator)), (least, LEAST_AIMS.get(allocator))]
    for index, (value, aim) in enumerate(aims):
        if aim is not None:
            parts[index] += f" (aim {aim:g}: {verdict(value >= aim)})"
    return f"{allocator} allocator: {', '.join(parts)}"


def table(points: int, options: argparse.Namespace, found: dict[tuple[str, str], list[Row]]) -> None:
    """Print the rows of that number of points, and the verdicts."""
    print(f"\n{points:,} points; ms a step and theirs / ours, default and tuned allocator\n")
    columns = [f"{column}{way}" for way in ("", ", tuned") for column in ("theirs", "ours", "ratio")]
    print(f"| basis | {' | '.join(columns)} | bound | compiled | published |")
    print("| --- |" + " ---: |" * 7 + " --- | --- |")
    ratios: dict[str, list[float]] = {allocator: [] for allocator in ALLOCATORS}
    for name in options.bases:
        rows = [next((row for row in found[name, key] if row.points == points), None) for key in ALLOCATORS]
        default, tuned = rows
        if default is None or tuned is None:
            print(f"| {name} | failed |")
            continue
        print(line(default, tuned))
        if name in BASES:
            ratios["default"].append(default.ratio)
            ratios["tuned"].append(tuned.ratio)
    print()
    for allocator, values in ratios.items():
        if values:
            print(summary(allocator, values))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkouts", type=Path, required=True, help="folder of the clones")
    parser.add_argument("--bases", nargs="+", choices=PUBLISHED, metavar="BASIS", help="default: all 22 and siren")
    parser.add_argument("--rounds", type=int, help="default 5; with --quick 3")
    parser.add_argument("--seconds", type=float, help="of steps a round and side (default 1; with --quick 0.2)")
    parser.add_argument("--points", type=int, nargs="+", help="default 16384 65536; with --quick 16384")
    parser.add_argument("--quick", action="store_true", help="bases of each family, fewer and shorter rounds")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    options = parser.parse_args()
    options.bases = options.bases or list(QUICK if options.quick else PUBLISHED)
    options.rounds = options.rounds or (3 if options.quick else 5)
    options.seconds = options.seconds or (0.2 if options.quick else 1.0)
    options.points = options.points or list(POINTS[:1] if options.quick else POINTS)
    if options.child:
        child(options.child, options)
        return
    missing = missing_checkouts(options.checkouts, options.bases)
    if missing:
        parser.exit(2, f"published_layers.py: not in {options.checkouts}: {', '.join(missing)}; clone them there\n")
    print(f"KAN {' -> '.join(map(str, KAN_SIZES))}, one CPU thread, torch {torch.__version__}")
    started = time.perf_counter()
    found = {}
    for name in options.bases:
        for allocator in ALLOCATORS:
            found[name, allocator] = rows_of(name, allocator, options)
        print(f"{name}: measured after {(time.perf_counter() - started) / 60:.1f} min", file=sys.stderr, flush=True)
    for points in options.points:
        table(points, options, found)


if __name__ == "__main__":
    main()
