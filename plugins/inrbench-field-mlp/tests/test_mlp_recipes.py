import math

import pytest
from inrbench_field_mlp.plugin import inrbench_recipes
from inrbench_field_mlp.recipes import GAUSS_HALF_WIDTH

from inrbench_core.plugins.loading import load_catalog
from inrbench_core.spec.training import TrainingSpec

RECIPES = {recipe.name: recipe for recipe in inrbench_recipes()}


@pytest.fixture(scope="module")
def catalog():
    return load_catalog()


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
    assert field.spec.depth == (4 if name.startswith("inr-bench/") else 3)
    TrainingSpec.model_validate(RECIPES[name].training, context={"catalog": catalog})


def test_gauss_is_the_bell_of_scale_thirty():
    assert math.exp(-(0.01**2) / (2 * GAUSS_HALF_WIDTH**2)) == pytest.approx(math.exp(-((30 * 0.01) ** 2)), rel=1e-6)
