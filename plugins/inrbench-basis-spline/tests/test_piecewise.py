import itertools

import numpy as np
import pytest
import torch
from inrbench_basis_spline.bspline import Bspline
from inrbench_basis_spline.bsrbf import Bsrbf
from inrbench_basis_spline.hats import Hats
from inrbench_basis_spline.plugin import BsplineSpec, BsrbfSpec, FcnInterpolationSpec, ReluKanSpec
from inrbench_basis_spline.relu_kan import ReluKan

POINT = torch.tensor([[0.3]], dtype=torch.float64)


def test_hats_known_by_hand_and_against_interpolation():
    values = Hats(FcnInterpolationSpec(nodes=8)).expand(POINT)[0, 0]
    assert values.tolist() == pytest.approx([0, 0, 0, 0, 0.975, 0.025, 0, 0], abs=1e-12)
    nodes, heights = np.linspace(-2, 2, 8), np.random.default_rng(0).normal(size=8)
    x = np.linspace(-2, 2, 101)
    values = Hats(FcnInterpolationSpec(nodes=8)).expand(torch.from_numpy(x[:, None]))[:, 0].numpy() @ heights
    np.testing.assert_allclose(values, np.interp(x, nodes, heights), atol=1e-12)


def test_hats_of_the_first_layer_lie_on_the_coordinates():
    layer = Hats(FcnInterpolationSpec(nodes=3)).layer(1, 1, position="first")
    assert torch.equal(layer.basis.expand(torch.tensor([[-1.0], [0.0], [1.0]]))[:, 0], torch.eye(3))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_hats_have_their_slopes_at_nodes_and_at_both_ends(dtype):
    nodes = np.linspace(-1, 1, 9)
    basis = Hats(FcnInterpolationSpec(nodes=9))
    basis.setup(1, "first")
    x = torch.tensor(nodes[:, None], dtype=dtype, requires_grad=True)
    line = (basis.expand(x)[:, 0] * torch.tensor(3 * nodes + 1, dtype=dtype)).sum()
    np.testing.assert_allclose(torch.autograd.grad(line, x)[0].numpy(), 3.0, rtol=1e-5)


@pytest.mark.parametrize(
    ("domain", "position", "reach"),
    [("identity", "first", 1), ("identity", "hidden", 2), ("tanh", "last", 1), ("auto", "hidden", 1)],
)
def test_nodes_lie_where_the_inputs_are(domain, position, reach):
    basis = Hats(FcnInterpolationSpec(nodes=5, domain=domain))
    basis.setup(1, position)
    peaks = basis.expand(torch.linspace(-reach, reach, 5)[:, None])[:, 0]
    assert torch.equal(peaks, torch.eye(5))


def test_published_nodes_lie_on_twice_the_coordinates_in_the_first_layer_too():
    """X-KANeRF's lie on [-2, 2] in all layers."""
    basis = Hats(FcnInterpolationSpec(nodes=5, reach=2.0))
    basis.setup(1, "first")
    assert basis.expand(torch.tensor([[1.0]], dtype=torch.float64))[0, 0].tolist() == [0, 0, 0, 1, 0]


def test_published_hats_take_the_nodes_for_a_receptive_field():
    torch.manual_seed(0)
    layer = Hats(FcnInterpolationSpec(nodes=8, scale="published")).layer(64, 32, position="hidden")
    bound = (6 / ((64 + 32) * 8)) ** 0.5
    assert layer.coefficients.abs().max().item() == pytest.approx(bound, rel=1e-3)
    assert layer.coefficients.std().item() == pytest.approx(bound / 3**0.5, rel=0.02)


@pytest.mark.parametrize("spec", [BsrbfSpec, ReluKanSpec])
def test_no_published_start_is_claimed_where_none_is_known(spec):
    with pytest.raises(ValueError, match="scale"):
        spec(scale="published")


def test_bsrbf_is_the_sum_of_its_two_sorts():
    spline = Bspline(BsplineSpec(grid=5)).expand(POINT)[0, 0]
    centres = np.linspace(-1, 1, 8)
    radial = np.exp(-(((0.3 - centres) / (centres[1] - centres[0])) ** 2))
    np.testing.assert_allclose(Bsrbf(BsrbfSpec(grid=5)).expand(POINT)[0, 0], spline.numpy() + radial, atol=1e-12)


