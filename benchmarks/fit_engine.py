"""Speed of a training step of a SIREN, 256 x 3 hidden, on 256 x 256 points, beside the machine's own limit.

Every round times, one after another: plain matrix products of the same sizes as the step's, a plain
whole-batch training loop, the fit engine eager, and the fit engine compiled, each for at least a second. A ratio is
formed within a round, so that whatever else the machine does meanwhile strikes both of its sides; medians over the
rounds are printed. It also compares the gradients of chunks with those of the whole batch.

All of it happens in two processes: with glibc's default allocator, which maps blocks over 32 MiB anew, page by page,
each time they are allocated, and with MALLOC_MMAP_THRESHOLD_ and MALLOC_TRIM_THRESHOLD_ raised, so that it keeps them.
The plain loop gains most by that, because its intermediates are larger: so the aims differ.

    python benchmarks/fit_engine.py [--rounds 7] [--side 256] [--threads 2] [--device cpu]
"""

from __future__ import annotations

import argparse
import itertools
import math
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

import torch
from common import ALLOCATORS, Waves, allocator_environment, training_spec, verdict
from torch import Tensor, nn

from inrbench_core.api.problem import SeedStreams, grid_coords
from inrbench_core.fit.chunks import chunk_elements, measure_footprint
from inrbench_core.fit.stepping import Stepper

WIDTH, HIDDEN, OMEGA = 256, 3, 30.0
LEAST_S = 1.0
STEPS = 1_000  # of the fit whose steps are timed
AIMS = {
    "default": {"compiled / GEMM": 0.7, "compiled / plain loop": 1.5},
    "tuned": {"compiled / GEMM": 0.7, "compiled / plain loop": 1.2},
}


class Sine(nn.Module):
    """sin(omega x)."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.sin(OMEGA * x)


def make_siren() -> nn.Module:
    """SIREN (Sitzmann et al. 2020, arXiv:2006.09661) of colour by place, in its own initialisation."""
    torch.manual_seed(0)
    sizes = [2, *[WIDTH] * (HIDDEN + 1), 3]
    layers: list[nn.Module] = []
    for number, (size_in, size_out) in enumerate(itertools.pairwise(sizes)):
        linear = nn.Linear(size_in, size_out)
        bound = 1 / size_in if number == 0 else math.sqrt(6 / size_in) / OMEGA
        nn.init.uniform_(linear.weight, -bound, bound)
        layers += [linear, Sine()]
    return nn.Sequential(*layers[:-1])


def step_flops(points: int) -> float:
    """Of a step's matrix products: forward, gradient by the weights, gradient by the input (but of the first)."""
    linear = [2.0 * WIDTH, *[float(WIDTH * WIDTH)] * HIDDEN, 3.0 * WIDTH]
    return 2.0 * points * (3 * sum(linear) - linear[0])


def gemm_seconds(points: int, device: torch.device) -> float:
    """Seconds that the products of a step would take at the rate of the hidden layers' own.

    Of each hidden layer: (n, 256) (256, 256) forward and for the gradient by the input, and
    (256, n) (n, 256) for the gradient by the weights, into memory that is already there.
    """
    x, y = torch.randn(points, WIDTH, device=device), torch.empty(points, WIDTH, device=device)
    w, g = torch.randn(WIDTH, WIDTH, device=device), torch.empty(WIDTH, WIDTH, device=device)

    def products() -> None:
        for _ in range(HIDDEN):
            torch.mm(x, w.t(), out=y)
            torch.mm(x, w, out=y)
            torch.mm(y.t(), x, out=g)

    elapsed = seconds_a_call(products, device)
    return elapsed * step_flops(points) / (2.0 * points * WIDTH * WIDTH * 3 * HIDDEN)


def plain_seconds(problem: Waves, model: nn.Module, device: torch.device) -> float:
    """Seconds a step of the loop everybody writes: the whole batch, mean squared error, Adam as it comes."""
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-4)

    def step() -> None:
        optimizer.zero_grad()
        nn.functional.mse_loss(model(problem.points), problem.values).backward()
        optimizer.step()

    return seconds_a_call(step, device)


class Engine:
    """Steps of `inrbench_core.fit` on one model, as a fit takes them."""

    def __init__(self, problem: Waves, compile: str) -> None:
        model = make_siren().to(problem.points.device).train()
        training = training_spec(steps=STEPS, lr=1e-4, evaluate_every=0, compile=compile)
        self.stepper = Stepper(problem, model, training, SeedStreams(0))
        if compile == "on" and not self.stepper.compiled:
            raise SystemExit("torch.compile does not work here")
        self.device, self.numbers = problem.points.device, itertools.cycle(range(1, STEPS + 1))

    def seconds(self) -> float:
        """Seconds a training step, without compiling and evaluation."""
        return seconds_a_call(lambda: self.stepper.step(next(self.numbers)), self.device)


