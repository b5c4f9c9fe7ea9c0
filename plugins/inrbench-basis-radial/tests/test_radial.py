import numpy as np
import pytest
import torch
from inrbench_basis_radial.plugin import GrbfSpec, RbfSpec
from inrbench_basis_radial.radial import Grbf, Rbf
from torch import nn

from inrbench_core import UnsupportedError

PROFILES = ["gaussian", "inverse_quadratic", "inverse_multiquadric", "wendland"]


def test_values_known_by_hand():
    values = Rbf(RbfSpec(grid=8)).expand(torch.tensor([[0.3]], dtype=torch.float64))[0, 0]
    expected = [9.2078e-8, 1.06153e-4, 0.0165623, 0.349719, 0.999375, 0.386499, 0.0202293, 1.43292e-4]
    assert values.tolist() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("profile", PROFILES)
def test_a_profile_is_one_at_its_centre_even_and_falling(profile):
    basis = Rbf(RbfSpec(grid=5, profile=profile))
    r = torch.linspace(0, 3, 50, dtype=torch.float64)[:, None]  # The spacing is 1, and centre 2 lies at 0.
    right, left = basis.expand(r)[:, 0, 2], basis.expand(-r)[:, 0, 2]
    assert right[0].item() == 1.0
    torch.testing.assert_close(right, left)
    assert (right.diff() <= 0).all()
    closed = {"gaussian": np.exp(-4), "inverse_quadratic": 0.2, "inverse_multiquadric": 5**-0.5, "wendland": 0.0}
    two = torch.full((1, 1), 2.0, dtype=torch.float64)
    assert basis.expand(two)[0, 0, 2].item() == pytest.approx(closed[profile])


@pytest.mark.parametrize("kind", [(Rbf, RbfSpec), (Grbf, GrbfSpec)])
@pytest.mark.parametrize("in_features", [2, 64])
@pytest.mark.parametrize("position", ["first", "hidden"])
def test_a_layer_starts_near_unit_variance_with_no_dead_coefficients(kind, in_features, position):
    basis, spec = kind
    torch.manual_seed(0)
    layer = basis(spec(base=False)).layer(in_features, 128, position=position)
    y = layer(torch.rand(4096, in_features) * 2 - 1)
    # Behind a LayerNorm some inputs leave [-1, 1], for which the scale is meant.
    assert 0.8 < y.square().mean().sqrt().item() < 1.25
    y.square().sum().backward()
    assert (layer.coefficients.grad.abs().amax(dim=(0, 1)) > 0).all()


def test_coordinates_that_are_normalised_start_at_unit_variance():
    """Two of them become 1 and -1, where the functions vary more than over U(-1, 1)."""
    torch.manual_seed(0)
    layer = Grbf(GrbfSpec(layernorm="all", base=False)).layer(2, 2048, position="first")
    with torch.no_grad():
        y = layer(torch.rand(2048, 2) * 2 - 1)
    assert y.var(dim=0).mean().item() == pytest.approx(1.0, rel=0.1)
    assert y.mean(dim=0).square().mean().item() < 0.02


def test_grbf_normalises_hidden_features_but_never_coordinates():
    layer = Grbf(GrbfSpec()).layer(64, 8, position="hidden")
    x = torch.randn(16, 64)
    torch.testing.assert_close(layer.basis.norm(3 * x + 5), layer.basis.norm(x), atol=1e-4, rtol=1e-4)
    for in_features, position in ((2, "first"), (2, "hidden"), (64, "first")):
        assert isinstance(Grbf(GrbfSpec()).layer(in_features, 8, position=position).basis.norm, nn.Identity)
    # The whole layer, silu branch apart, sees the normalised input only.
    branchless = Grbf(GrbfSpec(base=False)).layer(64, 8, position="hidden")
    torch.testing.assert_close(branchless(3 * x + 5), branchless(x), atol=1e-4, rtol=1e-4)
    first = Grbf(GrbfSpec()).layer(2, 8, position="first")
    assert not torch.allclose(first(torch.tensor([[0.2, 0.1]])), first(torch.tensor([[0.9, 0.5]])))


