"""Moments against integrals known by hand, and the standard deviations of the starts against their formulas."""

import math

import numpy as np
import pytest
import torch

from inrbench_core import BasisSpec, ExpansionBasis, ExpansionSpec
from inrbench_core.api.starts import moments

# Of 1, x, x^2 over [-1, 1]: variances 0, 1/3, 1/5 - 1/9; E[f'^2] 0, 1, 4/3.
VARIANCE, SLOPE = (1 / 3 + 4 / 45) / 3, (1 + 4 / 3) / 3
# Of silu there, from 2,000,000 points of a uniform grid.
SILU_VARIANCE, SILU_SLOPE = 0.0881823, 0.3190777


class Powers(ExpansionBasis):
    size = 3

    def expand(self, x):
        return torch.stack([torch.ones_like(x), x, x * x], dim=1).transpose(1, 2)


class Boxes(ExpansionBasis):
    """One function for each of 100 cells of [-1, 1], and one that is 0 there."""

    size = 101

    def expand(self, x):
        cells = torch.arange(self.size, dtype=x.dtype).unsqueeze(1)
        return (((x.unsqueeze(1) + 1.0) * 50.0).floor() == cells).to(x.dtype).transpose(1, 2)


class Wide(Powers):
    def domain(self, x, position):
        return 4.0 * x


class Mixing(Powers):
    def domain(self, x, position):
        return x + x.roll(1, dims=1)


# Of 1, 4 x and 16 x^2, and of 1, a + b and (a + b)^2: E[(a + b)^4] = 2 / 5 + 6 / 9.
WIDE = ((16 / 3 + 256 * 4 / 45) / 3, (16 + 256 * 4 / 3) / 3)
MIXING = ((2 / 3 + 2 / 5 + 6 / 9 - 4 / 9) / 3, (2 + 2 * 4 * 2 / 3) / 3)


def powers(x):
    return torch.stack([torch.ones_like(x), x, x * x], dim=1)


def layer(in_features, out_features, basis=Powers, **options):
    torch.manual_seed(0)
    return basis(ExpansionSpec(**{"normalize": "none", **options})).layer(in_features, out_features, position="first")


@pytest.mark.parametrize("panels", [1, 7])
@pytest.mark.parametrize("reach", [1.0, 2.0])
def test_moments_of_powers(panels, reach):
    found = moments(powers, panels, reach=reach, slopes=True)
    np.testing.assert_allclose(found.mean, [1, 0, reach**2 / 3], atol=1e-13)
    np.testing.assert_allclose(found.square, [1, reach**2 / 3, reach**4 / 5], rtol=1e-13)
    np.testing.assert_allclose(found.variance, [0, reach**2 / 3, 4 * reach**4 / 45], rtol=1e-13)
    np.testing.assert_allclose(found.slope, [0, 1, 4 * reach**2 / 3], atol=1e-8)


def test_moments_over_the_normal_distribution():
    found = moments(powers, 8, normal=True)
    np.testing.assert_allclose(found.mean, [1, 0, 1], atol=1e-3)
    np.testing.assert_allclose(found.variance, [0, 1, 2], rtol=1e-2)


def test_more_panels_see_narrow_functions():
    basis = Boxes(ExpansionSpec())
    one, fifty = (moments(lambda x: basis.expand(x[:, None])[:, 0], panels) for panels in (1, 50))
    assert (one.square[:100] == 0).any()
    np.testing.assert_allclose(fifty.square, [0.01] * 100 + [0], rtol=1e-12)
    np.testing.assert_allclose(fifty.variance, [0.01 - 0.0001] * 100 + [0], rtol=1e-10)


@pytest.mark.parametrize(
    ("scale", "std"),
    [
        ("unit", math.sqrt(1 / (64 * 3 * VARIANCE))),
        ("lecun", math.sqrt(1 / 3 / (64 * 3 * VARIANCE))),
        ("glorot", math.sqrt(2 / 3 / (3 * (64 * VARIANCE + 128 * SLOPE)))),
        ("power", (64 * 3) ** -0.5),
    ],
)
def test_functions_alone(scale, std):
    assert layer(64, 128, scale=scale).coefficients.std().item() == pytest.approx(std, rel=0.02)


@pytest.mark.parametrize(
    ("scale", "std", "base"),
    [
        ("unit", math.sqrt(0.5 / (64 * 3 * VARIANCE)), math.sqrt(0.5 / (64 * SILU_VARIANCE))),
        ("lecun", math.sqrt(1 / 3 / (64 * 4 * VARIANCE)), math.sqrt(1 / 3 / (64 * 4 * SILU_VARIANCE))),
        (
            "glorot",
            math.sqrt(2 / 3 / (4 * (64 * VARIANCE + 128 * SLOPE))),
            math.sqrt(2 / 3 / (4 * (64 * SILU_VARIANCE + 128 * SILU_SLOPE))),
        ),
        ("power", (64 * 4) ** -1.75, (64 * 4) ** -0.25),
    ],
)
def test_beside_a_silu_branch(scale, std, base):
    made = layer(64, 128, scale=scale, base=True)
    assert made.coefficients.std().item() == pytest.approx(std, rel=0.02)
    assert made.base.weight.std().item() == pytest.approx(base, rel=0.02)


