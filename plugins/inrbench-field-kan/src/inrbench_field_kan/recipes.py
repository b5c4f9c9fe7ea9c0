"""Names that people ask for, and the 22 KANs of INR-Bench. Imports no torch.

The paper's KAN has 6 layers 64 wide (quoted); grid 8 and degree 4 are those of code derived from it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from inrbench_core import RecipeEntry

PAPER = "Li et al. 2025, arXiv:2510.10188"
PAPER_TRAINING = {"lr": 4e-4, "schedule": "cosine", "final_lr": 0.01, "batch": 8192}
PAPER_BASES: dict[str, dict[str, Any]] = {
    "bspline": {"grid": 8},
    "fourier": {"grid": 8},
    "grbf": {"grid": 8},
    "rbf": {"grid": 8},
    "fcn": {},
    "fcn_interpolation": {"nodes": 8},
    **{
        name: {"degree": 4}
        for name in (
            "chebyshev",
            "chebyshev2",
            "jacobi",
            "hermite",
            "gegenbauer",
            "legendre",
            "laguerre",
            "bessel",
            "fibonacci",
            "lucas",
        )
    },
    **{name: {} for name in ("mexican_hat", "morlet", "dog", "meyer", "shannon", "bump")},
}


def _kan(basis: str, **options: Any) -> dict[str, Any]:
    return {"name": "kan", "basis": {"name": basis, **options}, "width": 64, "depth": 2}


def named_recipes() -> Iterator[RecipeEntry]:
    """KANs known by a name of their own."""
    yield RecipeEntry(
        "efficient-kan",
        "B-spline KAN as in Blealtan/efficient-kan: grid 5, order 3, silu branch",
        _kan("bspline", grid=5, order=3),
        {"lr": 1e-3},
        "Liu et al. 2024, arXiv:2404.19756",
    )
    yield RecipeEntry(
        "fast-kan",
        "Gaussian radial basis functions with LayerNorm, as in FastKAN",
        _kan("grbf", grid=8),
        {"lr": 1e-3},
        "Li 2024, arXiv:2405.06721",
    )
    yield RecipeEntry(
        "cheby-kan",
        "Chebyshev polynomials of degree 4",
        _kan("chebyshev", degree=4),
        {"lr": 1e-3},
        "Sidharth et al. 2024, arXiv:2405.07200",
    )
    yield RecipeEntry(
        "wav-kan",
        "Mexican-hat wavelets with a shift and a dilation on every edge",
        _kan("mexican_hat"),
        {"lr": 1e-3},
        "Bozorgasl and Chen 2024, arXiv:2405.12832",
    )


def paper_recipes() -> Iterator[RecipeEntry]:
    """The 22 coordinate-KANs."""
    for basis, options in PAPER_BASES.items():
        yield RecipeEntry(
            f"inr-bench/{basis}",
            f"INR-Bench's coordinate-KAN with the basis {basis}",
            {"name": "kan", "basis": {"name": basis, **options}, "width": 64, "depth": 4},
            PAPER_TRAINING,
            PAPER,
        )
