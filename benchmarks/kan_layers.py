"""Speed and memory of our KAN layers beside a plain implementation, for the 22 bases of INR-Bench.

A training step of a KAN 2 -> 64 -> 64 -> 64 -> 3 on 65,536 points, as the fit engine runs it (in chunks;
with --compiled also compiled), beside the same network written as its formulas read (`plain_kan.py`).
That one cannot hold 65,536 points: it is timed on --plain-points of them, and its time is scaled up.
Each round times all ways one after another, and a ratio is formed within a round, so that whatever else
the machine does strikes all of them; medians over rounds are printed. Both networks share their
parameters, and the largest difference of their outputs is printed.

Memory is the peak resident set of a process of its own, with Python and torch (about 0.3 GiB) in it;
--memory measures it for our layers at 65,536 and 1,000,000 points.

    python benchmarks/kan_layers.py [--quick] [--compiled] [--memory] [--rounds 5] [--bases bspline morlet]
"""

from __future__ import annotations

import argparse
import math
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

import torch
from common import GIB, Waves, own_peak, training_spec, verdict
from plain_kan import BASES, plain
from torch import Tensor, nn

from inrbench_core.api.problem import Problem, SeedStreams
from inrbench_core.fit import fit
from inrbench_core.plugins.catalog import Catalog
from inrbench_core.plugins.loading import load_catalog

WIDTH, HIDDEN = 64, 2
POINTS, MANY_POINTS = 65_536, 1_000_000
LEAST_MEAN, LEAST_RATIO = 10.0, 2.0
MOST_MEMORY = {POINTS: 2.0 * GIB, MANY_POINTS: 3.0 * GIB}


def scattered(points: int) -> Tensor:
    """Random points of the square, the same each time."""
    return 2.0 * torch.rand(points, 2, generator=torch.Generator().manual_seed(0)) - 1.0


def make_ours(name: str, catalog: Catalog) -> nn.Sequential:
    """The KAN of our layers, with the basis's defaults."""
    torch.manual_seed(0)
    basis = catalog.resolve("basis", name)
    sizes = [2, *[WIDTH] * (HIDDEN + 1), 3]
    positions = ["first", *["hidden"] * HIDDEN, "last"]
    return nn.Sequential(
        *(basis.build().layer(sizes[i], sizes[i + 1], position=position) for i, position in enumerate(positions))
    )


def make_plain(name: str, ours: nn.Sequential) -> nn.Module:
    return nn.Sequential(*(plain(name, layer) for layer in ours))


def engine_seconds(problem: Problem, model: nn.Module, compile: str) -> float:
    """Seconds of one training step of the fit engine, without setting up and compiling."""
    steps = 1 if compile == "off" else 2
    # So small a rate that the network stays as it is.
    training = training_spec(steps=steps, lr=1e-12, evaluate_every=0, compile=compile)
    result = fit(problem, model, training, seeds=SeedStreams(0))
    return math.nan if compile == "on" and not result.compiled else result.train_s / steps


def plain_seconds(problem: Problem, model: nn.Module, points: int) -> float:
    """Seconds of a forward and a backward pass on the first points, scaled to all of them."""
    batch = problem.batch(slice(0, points))
    model.zero_grad(set_to_none=True)
    started = time.perf_counter()
    problem.loss(model, batch).mean().backward()
    return (time.perf_counter() - started) * problem.elements / points


def measure(name: str, catalog: Catalog, options: argparse.Namespace) -> dict[str, float]:
    """Median ratios for one basis, and the difference of both outputs."""
    problem = Waves(scattered(options.points))
    ours = make_ours(name, catalog)
    twin = make_plain(name, ours)
    probe = problem.points[:256]
    with torch.no_grad():
        expected = twin(probe)
        difference = ((ours(probe) - expected).abs().max() / expected.abs().max()).item()
    ways: dict[str, Callable[[], float]] = {
        "plain": lambda: plain_seconds(problem, twin, options.plain_points),
        "ours": lambda: engine_seconds(problem, ours, "off"),
    }
    if options.compiled:
        ways["compiled"] = lambda: engine_seconds(problem, ours, "on")
    for way in ways.values():
        way()
    rounds = [{way: run() for way, run in ways.items()} for _ in range(options.rounds)]
    ratios = {
        way: statistics.median(seconds["plain"] / seconds[way] for seconds in rounds) for way in ways if way != "plain"
    }
    return {**ratios, "difference": difference}


