"""The recipes of INR-Bench, built by the installed plugins, have the sizes known of the paper's networks."""

import pytest

from inrbench_core import FieldShape
from inrbench_core.fit import count_parameters

# Of 6 layers 64 wide from 2 to 3: edges, and biases where the published layers have them or need them.
EDGES, OUTPUTS = 16_704, 323
POLYNOMIALS = (
    *("chebyshev", "chebyshev2", "jacobi", "hermite", "gegenbauer"),
    *("legendre", "laguerre", "bessel", "fibonacci", "lucas"),
)
WAVELETS = ("mexican_hat", "morlet", "dog", "meyer", "shannon", "bump")
COUNTS = {
    "identity+relu": 264_707,
    "identity+scaled_sine": 264_707 + 5 * 4,
    "rff+relu": 264_707 + (64 - 2) * 256,
    "bspline": 217_152,
    "fourier": 267_587,
    **dict.fromkeys(POLYNOMIALS, 5 * EDGES),
    # Batch norm, which is left out, had a shift for each output.
    **dict.fromkeys(WAVELETS, 3 * EDGES + OUTPUTS),
}


@pytest.mark.parametrize(("name", "count"), COUNTS.items())
def test_a_recipe_has_the_papers_parameters(catalog, name, count):
    recipe = catalog.recipe(f"inr-bench/{name}")
    field = catalog.resolve("field", dict(recipe.stands_for))
    assert count_parameters(field.build(FieldShape(2, 3, (64, 64)))) == count


def test_the_mlp_of_one_coordinate_and_value(catalog):
    field = catalog.resolve("field", dict(catalog.recipe("inr-bench/identity+relu").stands_for))
    assert count_parameters(field.build(FieldShape(1, 1))) == 263_937
