import numpy as np
import pytest
import torch
from inrbench_basis_spline.bspline import Bspline
from inrbench_basis_spline.plugin import BsplineSpec
from scipy.interpolate import BSpline


@pytest.mark.parametrize("grid", [1, 5, 8])
@pytest.mark.parametrize("order", [0, 1, 2, 3, 4, 5])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-5)])
def test_values_are_those_of_scipy(grid, order, dtype, tolerance):
    # Points away from knots: an order of 0 jumps there.
    x = np.linspace(-2.5, 2.5, 401) + 1e-3
    knots = -1 + (np.arange(grid + 2 * order + 1) - order) * 2 / grid
    expected = [BSpline.basis_element(knots[j : j + order + 2], extrapolate=False)(x) for j in range(grid + order)]
    values = Bspline(BsplineSpec(grid=grid, order=order)).to(dtype).expand(torch.from_numpy(x[:, None]).to(dtype))
    np.testing.assert_allclose(values[:, 0].T, np.nan_to_num(expected), atol=tolerance)


def test_values_known_by_hand():
    values = Bspline(BsplineSpec(grid=5, order=3)).double().expand(torch.tensor([[0.3]], dtype=torch.float64))
    expected = [0, 0, 0, 0.0703125, 0.611979, 0.315104, 0.00260417, 0]
    assert values[0, 0].tolist() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_the_functions_sum_to_one_on_the_whole_domain(order):
    x = torch.cat([torch.linspace(-1, 1, 101), torch.tensor([-1.0, 1.0])]).double().unsqueeze(1)
    total = Bspline(BsplineSpec(grid=6, order=order)).double().expand(x).sum(dim=2)
    assert torch.allclose(total, torch.ones_like(total), atol=1e-12)


@pytest.mark.parametrize("scale", ["unit", "published"])
def test_every_coefficient_gets_a_gradient(scale):
    torch.manual_seed(0)
    layer = Bspline(BsplineSpec(grid=8, scale=scale)).layer(2, 3, position="first")
    layer(torch.rand(512, 2) * 2 - 1).square().sum().backward()
    assert (layer.coefficients.grad.abs().amax(dim=(0, 1)) > 0).all()
    assert layer.base.weight.grad.abs().min() > 0


def test_published_start_is_small_noise_of_the_stated_size():
    torch.manual_seed(0)
    layer = Bspline(BsplineSpec(grid=5, scale="published", base=False)).layer(64, 64, position="hidden")
    values = layer.basis.expand(torch.linspace(-1, 1, 6)[:, None])[:, 0] @ layer.coefficients[0].T
    assert values.abs().max().item() <= 0.05 / 5 + 1e-5
    assert values.std().item() > 0.1 / 5 / 12**0.5 / 2


@pytest.mark.parametrize("order", [2, 3])
def test_gradients(order):
    x = (torch.rand(16, 2, dtype=torch.float64) * 2.2 - 1.1).requires_grad_()
    assert torch.autograd.gradcheck(Bspline(BsplineSpec(order=order)).double().expand, (x,))


@pytest.mark.parametrize("order", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_derivatives_are_right_at_knots_too(order, dtype):
    grid, coefficients = 8, np.random.default_rng(0).normal(size=8 + order)
    knots = -1 + (np.arange(grid + 2 * order + 1) - order) * 2 / grid
    spline = BSpline(knots, coefficients, order)
    x = torch.linspace(-1, 1, grid + 1, dtype=dtype)[:-1, None].requires_grad_()  # Exact in binary.
    y = Bspline(BsplineSpec(grid=grid, order=order)).expand(x)[:, 0] @ torch.tensor(coefficients, dtype=dtype)
    tolerance = 1e-10 if dtype == torch.float64 else 1e-4
    # The cubic's closed form takes its third derivative from either side of a knot.
    for count in range(1, min(order, 3 if order != 3 else 2) + 1):
        (y,) = torch.autograd.grad(y.sum(), x, create_graph=True)
        expected = spline.derivative(count)(x.detach().double().numpy())
        np.testing.assert_allclose(y.detach(), expected, rtol=0, atol=tolerance * np.abs(expected).max())


def test_a_standalone_scale_changes_nothing_at_the_start_unless_published():
    x = torch.rand(64, 16, generator=torch.Generator().manual_seed(1)) * 2 - 1
    outputs = []
    for standalone in (False, True):
        torch.manual_seed(0)
        layer = Bspline(BsplineSpec(standalone_scale=standalone)).layer(16, 32, position="hidden")
        outputs.append(layer(x))
    torch.testing.assert_close(*outputs)
    published = Bspline(BsplineSpec(standalone_scale=True, scale="published")).layer(64, 64, position="hidden")
    scale = dict(published.named_parameters())["parametrizations.coefficients.0.scale"]
    assert scale.abs().max().item() == pytest.approx(1 / 8, rel=1e-2)
    assert scale.std().item() == pytest.approx(1 / 8 / 3**0.5, rel=0.05)
    published(torch.rand(512, 64) * 2 - 1).square().sum().backward()
    assert all((parameter.grad.abs() > 0).any() for parameter in published.parameters())


@pytest.mark.parametrize("in_features", [2, 64])
def test_starts_with_half_of_the_variance_in_each_branch(in_features):
    torch.manual_seed(0)
    layer = Bspline(BsplineSpec(grid=8)).layer(in_features, 4096, position="first")
    x = torch.rand(2048, in_features) * 2 - 1
    with torch.no_grad():
        base = layer.base(torch.nn.functional.silu(x))
        splines = layer(x) - base
    assert base.var(dim=0).mean().item() == pytest.approx(0.5, rel=0.1)
    assert splines.var(dim=0).mean().item() == pytest.approx(0.5, rel=0.1)


@pytest.mark.parametrize("value", [0.0, 1.0, -1.0, 100.0, -1e4])
def test_far_and_near_values_stay_finite(value):
    x = torch.full((1, 2), value, requires_grad=True)
    y = Bspline(BsplineSpec()).layer(2, 3, position="hidden")(x)
    y.sum().backward()
    assert y.isfinite().all()
    assert x.grad.isfinite().all()