def peak_memory(name: str, way: str, points: int) -> float:
    """Peak resident set, in bytes, of a process that does one step."""
    command = [sys.executable, __file__, "--child", name, way, str(points), "--threads", str(torch.get_num_threads())]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return float(done.stdout) if done.returncode == 0 else math.nan


def child(name: str, way: str, points: int) -> None:
    """One step in this process; prints its peak resident set in bytes."""
    problem = Waves(scattered(points))
    ours = make_ours(name, load_catalog())
    if way == "plain":
        plain_seconds(problem, make_plain(name, ours), points)
    else:
        engine_seconds(problem, ours, "off")
    print(own_peak())


def print_speed(options: argparse.Namespace, catalog: Catalog) -> None:
    ways = ["ours", "compiled"] if options.compiled else ["ours"]
    print("how many times as fast as the plain one (median over rounds), largest relative difference of the outputs,")
    print(f"peak memory in GiB: the plain one at {options.plain_points:,} points, ours at {options.points:,}\n")
    print(
        f"{'basis':18}" + "".join(f"{way:>10}" for way in ways) + f"{'difference':>12}{'plain GiB':>11}{'ours GiB':>10}"
    )
    found = []
    for name in options.bases:
        result = measure(name, catalog, options)
        found.append(result)
        memory = [peak_memory(name, "plain", options.plain_points), peak_memory(name, "ours", options.points)]
        print(
            f"{name:18}"
            + "".join(f"{result[way]:10.1f}" for way in ways)
            + f"{result['difference']:12.1e}{memory[0] / GIB:11.2f}{memory[1] / GIB:10.2f}",
            flush=True,
        )
    print()
    for way in ways:
        ratios = [result[way] for result in found if not math.isnan(result[way])]
        mean, least = statistics.geometric_mean(ratios), min(ratios)
        print(f"{way}: geometric mean {mean:.1f}, aim {LEAST_MEAN:g}: {verdict(mean >= LEAST_MEAN)}; ", end="")
        print(f"least {least:.1f}, aim {LEAST_RATIO:g}: {verdict(least >= LEAST_RATIO)}")


def print_memory(options: argparse.Namespace) -> None:
    print("\npeak memory of a step of ours, GiB")
    print(f"{'basis':18}" + "".join(f"{points:>12,}" for points in MOST_MEMORY), flush=True)
    worst = dict.fromkeys(MOST_MEMORY, 0.0)
    for name in options.bases:
        peaks = {points: peak_memory(name, "ours", points) for points in MOST_MEMORY}
        worst = {points: max(worst[points], peak) for points, peak in peaks.items()}
        print(f"{name:18}" + "".join(f"{peak / GIB:12.2f}" for peak in peaks.values()), flush=True)
    for points, most in MOST_MEMORY.items():
        print(f"{points:,} points: {worst[points] / GIB:.2f}, aim {most / GIB:g}: {verdict(worst[points] <= most)}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bases", nargs="+", choices=BASES, default=BASES, metavar="BASIS", help="default: all 22")
    parser.add_argument("--rounds", type=int, default=5, help="how often all ways are timed (default %(default)s)")
    parser.add_argument("--points", type=int, default=POINTS, help="default %(default)s")
    parser.add_argument("--plain-points", type=int, default=1_024, help="default %(default)s")
    parser.add_argument("--quick", action="store_true", help="8,192 points, 512 plain ones, 3 rounds")
    parser.add_argument("--compiled", action="store_true", help="time the engine compiled as well")
    parser.add_argument("--memory", action="store_true", help="only peak memory, at 65,536 and 1,000,000 points")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="default %(default)s")
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if options.child:
        child(options.child[0], options.child[1], int(options.child[2]))
        return
    if options.quick:
        options.points, options.plain_points, options.rounds = 8_192, 512, 3
    print(f"KAN 2 -> 64 -> 64 -> 64 -> 3, CPU, {options.threads} threads, torch {torch.__version__}")
    if options.memory:
        print_memory(options)
    else:
        print_speed(options, load_catalog())


if __name__ == "__main__":
    main()
