"""Names that people ask for, and the grid of INR-Bench. Imports no torch.

Numbers of the paper's grid that are certain or quoted from it: 6 linear layers 256 wide, rff with 32
frequencies and sigma 10, fkan with 1,024 frequencies, omega 30. The learning rate, the schedule, the
batch and the shape parameters of the bell-shaped activations are those of code derived from it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from inrbench_core import RecipeEntry

PAPER = "Li et al. 2025, arXiv:2510.10188"
PAPER_TRAINING = {"lr": 4e-4, "schedule": "cosine", "final_lr": 0.01, "batch": 8192}
PAPER_ENCODINGS: dict[str, Any] = {
    "identity": "identity",
    "neff": {"name": "neff", "frequencies": "nyquist"},
    "rff": {"name": "rff", "frequencies": 32, "sigma": 10.0},
    "fkan": {"name": "fkan", "frequencies": 1024},
}
PAPER_ACTIVATIONS = (
    "relu",
    "prelu",
    "elu",
    "silu",
    "sigmoid",
    "tanh",
    "softplus",
    "sine",
    "scaled_sine",
    "gaussian",
    "laplacian",
    "quadratic",
    "multi_quadratic",
    "expsin",
)


def _mlp(**options: Any) -> dict[str, Any]:
    return {"name": "mlp", **options}


def named_recipes() -> Iterator[RecipeEntry]:
    """Networks known by a name of their own."""
    yield RecipeEntry(
        "siren",
        "SIREN: sines with their own initialisation, 256 wide, 5 linear layers",
        _mlp(activation={"name": "sine", "omega": 30.0}, width=256, depth=3),
        {"lr": 1e-4},
        "Sitzmann et al. 2020, arXiv:2006.09661",
    )
    yield RecipeEntry(
        "finer",
        "FINER: sines whose frequency grows with their input",
        _mlp(activation={"name": "finer", "omega": 30.0}, width=256, depth=3),
        {"lr": 1e-4},
        "Liu et al. 2023, arXiv:2312.02434",
    )
    yield RecipeEntry(
        "gauss",
        "Gaussian activations exp(-(s z)^2) with s = 30 and torch's own initialisation",
        _mlp(activation={"name": "gaussian", "a": 0.02357, "init": "default"}, width=256, depth=3),
        {"lr": 1e-3},
        "Ramasinghe and Lucey 2021, arXiv:2111.15135",
    )
    yield RecipeEntry(
        "fourier-features",
        "Random Fourier features and a ReLU network",
        _mlp(encoding={"name": "rff", "frequencies": 256, "sigma": 5.0}, activation="relu", width=256, depth=3),
        {"lr": 1e-3},
        "Tancik et al. 2020, arXiv:2006.10739",
    )
    yield RecipeEntry(
        "nerf-mlp",
        "NeRF's frequency encoding and a ReLU network",
        _mlp(encoding={"name": "neff", "frequencies": 10}, activation="relu", width=256, depth=3),
        {"lr": 1e-3},
        "Mildenhall et al. 2020, arXiv:2003.08934",
    )
    yield RecipeEntry(
        "incode",
        "SIREN with learnable amplitude, frequency, phase and offset, started as INCODE's harmonizer starts them",
        _mlp(activation={"name": "scaled_sine", "start": "incode"}, width=256, depth=3),
        {"lr": 1e-4},
        "Kazerouni et al. 2023, arXiv:2310.18846",
    )


def paper_recipes() -> Iterator[RecipeEntry]:
    """The 56 coordinate-MLPs: 4 encodings by 14 activations."""
    for encoding, options in PAPER_ENCODINGS.items():
        for activation in PAPER_ACTIVATIONS:
            yield RecipeEntry(
                f"inr-bench/{encoding}+{activation}",
                f"INR-Bench's coordinate-MLP with {encoding} and {activation}",
                _mlp(encoding=options, activation=activation, width=256, depth=4),
                PAPER_TRAINING,
                PAPER,
            )
