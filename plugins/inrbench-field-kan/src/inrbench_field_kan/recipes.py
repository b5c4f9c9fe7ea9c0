"""Names that people ask for, and the coordinate-KANs of INR-Bench. Imports no torch.

Of the paper are certain or quoted: 6 KAN layers 64 wide without norm, and the bases bspline and fourier.
The other bases, grid 8, degree 4 and the training are those of code derived from the authors'.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from inrbench_core import RecipeEntry

PAPER = "INR-Bench 2025, arXiv:2510.10188"
# A thousand passes over the signal there; the number of steps is left to the experiment.
PAPER_TRAINING = {"optimizer": "adam", "lr": 4e-4, "schedule": "cosine", "final_lr": 0.01, "batch": 8192}
PAPER_DEPTH = 4
CERTAIN_BASES = ("bspline", "fourier")
POLYNOMIALS = (
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
WAVELETS = ("mexican_hat", "morlet", "dog", "meyer", "shannon", "bump")
PAPER_BASES: Mapping[str, Mapping[str, Any]] = {
    "bspline": {"grid": 8, "order": 3, "standalone_scale": True},
    "fourier": {"grid": 8},
    "grbf": {"grid": 8},
    "rbf": {"grid": 8},
    "fcn": {},
    "fcn_interpolation": {},
    **{name: {"degree": 4, "bias": False} for name in POLYNOMIALS},
    **{name: {} for name in WAVELETS},
}


def _kan(basis: str, depth: int = 2, **options: Any) -> dict[str, Any]:
    return {"name": "kan", "basis": {"name": basis, **options}, "width": 64, "depth": depth}


def named_recipes() -> Iterator[RecipeEntry]:
    """KANs known by a name of their own, with our start of the coefficients."""
    yield RecipeEntry(
        "efficient-kan",
        "Cubic B-splines on 5 intervals with a silu branch, as in Blealtan/efficient-kan",
        _kan("bspline", grid=5, order=3, base=True),
        {"lr": 1e-3},
        "Liu et al. 2024, arXiv:2404.19756",
        api=1,
    )
    yield RecipeEntry(
        "fast-kan",
        "Eight Gaussian bells of the normalised input in place of splines, as in FastKAN",
        _kan("grbf", grid=8),
        {"lr": 1e-3},
        "Li 2024, arXiv:2405.06721",
        api=1,
    )
    yield RecipeEntry(
        "cheby-kan",
        "Chebyshev polynomials of degree 4",
        _kan("chebyshev", degree=4),
        {"lr": 1e-3},
        "Sidharth et al. 2024, arXiv:2405.07200",
        api=1,
    )
    yield RecipeEntry(
        "wav-kan",
        "Mexican hats with a shift and a scale on every edge, as in Wav-KAN but without its batch norm",
        _kan("mexican_hat"),
        {"lr": 1e-3},
        "Bozorgasl and Chen 2024, arXiv:2405.12832",
        api=1,
    )


def paper_recipes() -> Iterator[RecipeEntry]:
    """The 22 coordinate-KANs."""
    for basis, options in PAPER_BASES.items():
        certain = basis in CERTAIN_BASES
        yield RecipeEntry(
            f"inr-bench/{basis}",
            f"KAN of {basis} at the sizes of INR-Bench"
            + (", which has it" if certain else "; that it has this basis is likely, not certain"),
            _kan(basis, PAPER_DEPTH, **options),
            PAPER_TRAINING,
            PAPER,
            api=1,
        )