def gradient_difference(problem: Waves) -> float:
    """Largest difference of the whole batch's gradients to those summed over chunks, over the largest gradient."""
    whole, parts = make_siren().to(problem.points.device), make_siren().to(problem.points.device)
    problem.loss(whole, problem.batch(slice(None))).mean().backward()
    chunk = chunk_elements(measure_footprint(parts, problem), problem, problem.points.device)
    for start in range(0, problem.elements, chunk):
        index = slice(start, min(start + chunk, problem.elements))
        (problem.loss(parts, problem.batch(index)).sum() / problem.elements).backward()
    pairs = [(a.grad, b.grad) for a, b in zip(whole.parameters(), parts.parameters(), strict=True)]
    return max(float((a - b).abs().max() / a.abs().max()) for a, b in pairs if a is not None and b is not None)


def seconds_a_call(call: Callable[[], object], device: torch.device) -> float:
    """Wall time of a call, over at least a second of calls."""
    synchronize(device)
    started, count = time.perf_counter(), 0
    while True:
        call()
        synchronize(device)
        count += 1
        elapsed = time.perf_counter() - started
        if elapsed >= LEAST_S:
            return elapsed / count


def synchronize(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7, help="how often all ways are timed (default %(default)s)")
    parser.add_argument("--side", type=int, default=256, help="points along each axis (default %(default)s)")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="default %(default)s")
    parser.add_argument("--device", type=torch.device, default=torch.device("cpu"), help="default %(default)s")
    parser.add_argument("--allocator", choices=ALLOCATORS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.allocator:
        measure(options)
        return
    for name in ALLOCATORS:
        command = [sys.executable, __file__, *sys.argv[1:], "--allocator", name]
        status = subprocess.run(command, check=False, env=allocator_environment(name)).returncode
        if status:
            sys.exit(status)


def measure(options: argparse.Namespace) -> None:
    """Time all ways in this process, and print them."""
    torch.set_num_threads(options.threads)
    device, points = options.device, options.side**2
    problem = Waves(grid_coords((options.side, options.side), device))
    print(
        f"SIREN {WIDTH} x {HIDDEN}, {points:,} points, {device}, {options.threads} threads, torch {torch.__version__}, "
        f"{options.allocator} allocator"
    )
    print(f"largest relative difference of chunked to whole-batch gradients: {gradient_difference(problem):.1e}")

    plain_model, eager, compiled = make_siren().to(device), Engine(problem, "off"), Engine(problem, "on")
    ways: dict[str, Callable[[], float]] = {
        "GEMM": lambda: gemm_seconds(points, device),
        "plain loop": lambda: plain_seconds(problem, plain_model, device),
        "eager": eager.seconds,
        "compiled": compiled.seconds,
    }
    for way in ways.values():
        way()
    rounds = [{name: way() for name, way in ways.items()} for _ in range(options.rounds)]

    print(
        f"\n{'':12}{'GFLOP/s':>10}{'best':>8}{'ms a step':>11}{'/ GEMM':>9}{'/ plain loop':>14}   (medians, best apart)"
    )
    for name in ways:
        seconds = [round_[name] for round_ in rounds]
        rate = step_flops(points) / 1e9 / statistics.median(seconds)
        best = step_flops(points) / 1e9 / min(seconds)
        to_gemm, to_plain = ratio(rounds, name, "GEMM"), ratio(rounds, name, "plain loop")
        print(f"{name:12}{rate:10.0f}{best:8.0f}{1e3 * statistics.median(seconds):11.1f}{to_gemm:9.2f}{to_plain:14.2f}")
    print(f"\ncompilation: {compiled.stepper.compile_s:.1f} s (less where inductor's cache has it already)")
    for pair, aim in AIMS[options.allocator].items():
        got = ratio(rounds, *pair.split(" / "))
        print(f"{pair}: {got:.2f}, aim {aim}: {verdict(got >= aim)}")
    print()


def ratio(rounds: list[dict[str, float]], way: str, other: str) -> float:
    """How many times as fast `way` is as `other`: the median over rounds."""
    return statistics.median(seconds[other] / seconds[way] for seconds in rounds)


if __name__ == "__main__":
    main()