def test_exponents_of_the_power_law():
    made = layer(64, 128, scale="power", base=True, exponent=1.0, base_exponent=0.75)
    assert made.coefficients.std().item() == pytest.approx(1 / 256, rel=0.02)
    assert made.base.weight.std().item() == pytest.approx(256**-0.75, rel=0.02)


def test_later_layers_of_unit_scale_take_what_such_layers_give():
    """silu(z) of z ~ N(0, 1) has the variance 0.3558 - 0.2066^2."""
    basis = Powers(ExpansionSpec(base=True))
    made = basis.layer(64, 256, position="hidden")
    wanted = math.sqrt(0.5 / (64 * (0.3558 - 0.2066**2)))
    assert made.base.weight.std().item() == pytest.approx(wanted, rel=0.02)


@pytest.mark.parametrize(("scale", "centred"), [("unit", True), ("lecun", True), ("glorot", True), ("power", False)])
@pytest.mark.parametrize("normalize", ["none", "rms", "variance"])
def test_the_bias_cancels_the_means(scale, centred, normalize):
    """Those of 1, x and x^2 are 1, 0 and 1/3; the layer's functions have the factors 1, sqrt(3) and sqrt(5) of rms."""
    made = layer(64, 128, scale=scale, normalize=normalize)
    means = {"none": [1, 0, 1 / 3], "rms": [1, 0, math.sqrt(5) / 3], "variance": [1.0, 0.0, 0.0]}[normalize]
    wanted = -(made.coefficients.sum(dim=1) @ torch.tensor(means)) if centred else torch.zeros(128)
    torch.testing.assert_close(made.bias, wanted, atol=1e-4, rtol=1e-4)


def test_functions_without_variance_start_finite():
    class Ones(Powers):
        size = 1

        def expand(self, x):
            return torch.ones_like(x).unsqueeze(2)

    for scale in ("unit", "lecun", "glorot", "power"):
        assert layer(4, 64, Ones, scale=scale).coefficients.isfinite().all()


def test_weights_of_functions_relative_to_one_another():
    class Weighted(Powers):
        def start_weights(self):
            return torch.tensor([1.0, 4.0, 0.5])

    made = layer(64, 512, Weighted)
    std = made.coefficients.std(dim=(0, 1)).detach()
    np.testing.assert_allclose(std / std[0], [1, 4, 0.5], rtol=0.03)
    with torch.no_grad():
        assert made(2 * torch.rand(2000, 64) - 1).var(0).mean().item() == pytest.approx(1.0, rel=0.1)


@pytest.mark.parametrize(("basis", "found"), [(Wide, WIDE), (Mixing, MIXING)])
def test_functions_behind_a_domain_of_their_own(basis, found):
    variance, slope = found
    unit, glorot = layer(64, 128, basis), layer(64, 128, basis, scale="glorot")
    assert unit.coefficients.std().item() == pytest.approx(math.sqrt(1 / (64 * 3 * variance)), rel=0.02)
    wanted = math.sqrt(2 / 3 / (3 * (64 * variance + 128 * slope)))
    assert glorot.coefficients.std().item() == pytest.approx(wanted, rel=0.02)


@pytest.mark.parametrize("basis", [Wide, Mixing])
def test_outputs_behind_a_domain_of_its_own_have_unit_variance_and_no_mean(basis):
    made = layer(16, 512, basis)
    with torch.no_grad():
        y = made(2 * torch.rand(4000, 16) - 1)
    assert y.var(0).mean().item() == pytest.approx(1.0, rel=0.1)
    assert y.mean(0).square().mean().item() < 0.01


@pytest.mark.parametrize("spec", [BasisSpec, ExpansionSpec])
@pytest.mark.parametrize("scale", ["published", "unit", "lecun", "glorot"])
def test_an_exponent_without_the_power_law_is_refused(spec, scale):
    with pytest.raises(ValueError, match=f"exponent has no effect with scale: {scale}"):
        spec(scale=scale, exponent=1.0)


@pytest.mark.parametrize("options", [{"base": True}, {"scale": "power"}, {"scale": "lecun", "base": True}])
def test_an_exponent_of_no_silu_branch_or_without_the_power_law_is_refused(options):
    with pytest.raises(ValueError, match="only with scale: power and base: true"):
        ExpansionSpec(base_exponent=0.5, **options)
    # A run's file has every default written out.
    spec = ExpansionSpec(**options)
    assert ExpansionSpec(**spec.model_dump()) == spec


@pytest.mark.parametrize("scale", ["published", "unit", "lecun", "glorot", "power"])
def test_a_start_depends_on_the_seed_alone(scale):
    first, second = (layer(5, 4, scale=scale, base=True) for _ in range(2))
    assert torch.equal(first.coefficients, second.coefficients)
    assert torch.equal(first.base.weight, second.base.weight)
