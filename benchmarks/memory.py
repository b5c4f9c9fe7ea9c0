"""Peak memory of large signals: each trains for 20 steps and is evaluated, in a process of its own.

    python benchmarks/memory.py [CASE ...]

The peak is the resident set of that process, with Python and torch (about 0.3 GiB) in it.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time

import torch
from common import GIB, own_peak, training_spec, verdict

from inrbench_core.api.problem import SeedStreams
from inrbench_core.fit import build_model, fit
from inrbench_core.plugins.loading import load_catalog

MOST = 4.0
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="*", metavar="CASE", help="names, or parts of names; default: all")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        child(options.child)
        return
    chosen = [case for case in CASES if not options.cases or any(part in case for part in options.cases)]
    print(f"{STEPS} steps and a full evaluation, torch {torch.__version__}\n\n{'signal':34}{'GiB':>6}{'seconds':>9}")
    for case in chosen:
        done = subprocess.run([sys.executable, __file__, "--child", case], capture_output=True, text=True, check=False)
        if done.returncode:
            sys.exit(f"{case}: {done.stderr.strip().splitlines()[-1]}")
        seconds, peak = map(float, done.stdout.split())
        print(f"{case:34}{peak / GIB:6.2f}{seconds:9.0f}  aim {MOST:g} GiB: {verdict(peak <= MOST * GIB)}", flush=True)


if __name__ == "__main__":
    main()
