"""How often `inrbench verify` says of an honest fit that it was trained on held-out pixels, and finds one that was.

Honest fits and leaked ones, which are trained on all pixels and measured as if some were held out, over fields,
schedules, batches, pictures and seeds. Prints a Markdown table.

    python benchmarks/held_out_probe.py --seeds 6
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from typing import Any

import torch

from inrbench_core.api.problem import Problem, SeedStreams
from inrbench_core.fit import build_model, fit
from inrbench_core.plugins.loading import load_catalog
from inrbench_core.results.verify.losses import last_loss
from inrbench_core.runs.execute import prepare
from inrbench_core.runs.plan import make_plan
from inrbench_core.runs.run import FitRun, run_from_data
from inrbench_core.spec.builder import build_experiment
from inrbench_core.spec.yaml_io import document_of

FIELDS: list[dict[str, Any]] = [
    {"name": "mlp", "label": "sine", "activation": "sine", "width": 32, "depth": 2, "training": {"lr": 1e-3}},
    {"name": "mlp", "label": "relu", "activation": "relu", "width": 32, "depth": 2},
    {"name": "mlp", "label": "relu, 123 weights", "activation": "relu", "width": 8, "depth": 1},
    {"name": "mlp", "label": "rff+relu", "encoding": {"name": "rff", "frequencies": 32, "sigma": 5}, "width": 32},
    {"name": "kan", "label": "kan bspline", "basis": {"name": "bspline", "grid": 8}, "width": 8, "depth": 1},
    {"name": "grid", "label": "grid", "width": 1200},
]
TRAININGS: list[dict[str, Any]] = [
    {"steps": 200, "schedule": "cosine", "batch": "full"},
    {"steps": 200, "schedule": "cosine", "batch": 128},
    {"steps": 20, "schedule": "cosine", "batch": "full"},
    {"steps": 100, "schedule": "exponential", "batch": 64},
    {"steps": 200, "schedule": "constant", "batch": "full"},
]
CPU = torch.device("cpu")


class Leaky:
    """A problem that is measured as one says and trained on the samples of another."""

    def __init__(self, measured: Problem, trained: Problem) -> None:
        self.measured, self.trained = measured, trained

    def __getattr__(self, name: str) -> Any:
        return getattr(self.trained if name in ("batch", "loss", "elements") else self.measured, name)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=6)
    parser.add_argument("--size", type=int, default=32)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    catalog = load_catalog()
    print("| training | fits | honest: held-out | honest: data | leaked: held-out | leaked: data |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    for training in TRAININGS:
        counts: dict[str, int] = defaultdict(int)
        task = {"name": "image", "signals": ["camera", "coffee"], "size": arguments.size, "held_out": 0.1}
        keys = {"training": {"lr": 3e-3, "evaluate_every": 0, "compile": "off", **training}, "seeds": arguments.seeds}
        experiment = build_experiment(document_of({"name": "probe", "task": task, "fields": FIELDS, **keys}), catalog)
        for run in make_plan(experiment, catalog, "cpu").runs.values():
            if isinstance(run, FitRun):
                measure(run, catalog, counts)
        name = f"{training['schedule']}, {training['steps']} steps, batch {training['batch']}"
        names = ("honest held-out", "honest data", "leaked held-out", "leaked data")
        print(f"| {name} | {counts['fits']} | {' | '.join(str(counts[key]) for key in names)} |", flush=True)


def measure(run: FitRun, catalog: Any, counts: dict[str, int]) -> None:
    """Fit a run honestly and on all pixels, and count what the probe says of both."""
    data = run.to_data()
    everything = run_from_data({**data, "task": {**data["task"], "held_out": 0.0}}, catalog)
    seeds = SeedStreams(run.seed)
    problem, whole = prepare(run, CPU), prepare(everything, CPU)
    counts["fits"] += 1
    for kind, trained_on in {"honest": problem, "leaked": Leaky(problem, whole)}.items():
        model = build_model(run.field, problem.shapes, seeds=seeds, device=CPU).model
        result = fit(trained_on, model, run.training, seeds=seeds)  # type: ignore[arg-type]
        if result.evaluation is None:
            continue
        loss = last_loss(problem, model, run.training, seeds, result.curve[-1].loss)
        counts[f"{kind} held-out"] += loss.is_leaked
        counts[f"{kind} data"] += not loss.is_leaked and loss.is_of_other_samples


if __name__ == "__main__":
    main()
