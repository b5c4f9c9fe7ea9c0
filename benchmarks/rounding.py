"""How far a fit's figures move when its initial weights change by their last digit.

    python benchmarks/rounding.py [--spec specs/components.yaml] [--fields FIELD ...] [--starts 4]

Fits each field of a spec with the first seed several times: as it is, and with each initial weight multiplied by
1 +- 2^-23, signs at random. Where rounding grows in training, code that differs in the last digit of a sum changes the
figures by as much: two versions of it can be told apart only beyond the spread that is printed.
"""

from __future__ import annotations

import argparse
from fnmatch import fnmatchcase
from pathlib import Path

import torch

from inrbench_core.api.problem import SeedStreams
from inrbench_core.fit import build_model, fit
from inrbench_core.plugins.loading import load_catalog
from inrbench_core.spec.builder import load_experiment

CPU = torch.device("cpu")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--spec", type=Path, default=Path(__file__).parent.parent / "specs/components.yaml")
    parser.add_argument("--fields", nargs="+", default=["*"], metavar="FIELD", help="labels or patterns; default: all")
    parser.add_argument("--starts", type=int, default=4)
    options = parser.parse_args()
    torch.set_num_threads(1)
    experiment = load_experiment(options.spec, load_catalog([]))
    seeds = SeedStreams(experiment.seeds[0])
    for board in experiment.boards:
        problem = board.signals[0].task.build(device=CPU, seeds=seeds)
        name = board.entry.rank_by
        print(f"{board.label}: {name} of {options.starts} starts, which differ in the last digit\n")
        for row in board.rows:
            if row.skip or not any(fnmatchcase(row.label, pattern) for pattern in options.fields):
                continue
            found = []
            for start in range(options.starts):
                model = build_model(row.field, problem.shapes, seeds=seeds, device=CPU).model
                if start:
                    _change_last_digit(model, start)
                result = fit(problem, model, row.training, seeds=seeds)
                found.append(result.evaluation.metrics[name] if result.evaluation else float("nan"))
            values = " ".join(f"{value:8.3f}" for value in found)
            print(f"{row.label:<28}{values}   spread {max(found) - min(found):.3f}", flush=True)


def _change_last_digit(model: torch.nn.Module, number: int) -> None:
    generator = torch.Generator().manual_seed(number)
    with torch.no_grad():
        for parameter in model.parameters():
            signs = torch.randint(0, 2, parameter.shape, generator=generator) * 2 - 1
            parameter.mul_(1.0 + 2.0**-23 * signs)


if __name__ == "__main__":
    main()
