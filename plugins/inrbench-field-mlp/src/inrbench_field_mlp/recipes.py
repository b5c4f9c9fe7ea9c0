"""Names that people ask for, and the coordinate-MLPs of INR-Bench. Imports no torch.

Of the paper are certain or quoted: the four encodings, rff with 32 frequencies and sigma 10, fkan with
1,024 frequencies, neff by a Nyquist rule, 6 linear layers 256 wide, and the activations relu, gaussian
and scaled_sine. The other activations, all parameters, starts and the training are those of code derived
from the authors' (github.com/Fre-Ar/BSPS6, 2026). Two of its errors are left out: it takes neff's Nyquist
rate from the batch size, and gives prelu's weights ReLU's gain (3 % more).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from inrbench_core import RecipeEntry

PAPER = "INR-Bench 2025, arXiv:2510.10188"
# A thousand passes over the signal there; the number of steps is left to the experiment.
PAPER_TRAINING = {"optimizer": "adam", "lr": 4e-4, "schedule": "cosine", "final_lr": 0.01, "batch": 8192}
PAPER_DEPTH = 4
PAPER_ENCODINGS: Mapping[str, Mapping[str, Any]] = {
    "identity": {},
    "neff": {"frequencies": "nyquist"},
    "rff": {"frequencies": 32, "sigma": 10.0},
    "fkan": {"frequencies": 1024},
}
CERTAIN_ACTIVATIONS: Mapping[str, Mapping[str, Any]] = {
    "relu": {"init": "kaiming"},
    "gaussian": {"a": 0.1, "init": "kaiming"},
    "scaled_sine": {"omega": 30.0, "start": "paper"},
}
LIKELY_ACTIVATIONS: Mapping[str, Mapping[str, Any]] = {
    "prelu": {"slope": 0.25},
    "elu": {"alpha": 1.0},
    "silu": {},
    "sigmoid": {},
    "tanh": {},
    "softplus": {"beta": 1.0},
    "sine": {"omega": 30.0},
    "laplacian": {"a": 0.1},
    "quadratic": {"a": 3.0},
    "multi_quadratic": {"a": 3.0},
    "expsin": {"a": 1.0},
}
# exp(-(30 z)^2) as exp(-z^2 / (2 a^2)).
GAUSS_HALF_WIDTH = 0.023570226
# Published as 10 cycles per unit of coordinates in [0, 1). Ours, in [-1, 1], have two units to the picture's side.
FEATURES_SIGMA = 10.0 / 2.0


def _mlp(
    activation: Mapping[str, Any], encoding: Mapping[str, Any] | None = None, depth: int = 3, **options: Any
) -> dict[str, Any]:
    return {
        "name": "mlp",
        "encoding": dict(encoding or {"name": "identity"}),
        "activation": dict(activation),
        "width": 256,
        "depth": depth,
        **options,
    }


def named_recipes() -> Iterator[RecipeEntry]:
    """Networks known by a name of their own."""
    yield RecipeEntry(
        "siren",
        "SIREN: sines with their own initialisation, 5 linear layers 256 wide",
        _mlp({"name": "sine", "omega": 30.0}),
        {"lr": 1e-4},
        "Sitzmann et al. 2020, arXiv:2006.09661",
        api=1,
    )
    yield RecipeEntry(
        "finer",
        "FINER as published: sines whose frequency grows with their input, no gradient through its growth",
        _mlp({"name": "finer", "omega": 30.0, "detach_scale": True}),
        # Of run_finer.sh: for pictures, five times as fast as SIREN.
        {"lr": 5e-4, "schedule": "exponential", "final_lr": 0.1},
        "Liu et al. 2023, arXiv:2312.02434",
        api=1,
    )
    yield RecipeEntry(
        "gauss",
        "Gaussian activations exp(-(30 z)^2) on torch's own initialisation, 5 linear layers 256 wide",
        _mlp({"name": "gaussian", "a": GAUSS_HALF_WIDTH, "init": "default"}),
        {"lr": 1e-3},
        "Ramasinghe and Lucey 2021, arXiv:2111.15135",
        api=1,
    )
    yield RecipeEntry(
        "incode",
        "Sines with trained amplitude, frequency, phase and offset, started where INCODE's harmonizer starts them",
        _mlp({"name": "scaled_sine", "omega": 30.0, "start": "incode"}),
        {"lr": 1e-4},
        "Kazerouni et al. 2023, arXiv:2310.18846, without its harmonizer network",
        api=1,
    )
    yield RecipeEntry(
        "fourier-features",
        "Tancik et al. for pictures: 256 random Fourier features, 4 linear layers with ReLU, a sigmoid at the end",
        _mlp(
            {"name": "relu", "init": "glorot"},
            {"name": "rff", "frequencies": 256, "sigma": FEATURES_SIGMA},
            2,
            output="sigmoid",
        ),
        {"lr": 1e-3, "schedule": "constant"},
        "Tancik et al. 2020, arXiv:2006.10739",
        api=1,
    )
    yield RecipeEntry(
        "nerf-mlp",
        "NeRF's sines and cosines at octaves in front of a ReLU network, 5 linear layers 256 wide",
        _mlp({"name": "relu", "init": "default"}, {"name": "neff", "frequencies": 10}),
        {"lr": 1e-3},
        "Mildenhall et al. 2020, arXiv:2003.08934",
        api=1,
    )


def paper_recipes() -> Iterator[RecipeEntry]:
    """The 56 coordinate-MLPs: 4 encodings by 14 activations."""
    for encoding, options in PAPER_ENCODINGS.items():
        for activation, parameters in (*CERTAIN_ACTIVATIONS.items(), *LIKELY_ACTIVATIONS.items()):
            certain = activation in CERTAIN_ACTIVATIONS
            yield RecipeEntry(
                f"inr-bench/{encoding}+{activation}",
                f"{encoding} and {activation} at the sizes of INR-Bench"
                + (", which has both" if certain else "; that it has this activation is likely, not certain"),
                _mlp({"name": activation, **parameters}, {"name": encoding, **options}, PAPER_DEPTH),
                PAPER_TRAINING,
                PAPER,
                api=1,
            )