@pytest.mark.parametrize("profile", PROFILES)
def test_gradients_and_far_values(profile):
    basis = Rbf(RbfSpec(profile=profile))
    x = (torch.rand(6, 2, dtype=torch.float64) * 2 - 1).requires_grad_()
    assert torch.autograd.gradcheck(basis.expand, (x,))
    far = torch.tensor([[1e4, -1e4], [0.0, 1.0]], requires_grad=True)
    basis.expand(far).sum().backward()
    assert far.grad.isfinite().all()


@pytest.mark.parametrize(
    ("profile", "second"),
    [("gaussian", -2.0), ("inverse_quadratic", -2.0), ("inverse_multiquadric", -1.0), ("wendland", -5.0)],
)
def test_the_second_derivative_at_a_centre(profile, second):
    """From the series: 1 - r^2, 1 - r^2, 1 - r^2 / 2 and, with s = r / 2, 1 - 10 s^2 + O(|s|^3)."""
    basis = Rbf(RbfSpec(grid=5, profile=profile))
    x = torch.zeros(1, 1, dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(basis.expand(x)[0, 0, 2], x, create_graph=True)
    assert slope.item() == pytest.approx(0.0, abs=1e-12)
    assert torch.autograd.grad(slope.sum(), x)[0].item() == pytest.approx(second, rel=1e-12)


@pytest.mark.parametrize(
    ("domain", "position", "reach"),
    [("identity", "first", 1), ("identity", "hidden", 2), ("tanh", "last", 1), ("auto", "hidden", 1)],
)
def test_centres_lie_where_the_inputs_are(domain, position, reach):
    basis = Rbf(RbfSpec(grid=4, domain=domain))
    basis.setup(1, position)
    peaks = basis.expand(torch.linspace(-reach, reach, 4, dtype=torch.float64)[:, None])[:, 0].diagonal()
    torch.testing.assert_close(peaks, torch.ones_like(peaks))


@pytest.mark.parametrize("kind", [(Rbf, RbfSpec), (Grbf, GrbfSpec)])
def test_points_do_not_influence_each_other(kind):
    layer = kind[0](kind[1]()).layer(16, 4, position="hidden").double()
    x = torch.randn(10, 16, dtype=torch.float64)
    torch.testing.assert_close(layer(x)[3:5], layer(x[3:5]))


@pytest.mark.parametrize("kind", [(Rbf, RbfSpec), (Grbf, GrbfSpec)])
def test_functions_of_unit_rms_start_a_hidden_layer_near_unit_variance(kind):
    """Centres beyond [-1, 1] are as high as the others: an RMS over [-1, 1] alone would blow them up."""
    torch.manual_seed(0)
    layer = kind[0](kind[1](normalize="rms", base=False)).layer(64, 128, position="hidden")
    assert 0.7 < layer(torch.randn(4096, 64)).square().mean().sqrt().item() < 1.5


def test_published_starts():
    torch.manual_seed(0)
    for basis in (Rbf(RbfSpec(scale="published")), Grbf(GrbfSpec(scale="published"))):
        layer = basis.layer(64, 64, position="hidden")
        assert layer.coefficients.std().item() == pytest.approx(0.1, rel=0.02)
        assert layer.coefficients.mean().item() == pytest.approx(0.0, abs=0.002)
        # The bias of the published silu branch is torch's default.
        assert layer.bias.abs().max().item() == pytest.approx(1 / 8, rel=0.1)


def test_published_centres_and_norm():
    """FastKAN's eight centres on [-2, 2], in the first layer too, and its LayerNorm of coordinates."""
    basis = Rbf(RbfSpec(grid=8, reach=2.0))
    basis.setup(2, "first")
    peaks = basis.expand(torch.linspace(-2, 2, 8, dtype=torch.float64)[:, None])[:, 0].diagonal()
    torch.testing.assert_close(peaks, torch.ones_like(peaks))
    layer = Grbf(GrbfSpec(layernorm="all", base=False)).layer(2, 8, position="first")
    torch.testing.assert_close(layer(torch.tensor([[0.7, -0.5]])), layer(torch.tensor([[0.9, 0.1]])), rtol=0, atol=1e-3)
    with pytest.raises(UnsupportedError, match="single coordinate"):
        Grbf(GrbfSpec(layernorm="all")).layer(1, 8, position="first")