def test_relu_kan_is_one_in_the_middle_and_zero_outside_its_interval():
    basis = ReluKan(ReluKanSpec(grid=5, overlap=3)).double()
    starts, length = basis.start.detach()[:, 0], basis.log_length[0, 0].exp().item()
    assert length == pytest.approx(1.6, rel=1e-6)
    middles = basis.expand((starts + length / 2)[:, None])[:, 0].diagonal()
    torch.testing.assert_close(middles, torch.ones_like(middles))
    x, s, e = 0.3, float(starts[4]), float(starts[4]) + length
    assert basis.expand(POINT)[0, 0, 4].item() == pytest.approx(16 * ((e - x) * (x - s)) ** 2 / (e - s) ** 4)
    outside = basis.expand(torch.cat([starts - 0.01, starts + length + 0.01])[:, None])[:, 0]
    assert outside[:8].diagonal().abs().max() == 0
    assert outside[8:].diagonal().abs().max() == 0


BASES = {
    "bspline": lambda **options: Bspline(BsplineSpec(base=False, **options)),
    "hats": lambda **options: Hats(FcnInterpolationSpec(**options)),
    "bsrbf": lambda **options: Bsrbf(BsrbfSpec(base=False, **options)),
    "relu_kan": lambda **options: ReluKan(ReluKanSpec(**options)),
}


@pytest.mark.parametrize("name", BASES)
@pytest.mark.parametrize("in_features", [2, 64])
def test_layers_start_near_unit_variance_and_train_every_parameter(name, in_features):
    torch.manual_seed(0)
    layer = BASES[name](domain="identity").layer(in_features, 128, position="first")
    y = layer(torch.rand(4096, in_features) * 2 - 1)
    assert 0.9 < y.var(dim=0).mean().item() < 1.1
    y.square().sum().backward()
    for parameter in layer.parameters():
        assert parameter.grad.abs().max() > 0
    assert (layer.coefficients.grad.abs().amax(dim=(0, 1)) > 0).all()


@pytest.mark.parametrize("name", BASES)
def test_gradients_and_far_values(name):
    basis = BASES[name]().double()
    x = (torch.rand(8, 1, dtype=torch.float64) * 1.8 - 0.9).requires_grad_()
    assert torch.autograd.gradcheck(basis.expand, (x,))
    far = torch.tensor([[1e4], [-1e4], [0.0], [1.0]], dtype=torch.float64, requires_grad=True)
    y = basis.expand(far)
    y.sum().backward()
    assert y.isfinite().all()
    assert far.grad.isfinite().all()


def test_parameter_count_of_the_papers_network():
    sizes = [2, 64, 64, 64, 64, 64, 3]
    spec = BsplineSpec(grid=8, standalone_scale=True, bias=False)
    layers = [Bspline(spec).layer(i, o, position="hidden") for i, o in itertools.pairwise(sizes)]
    assert sum(p.numel() for layer in layers for p in layer.parameters()) == 217_152


def derivative(basis, x, order):
    """Of a sum of the functions, with weights under which no derivative cancels, at each point."""
    x = x.clone().requires_grad_()
    y = basis.expand(x)[:, 0] @ torch.arange(basis.size, dtype=x.dtype).square().sin()
    for _ in range(order):
        (y,) = torch.autograd.grad(y.sum(), x, create_graph=True)
    return y.detach().flatten()


@pytest.mark.parametrize("name", BASES)
def test_as_many_derivatives_as_promised_are_right(name):
    """Each is held against finite differences of the one below, away from where it jumps."""
    basis = BASES[name]().double()
    x = torch.rand(50, 1, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) * 1.9 - 0.95
    h = 1e-6
    for order in range(1, basis.options.derivatives() + 1):
        expected = (derivative(basis, x + h, order - 1) - derivative(basis, x - h, order - 1)) / (2 * h)
        assert expected.abs().max() > 0.1
        torch.testing.assert_close(derivative(basis, x, order), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", BASES)
@pytest.mark.parametrize("position", ["first", "hidden"])
def test_layers_stay_finite_in_every_dtype(name, position, dtype):
    layer = BASES[name]().layer(1, 3, position=position).to(dtype)
    points = [0.0, 1e-8, 1.0, 10.0, 100.0, 1e4]
    x = torch.tensor([*points, *(-p for p in points)], dtype=dtype).unsqueeze(1).requires_grad_()
    y = layer(x)
    assert y.dtype == dtype
    (slope,) = torch.autograd.grad(y.sum(), x, create_graph=True)
    (bend,) = torch.autograd.grad(slope.sum(), x, materialize_grads=True)
    assert all(part.isfinite().all() for part in (y, slope, bend))
