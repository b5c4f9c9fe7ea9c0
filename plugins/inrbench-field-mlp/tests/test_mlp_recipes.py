"""The recipes start as the code that they are named after.

START holds what that code gave, run by itself outside this repository: vsitzmann/siren 4df34ba, liuzhen0212/FINER
51a9254 (finer, gauss) and Fre-Ar/BSPS6 838c77e (inr-bench). The code of fourier-features is a notebook for jax
(tancik/fourier-feature-networks 9c110c3); its numbers are those of a network written anew from it in torch, with
coordinates in [0, 1) and sigma 10. Networks are those of the recipes from 2 to 3.
"""

import math

import pytest
import torch
from inrbench_field_mlp.plugin import inrbench_recipes
from inrbench_field_mlp.recipes import GAUSS_HALF_WIDTH
from torch import nn

from inrbench_core import FieldShape
from inrbench_core.plugins.loading import load_catalog
from inrbench_core.spec.training import TrainingSpec

RECIPES = {recipe.name: recipe for recipe in inrbench_recipes()}

# Means over 20 seeds: RMS of what the first and second linear layer give on a grid of 16 x 16 coordinates, ends
# included; norm of the gradient of the mean squared error by all parameters, for the targets sin(3x) cos(2y), x y and
# cos(4x - y); and the deviation of that norm from seed to seed, as a share of it.
START = {
    "siren": (0.4806, 0.0490, 1.923, 0.15),
    "finer": (0.4802, 0.0490, 1.649, 0.19),
    "gauss": (0.5411, 0.1033, 33.97, 0.04),
    "fourier-features": (0.8171, 0.5833, 0.5564, 0.30),
    "inr-bench/identity+relu": (0.9616, 0.9554, 15.45, 0.48),
    "inr-bench/identity+gaussian": (0.9616, 0.3996, 60.27, 0.10),
    "inr-bench/identity+scaled_sine": (0.4803, 0.0543, 2.549, 0.06),
    "inr-bench/identity+multi_quadratic": (0.9616, 0.8420, 10.73, 0.52),
}


@pytest.fixture(scope="module")
def catalog():
    return load_catalog()


def build(catalog, name, outputs=3):
    return catalog.resolve("field", dict(RECIPES[name].stands_for)).build(FieldShape(2, outputs))


def linear_layers(model):
    return [part for part in model.layers if isinstance(part, nn.Linear)]


@pytest.mark.parametrize("name", START)
def test_it_starts_as_the_code_that_it_is_named_after(catalog, name, assert_starts_as):
    assert_starts_as(lambda: build(catalog, name), linear_layers, START[name], rms_error=0.06)


def test_fourier_features_see_as_far_as_tancik_and_others(catalog):
    """Features of neighbours in a picture 64 wide, 1/64 apart in [0, 1) and 2/64 apart here, overlap by
    E[cos(2 pi b d)] = exp(-2 pi^2 10^2 / 64^2) = 0.6176, from the paper's equation 5 with sigma 10."""
    overlaps = []
    for seed in range(20):
        torch.manual_seed(seed)
        features = build(catalog, "fourier-features").encoding(torch.tensor([[0.1, 0.3], [0.1 + 2 / 64, 0.3]]))
        overlaps.append((features[0] @ features[1]).item() / 256)
    # One of them deviates by sqrt((1 + r^4) / 2 - r^2) / 16 = 0.03.
    assert sum(overlaps) / 20 == pytest.approx(0.6176, abs=0.03)


def test_fourier_features_end_with_a_sigmoid_after_four_linear_layers(catalog):
    field = build(catalog, "fourier-features")
    linears = linear_layers(field)
    assert [(part.in_features, part.out_features) for part in linears] == [(512, 256), (256, 256), (256, 256), (256, 3)]
    with torch.no_grad():
        linears[-1].weight.zero_()
        linears[-1].bias.copy_(torch.tensor([-50.0, 0.0, math.log(3)]))
    # In [0, 1] the sigmoids of -50, 0 and log 3 are 0, 1/2 and 3/4.
    torch.testing.assert_close(field(torch.zeros(1, 2))[0], torch.tensor([-1.0, 0.0, 0.5]))


def test_scaled_sine_starts_at_the_four_numbers_of_the_derived_code(catalog):
    """Fre-Ar/BSPS6: a = 0.1993, b = 0.0196, c = 0.0588, d = 0.0269."""
    activations = list(build(catalog, "inr-bench/identity+scaled_sine").layers)[1::2]
    assert len(activations) == 5
    for part in activations:
        scalars = [scalar.item() for scalar in (part.a, part.b, part.c, part.d)]
        assert scalars == pytest.approx([0.1993, 0.0196, 0.0588, 0.0269])


def test_finer_passes_no_gradient_through_its_scale(catalog):
    """At z = 0.02 FINER's code gives the derivative 30 (0.02 + 1) cos(30 (0.02 + 1) 0.02) = 25.046120."""
    activation = build(catalog, "finer").layers[1]
    z = torch.tensor([0.02], requires_grad=True)
    activation(z).backward()
    assert z.grad.item() == pytest.approx(25.046120, rel=1e-5)


def test_the_papers_grid_is_four_by_fourteen():
    pairs = [name.removeprefix("inr-bench/").split("+") for name in RECIPES if name.startswith("inr-bench/")]
    assert len(pairs) == 56
    assert len({encoding for encoding, _ in pairs}) == 4
    assert len({activation for _, activation in pairs}) == 14


def test_only_what_is_certain_is_said_to_be_the_papers():
    said = {name.split("+")[1] for name, recipe in RECIPES.items() if "which has both" in recipe.summary}
    assert said == {"relu", "gaussian", "scaled_sine"}


@pytest.mark.parametrize("name", RECIPES)
def test_it_resolves(catalog, name):
    field = catalog.resolve("field", RECIPES[name].stands_for)
    assert field.spec.width == 256
    assert field.spec.depth == (4 if name.startswith("inr-bench/") else 2 if name == "fourier-features" else 3)
    TrainingSpec.model_validate(RECIPES[name].training, context={"catalog": catalog})


def test_gauss_is_the_bell_of_scale_thirty():
    assert math.exp(-(0.01**2) / (2 * GAUSS_HALF_WIDTH**2)) == pytest.approx(math.exp(-((30 * 0.01) ** 2)), rel=1e-6)
