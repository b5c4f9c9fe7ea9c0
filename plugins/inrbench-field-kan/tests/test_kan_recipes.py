"""The recipes start as the code that they are named after, and see its domain.

START and INPUTS hold what that code gave, run by itself outside this repository: Blealtan/efficient-kan 7b6ce1c,
ZiyaoLi/fast-kan 17b6540, SynodicMonth/ChebyKAN 5f7efdd with the LayerNorms of its example, zavareh1/Wav-KAN f7ab521,
for inr-bench/bspline and fourier Fre-Ar/BSPS6 838c77e, for the other bases the layers of lif314/X-KANeRF c590310
without the LayerNorms behind them. Networks are those of the recipes from 2 to 3.
"""

import math

import pytest
import torch
from inrbench_basis_fourier import plugin as fourier
from inrbench_basis_polynomial import plugin as polynomial
from inrbench_basis_radial import plugin as radial
from inrbench_basis_spline import plugin as spline
from inrbench_basis_wavelet import plugin as wavelet
from inrbench_field_kan import recipes
from inrbench_field_kan.kan import Kan
from inrbench_field_kan.plugin import KanSpec, inrbench_recipes
from torch import nn

from inrbench_core import Component, FieldShape

MODULES = (fourier, polynomial, radial, spline, wavelet)
BASES = {entry.name: entry for module in MODULES for entry in module.inrbench_bases()}
RECIPES = {recipe.name: recipe for recipe in inrbench_recipes()}

# Means over 20 seeds: RMS of the outputs of the first and second layer (Wav-KAN's with their batch norm) on a grid of
# 16 x 16 coordinates, ends included; norm of the gradient of the mean squared error by all parameters, for the targets
# sin(3x) cos(2y), x y and cos(4x - y); and the deviation of that norm from seed to seed, as a share of it.
START = {
    "efficient-kan": (0.1894, 0.0567, 0.0502, 0.04),
    "fast-kan": (0.4778, 0.9093, 14.26, 0.37),
    "cheby-kan": (0.2341, 0.0418, 3.847, 0.07),
    "wav-kan": (0.9993, 0.9998, 4.858, 0.19),
    "inr-bench/bspline": (0.1894, 0.0567, 0.0503, 0.06),
    "inr-bench/fourier": (0.9984, 1.001, 1676.0, 0.05),
    "inr-bench/rbf": (0.4827, 0.915, 22.51, 0.32),
    "inr-bench/fcn_interpolation": (0.0726, 0.2511, 5.433, 0.40),
    "inr-bench/chebyshev": (0.2341, 0.0424, 1.808, 0.21),
    "inr-bench/bessel": (6.177, 3.32, 7352.0, 0.51),
}


def build(name, **options):
    field = {**RECIPES[name].stands_for, **options}
    basis = dict(field.pop("basis"))
    assert field.pop("name") == "kan"
    entry = BASES[basis.pop("name")]
    spec = KanSpec(basis=Component(entry, entry.spec(**basis), distribution="x", version="0"), **field)
    return Kan(spec, FieldShape(2, 3))


def observed(layer):
    """Where it is read: a layer with its batch norm, but without its LayerNorm."""
    return [part for part in layer.layers if isinstance(part, nn.BatchNorm1d)] or [
        part for part in layer.layers if not isinstance(part, nn.LayerNorm)
    ]


@pytest.mark.parametrize("name", START)
def test_it_starts_as_the_code_that_it_is_named_after(name, assert_starts_as):
    assert_starts_as(lambda: build(name), observed, START[name], rms_error=0.12)


@pytest.mark.parametrize("name", ["cheby-kan", "inr-bench/chebyshev"])
def test_chebyshev_polynomials_see_the_tanh_of_coordinates(name):
    """T_1 alone: ChebyKAN's first layer is the sum of tanh(0.9) = 0.716298 and tanh(-0.4) = -0.379949."""
    layer = build(name).layers[0]
    with torch.no_grad():
        layer.coefficients.zero_()
        layer.coefficients[:, :, 1] = 1.0
    assert layer(torch.tensor([[0.9, -0.4]]))[0, 0].item() == pytest.approx(0.336349, abs=1e-5)


@pytest.mark.parametrize("name", ["efficient-kan", "inr-bench/bspline"])
def test_splines_end_where_their_knots_do(name):
    """At 3 only silu(3) = 2.857722 is left in efficient-kan's hidden layers, times a weight."""
    layer = build(name).layers[1]
    y = layer(torch.full((1, 64), 3.0))
    torch.testing.assert_close(y[0], 2.857722 * layer.base.weight.sum(dim=1), rtol=1e-5, atol=1e-5)


def test_fast_kan_keeps_of_two_coordinates_only_their_order():
    """fast-kan's LayerNorm makes (1, -1) of both points here; at 1 its bells are (0, 0, 0, 0.000479, 0.046771, ...)."""
    layer = build("fast-kan").layers[0]
    with torch.no_grad():
        layer.base.weight.zero_()
        layer.bias.zero_()
        layer.coefficients.zero_()
        layer.coefficients[:, 0, 4] = 1.0
    y = layer(torch.tensor([[0.7, -0.5], [0.9, 0.1]]))[:, 0]
    # exp(-((1 - 2/7) / (4/7))^2) = exp(-25/16)
    torch.testing.assert_close(y, torch.full((2,), math.exp(-25 / 16)), rtol=1e-3, atol=1e-4)


def test_wav_kan_ends_with_a_batch_norm():
    layers = build("wav-kan").layers
    assert [type(layer) is nn.BatchNorm1d for layer in layers] == [False, True] * 4
    assert layers[-1].num_features == 3


def test_the_papers_bases_are_twenty_two():
    assert len(recipes.PAPER_BASES) == 22
    certain = {recipe.name for recipe in recipes.paper_recipes() if "which has it" in recipe.summary}
    assert certain == {"inr-bench/bspline", "inr-bench/fourier"}


def test_every_published_start_is_asked_for_and_no_start_of_ours():
    for name, recipe in RECIPES.items():
        assert (recipe.stands_for["basis"].get("scale") == "published") == (not name.startswith("kan-"))


@pytest.mark.parametrize("name", RECIPES)
def test_recipes_name_options_that_exist(name):
    if RECIPES[name].stands_for["basis"]["name"] not in BASES:
        pytest.skip("in a distribution that these tests do not need")
    # One KAN layer for each width between, and two more.
    assert len(observed(build(name, width=8))) == (6 if name.startswith("inr-bench/") else 4)
