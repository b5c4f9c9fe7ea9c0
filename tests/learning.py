"""Every component fits a small real picture; the figures it reached are kept beside, in learning.json.

`python tests/learning.py` measures them anew. The test asks for each figure less a margin that covers
another machine's rounding. It tells whether a component learns as well as it should; whether its formula
is the right one, the tests of its plugin tell.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import torch

from inrbench_core.api.problem import SeedStreams
from inrbench_core.fit import build_model, fit
from inrbench_core.plugins.catalog import Catalog
from inrbench_core.plugins.loading import load_catalog
from inrbench_core.spec.training import TrainingSpec

FIGURES = Path(__file__).with_suffix(".json")
CROP = {"name": "image", "source": "camera", "crop": [96, 192, 64, 64], "size": 32, "held_out": 0.0}
CPU = torch.device("cpu")

PAPER_ENCODINGS: list[Any] = [
    "identity",
    {"name": "neff", "frequencies": 4},
    {"name": "rff", "frequencies": 32, "sigma": 3},
    {"name": "fkan", "frequencies": 64},
]
OTHER_ENCODINGS: list[Any] = [
    {"name": "hashgrid", "levels": 4, "log2_table_size": 10, "min_resolution": 4, "max_resolution": 16},
    "densegrid",
    "triplane",
    {"name": "learned_rff", "frequencies": 32, "sigma": 3},
    "oneblob",
    "chebyshev_features",
]
PAPER_ACTIVATIONS = [
    *("relu", "prelu", "elu", "silu", "sigmoid", "tanh", "softplus", "sine", "scaled_sine"),
    *("gaussian", "laplacian", "quadratic", "multi_quadratic", "expsin"),
]
PAPER_BASES = [
    *("bspline", "fourier", "grbf", "rbf", "fcn", "fcn_interpolation"),
    *("chebyshev", "chebyshev2", "jacobi", "hermite", "gegenbauer", "legendre", "laguerre", "bessel"),
    *("fibonacci", "lucas", "mexican_hat", "morlet", "dog", "meyer", "shannon", "bump"),
]


# Behind an encoding it trains faster than from Kaiming's weights, so that it shows what the encoding gives.
QUICK_RELU = {"name": "relu", "init": "default"}
QUICK = "quick relu"


def fields(catalog: Catalog) -> dict[str, tuple[dict[str, Any], float]]:
    """All fields to fit by name, with a learning rate: the paper's 56 and 22, and each component beyond them.

    Every encoding is there once more with `QUICK_RELU`, beside the plain coordinates, which it has to beat.
    """

    def mlp(encoding: Any, activation: Any, lr: float = 1e-3) -> tuple[dict[str, Any], float]:
        return {"name": "mlp", "encoding": encoding, "activation": activation, "width": 48, "depth": 2}, lr

    def name_of(value: Any) -> str:
        return value if isinstance(value, str) else str(value["name"])

    result = {}
    for encoding in PAPER_ENCODINGS:
        for activation in PAPER_ACTIVATIONS:
            result[f"{name_of(encoding)}+{activation}"] = mlp(encoding, activation)
    for encoding in [*PAPER_ENCODINGS, *OTHER_ENCODINGS]:
        result[f"{name_of(encoding)}+{QUICK}"] = mlp(encoding, QUICK_RELU, 1e-2)
    sums = {"name": "fkan", "frequencies": 64, "mode": "layer", "out_features": 48}
    result[f"fkan sums+{QUICK}"] = mlp(sums, QUICK_RELU, 1e-2)
    for item in catalog.of_kind("activation"):
        if item.entry.name not in PAPER_ACTIVATIONS:
            result[f"identity+{item.entry.name}"] = mlp("identity", item.entry.name)
    for item in catalog.of_kind("basis"):
        result[f"kan {item.entry.name}"] = {"name": "kan", "basis": item.entry.name, "width": 16, "depth": 1}, 1e-2
    # At 30, the default and WIRE's own, a network this small hardly learns in so few steps.
    result["wire"] = {"name": "wire", "omega": 20, "width": 48}, 5e-3
    result["wire2d"] = {"name": "wire2d", "width": 48}, 5e-3
    result["grid"] = {"name": "grid", "points": 1024}, 1e-1
    return result


def fit_crop(field: dict[str, Any], lr: float, catalog: Catalog) -> float:
    """PSNR in dB on a 32 x 32 crop after 150 steps of Adam on all pixels."""
    seeds = SeedStreams(0)
    problem = catalog.resolve("task", CROP).build(device=CPU, seeds=seeds)
    model = build_model(catalog.resolve("field", field), problem.shapes, seeds=seeds, device=CPU).model
    options = {"steps": 150, "lr": lr, "schedule": "cosine", "evaluate_every": 0, "compile": "off"}
    training = TrainingSpec.model_validate(options, context={"catalog": catalog})
    result = fit(problem, model, training, seeds=seeds)
    return result.evaluation.metrics["psnr"] if result.evaluation is not None else float("-inf")


def constant_psnr(catalog: Catalog) -> float:
    """What the mean colour scores on the crop."""
    problem = catalog.resolve("task", CROP).build(device=CPU, seeds=SeedStreams(0))
    return float(problem.baseline("constant").metrics["psnr"])


if __name__ == "__main__":
    torch.set_num_threads(1)
    catalog = load_catalog()
    # A figure that is there stays; delete the file, or a line of it, to measure anew.
    figures = json.loads(FIGURES.read_text(encoding="utf-8")) if FIGURES.exists() else {}
    figures["constant"] = round(constant_psnr(catalog), 2)
    for name, (field, lr) in fields(catalog).items():
        if name in figures:
            continue
        figures[name] = round(fit_crop(field, lr, catalog), 2)
        print(f"{name:32} {figures[name]:7.2f}", file=sys.stderr, flush=True)
    FIGURES.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
