"""Names that people ask for, and the coordinate-KANs of INR-Bench. Imports no torch.

Of the paper are certain or quoted: 6 KAN layers 64 wide without norm, and the bases bspline and fourier. Grid 8, degree
4, the starts and domains of these two and the training are those of code derived from the authors'
(github.com/Fre-Ar/BSPS6, 2026). The starts and domains of the other bases are those of the same authors' X-KANeRF
(github.com/lif314/X-KANeRF, 2024), without the norms that its layers have within, nor what is an error in its functions
(grbf's width, fibonacci's first function and second tanh, shannon, meyer, bump).
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
PUBLISHED = {"scale": "published", "domain": "identity", "normalize": "none"}
OWN = {"scale": "unit", "normalize": "variance"}
PAPER_BASES: Mapping[str, Mapping[str, Any]] = {
    "bspline": {"grid": 8, "order": 3, "base": True, "bias": False, "standalone_scale": True, **PUBLISHED},
    "fourier": {"grid": 8, "bias": True, **PUBLISHED},
    "grbf": {"grid": 8, "base": True, "bias": True, "reach": 2.0, **PUBLISHED},
    "rbf": {"grid": 8, "base": True, "bias": True, "reach": 2.0, **PUBLISHED},
    "fcn": {"hidden": 1, "sinusoids": 1, "scale": "published"},
    "fcn_interpolation": {"nodes": 8, "bias": False, "reach": 2.0, **PUBLISHED},
    **{
        name: {"degree": 4, "bias": False, "normalize": "none", "scale": "published", "domain": "tanh"}
        for name in POLYNOMIALS
    },
    # The bias is the shift of the batch norm that is left out.
    **{name: {"spread": False, "bias": True, "scale": "published"} for name in WAVELETS},
}


def _kan(basis: str, depth: int = 2, norm: str = "none", **options: Any) -> dict[str, Any]:
    return {"name": "kan", "basis": {"name": basis, **options}, "width": 64, "depth": depth, "norm": norm}


def published_recipes() -> Iterator[RecipeEntry]:
    """KANs as in their repositories: functions, start, map of the inputs and norm. Width, depth and rate are ours."""
    yield RecipeEntry(
        "efficient-kan",
        "Cubic B-splines on 5 intervals with a silu branch, as in Blealtan/efficient-kan",
        _kan("bspline", grid=5, order=3, base=True, bias=False, standalone_scale=True, **PUBLISHED),
        {"lr": 1e-3},
        "Liu et al. 2024, arXiv:2404.19756",
        api=1,
    )
    yield RecipeEntry(
        "fast-kan",
        "Eight Gaussian bells of normalised inputs and a silu branch, as in ZiyaoLi/fast-kan; from 2 coordinates on",
        _kan("grbf", grid=8, base=True, bias=True, reach=2.0, layernorm="all", **PUBLISHED),
        {"lr": 1e-3},
        "Li 2024, arXiv:2405.06721",
        api=1,
    )
    yield RecipeEntry(
        "cheby-kan",
        "Chebyshev polynomials of degree 4 of tanh, LayerNorms between layers, as in SynodicMonth/ChebyKAN",
        _kan("chebyshev", norm="layer", degree=4, bias=False, normalize="none", scale="published", domain="tanh"),
        {"lr": 1e-3},
        "Sidharth et al. 2024, arXiv:2405.07200",
        api=1,
    )
    yield RecipeEntry(
        "wav-kan",
        "Mexican hats with a shift and a scale on every edge, batch norm after every layer, as in zavareh1/Wav-KAN",
        _kan("mexican_hat", norm="batch", spread=False, bias=False, scale="published"),
        {"lr": 1e-3},
        "Bozorgasl and Chen 2024, arXiv:2405.12832",
        api=1,
    )


def own_recipes() -> Iterator[RecipeEntry]:
    """The same functions with our starts.

    benchmarks/results/recipes.md compares them with the published ones, at two sizes of one picture and with one seed:
    all fit training pixels more closely. Pixels held out are predicted worse at 32 x 32 by all but kan-bspline, and at
    64 x 64 by kan-chebyshev.
    """
    yield RecipeEntry(
        "kan-bspline",
        "Cubic B-splines with our start; compared with efficient-kan in benchmarks/results/recipes.md",
        _kan("bspline", grid=5, order=3, base=True, bias=True, domain="auto", **OWN),
        {"lr": 1e-3},
        "Liu et al. 2024, arXiv:2404.19756",
        api=1,
    )
    yield RecipeEntry(
        "kan-rbf",
        "Eight Gaussian bells with our start; compared with fast-kan in benchmarks/results/recipes.md",
        _kan("rbf", grid=8, base=True, bias=True, domain="identity", **OWN),
        {"lr": 1e-3},
        "Li 2024, arXiv:2405.06721",
        api=1,
    )
    yield RecipeEntry(
        "kan-chebyshev",
        "Chebyshev polynomials with our start and no norm; compared with cheby-kan in benchmarks/results/recipes.md",
        _kan("chebyshev", degree=4, bias=True, domain="auto", **OWN),
        {"lr": 1e-3},
        "Sidharth et al. 2024, arXiv:2405.07200",
        api=1,
    )
    yield RecipeEntry(
        "kan-wavelet",
        "Mexican hats with our start and no norm; compared with wav-kan in benchmarks/results/recipes.md",
        _kan("mexican_hat", spread=True, bias=True, scale="unit"),
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
