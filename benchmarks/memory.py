"""Peak memory of large signals, and of a training step of KANs on many points.

    python benchmarks/memory.py [CASE ...]
    python benchmarks/memory.py --kan [BASIS ...]

A signal is trained on for 20 steps and evaluated; a KAN 2 -> 64 -> 64 -> 64 -> 3 of each basis takes one step on 65,536
and on 1,000,000 points. Each has a process of its own; the peak is the resident set of that process, with Python and
torch (about 0.3 GiB) in it.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time

import torch
from common import BASES, GIB, Waves, make_kan, own_peak, scattered, training_spec, verdict

from inrbench_core.api.problem import SeedStreams
from inrbench_core.fit import build_model, fit
from inrbench_core.plugins.loading import load_catalog

MOST = 4.0
MOST_KAN = {65_536: 2.0, 1_000_000: 3.0}
STEPS = 20
CASES = {
    "2 minutes of audio at 44.1 kHz": {"name": "audio", "duration_s": 120, "sample_rate": 44_100},
    "picture of 4096 x 4096": {"name": "image", "size": 4096},
    "video of 64 frames, 256 x 256": {"name": "video", "frames": 64, "size": 256},
    "volume of 256^3": {"name": "occupancy", "resolution": 256},
}


def child(case: str) -> None:
    """Train and evaluate in this process; prints seconds and the peak in bytes."""
    catalog, seeds, cpu = load_catalog(), SeedStreams(0), torch.device("cpu")
    task = catalog.resolve("task", CASES[case])
    field = catalog.resolve("field", {"name": "mlp", "activation": "sine", "width": 64, "depth": 2})
    started = time.perf_counter()
    problem = task.build(device=cpu, seeds=seeds)
    model = build_model(field, problem.shapes, seeds=seeds, device=cpu).model
    training = training_spec(steps=STEPS, batch=16_384, evaluate_every=0, compile="off")
    result = fit(problem, model, training, seeds=seeds)
    assert result.status == "ok", result.reason
    print(time.perf_counter() - started, own_peak())


def kan_child(name: str, points: int) -> None:
    """One step in this process; prints seconds and the peak in bytes."""
    problem, model = Waves(scattered(points)), make_kan(name, load_catalog())
    result = fit(problem, model, training_spec(steps=1, evaluate_every=0, compile="off"), seeds=SeedStreams(0))
    assert result.status == "ok", result.reason
    print(result.train_s, own_peak())


def measure(*arguments: str) -> tuple[float, float]:
    """Seconds and the peak in GiB of a process of its own."""
    done = subprocess.run([sys.executable, __file__, *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(arguments)}: {done.stderr.strip().splitlines()[-1]}")
    seconds, peak = map(float, done.stdout.split())
    return seconds, peak / GIB


def print_signals(cases: list[str]) -> None:
    chosen = [case for case in CASES if not cases or any(part in case for part in cases)]
    print(f"{STEPS} steps and a full evaluation, torch {torch.__version__}\n\n{'signal':34}{'GiB':>6}{'seconds':>9}")
    for case in chosen:
        seconds, peak = measure("--child", case)
        print(f"{case:34}{peak:6.2f}{seconds:9.0f}  aim {MOST:g} GiB: {verdict(peak <= MOST)}", flush=True)


def print_kans(names: list[str]) -> None:
    print(
        f"GiB of a step of a KAN, torch {torch.__version__}\n\n{'points':18}" + "".join(f"{n:>12,}" for n in MOST_KAN)
    )
    worst = dict.fromkeys(MOST_KAN, 0.0)
    for name in names or BASES:
        peaks = {points: measure("--kan-child", name, str(points))[1] for points in MOST_KAN}
        worst = {points: max(worst[points], peak) for points, peak in peaks.items()}
        print(f"{name:18}" + "".join(f"{peak:12.2f}" for peak in peaks.values()), flush=True)
    for points, most in MOST_KAN.items():
        print(f"{points:,} points: {worst[points]:.2f}, aim {most:g} GiB: {verdict(worst[points] <= most)}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help="signals (parts of names suffice), or bases; default: all"
    )
    parser.add_argument("--kan", action="store_true", help="a step of KANs on many points")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    parser.add_argument("--kan-child", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        child(options.child)
    elif options.kan_child:
        kan_child(options.kan_child[0], int(options.kan_child[1]))
    elif options.kan:
        print_kans(options.names)
    else:
        print_signals(options.names)


if __name__ == "__main__":
    main()
