"""What `analyses: [spectrum]` costs a fit of a picture.

    python benchmarks/analyses.py [--rounds 5] [--steps 1000] [--batch 4096] [--threads 1]

Fits the same SIREN to the camera with and without the analysis, one after the other; which comes first alternates from
round to round. Prints medians over the rounds: the wall time of a fit without it, the share of a fit's wall time that
the engine counts for analyses, and by how much the processor's and the wall time of a fit with it exceed those of its
neighbour without. These two hold what the share leaves out, such as caches that the analysis displaces, and the noise
of the machine: the wall time that of other processes too.
"""

from __future__ import annotations

import argparse
import statistics
import time
from dataclasses import dataclass

import torch
from common import training_spec, verdict

from inrbench_core.api.problem import Problem, SeedStreams
from inrbench_core.fit import build_model, fit
from inrbench_core.plugins.loading import load_catalog
from inrbench_core.spec.training import TrainingSpec

AIM = 0.03
EVERY = 100
SIZES = (128, 256)
FIELD = {"name": "mlp", "activation": "sine", "width": 96, "depth": 3}
CPU = torch.device("cpu")


@dataclass(frozen=True)
class Times:
    """Of one fit, in s: all of it, that of the processor, and the analyses in it."""

    wall: float
    processor: float
    analyses: float


def timed_fit(problem: Problem, training: TrainingSpec, *, analysed: bool) -> Times:
    """Fit with or without the analysis."""
    catalog, seeds = load_catalog(), SeedStreams(0)
    model = build_model(catalog.resolve("field", FIELD), problem.shapes, seeds=seeds, device=CPU).model
    analyses = {"spectrum": catalog.resolve("analysis", "spectrum").build()} if analysed else {}
    started, processor = time.perf_counter(), time.process_time()
    result = fit(problem, model, training, seeds=seeds, analyses=analyses)
    wall, processor = time.perf_counter() - started, time.process_time() - processor
    assert result.status == "ok", result.reason
    assert not any(seen.error for seen in result.analyses.values())
    return Times(wall, processor, result.analyse_s)


def spread(ratios: list[float]) -> str:
    """Median, lowest and highest."""
    return f"{statistics.median(ratios):.1%} ({min(ratios):.0%} to {max(ratios):.0%})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, help="fits with and fits without it (default %(default)s)")
    parser.add_argument("--steps", type=int, default=1000, help="of each fit (default %(default)s)")
    parser.add_argument("--batch", type=int, default=4096, help="pixels a step (default %(default)s)")
    parser.add_argument("--threads", type=int, default=1, help="of torch (default %(default)s)")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    training = training_spec(
        steps=options.steps, batch=options.batch, evaluate_every=EVERY, lr=1e-3, schedule="cosine", compile="off"
    )
    print(
        f"SIREN {FIELD['width']} x {FIELD['depth']}, {options.steps} steps of {options.batch} pixels, evaluated every "
        f"{EVERY}; {options.rounds} rounds, {options.threads} threads, torch {torch.__version__}\n\n"
        f"{'picture':>10}{'fit [s]':>9}{'analysis [s]':>14}{'share':>8}   {'processor':20}{'wall':20}(lowest, highest)"
    )
    for size in SIZES:
        task = load_catalog().resolve("task", {"name": "image", "source": "camera", "size": size})
        problem = task.build(device=CPU, seeds=SeedStreams(0))
        timed_fit(
            problem, training_spec(steps=20, batch=options.batch, evaluate_every=10, compile="off"), analysed=True
        )
        pairs = []
        for number in range(options.rounds):
            order = (False, True) if number % 2 else (True, False)
            times = {analysed: timed_fit(problem, training, analysed=analysed) for analysed in order}
            pairs.append((times[False], times[True]))
        plain = statistics.median(without.wall for without, _ in pairs)
        own = statistics.median(analysed.analyses for _, analysed in pairs)
        share = statistics.median(analysed.analyses / analysed.wall for _, analysed in pairs)
        processor = [analysed.processor / without.processor - 1.0 for without, analysed in pairs]
        wall = [analysed.wall / without.wall - 1.0 for without, analysed in pairs]
        reached = max(share, statistics.median(processor)) <= AIM
        print(
            f"{size:4} x {size:<3}{plain:9.1f}{own:14.3f}{share:8.2%}   {spread(processor):20}{spread(wall):20}"
            f"aim {AIM:.0%}: {verdict(reached)}",
            flush=True,
        )


if __name__ == "__main__":
    main()
