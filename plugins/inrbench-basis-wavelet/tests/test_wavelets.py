import itertools

import numpy as np
import pytest
import torch
from inrbench_basis_wavelet import edges, mothers
from inrbench_basis_wavelet.plugin import WAVELETS, inrbench_bases
from scipy import integrate

from inrbench_core.api.native import edge_function

ENTRIES = {entry.name: entry for entry in inrbench_bases()}
# The real part of the complex Morlet wavelet has half of its energy.
ENERGY = {"mexican_hat": 1, "morlet": 0.5, "dog": 1, "meyer": 1, "shannon": 1}
ZERO_MEAN = ["mexican_hat", "morlet", "dog", "meyer", "shannon", "bump_wavelet", "difference_of_gaussians"]


def layer(name, in_features, out_features, position="hidden", **options):
    return ENTRIES[name].load()(ENTRIES[name].spec(**options)).layer(in_features, out_features, position=position)


def psi(name, u):
    return getattr(mothers, name)(torch.as_tensor(u))[0].numpy()


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("mexican_hat", 0.754536),
        ("morlet", 0.0507919),
        ("dog", -0.286799 * 1.06225193),
        ("shannon", 0.150709),
        ("bump", 0.905832),
        ("meyer", 0.102967),
        # exp(-0.045) / sqrt(2 pi) - exp(-0.045 / 2.56) / (1.6 sqrt(2 pi))
        ("difference_of_gaussians", 0.381388 - 0.244993),
    ],
)
def test_values_at_three_tenths(name, expected):
    assert psi(name, np.array([0.3])).item() == pytest.approx(expected, rel=2e-5)


def test_bump_wavelet_is_the_derivative_of_a_bump():
    u, h = np.linspace(-0.9, 0.9, 19), 1e-6
    bump = [np.exp(1 - 1 / (1 - v * v)) for v in (u + h, u - h)]
    np.testing.assert_allclose(psi("bump_wavelet", u), (bump[0] - bump[1]) / (2 * h), atol=1e-8)


@pytest.mark.parametrize("u", [0.0, 0.1, 0.3, 0.375, 0.5, 0.75, 1.0, 2.0, 7.3])
def test_meyer_is_the_inverse_fourier_transform_of_its_band(u):
    def band(w):
        if w < 4 * np.pi / 3:
            return np.sin(np.pi / 2 * (3 * w / (2 * np.pi) - 1))
        return np.cos(np.pi / 2 * (3 * w / (4 * np.pi) - 1))

    pieces = (2 * np.pi / 3, 4 * np.pi / 3, 8 * np.pi / 3)
    truth = sum(
        integrate.quad(lambda w: band(w) * np.cos(w * u), low, high, epsabs=1e-12)[0]
        for low, high in itertools.pairwise(pieces)
    )
    assert psi("meyer", np.array([u])).item() == pytest.approx(truth / np.pi, abs=1e-9)


@pytest.mark.parametrize(("name", "energy"), ENERGY.items())
def test_energy_by_quadrature(name, energy):
    # Shannon's wavelet decays only like 1/u, so that 2/(pi^2 U) of its energy lies beyond |u| = U or so.
    u = np.arange(-2000, 2000, 1 / 64)
    assert (psi(name, u) ** 2).sum() / 64 == pytest.approx(energy, abs=3e-4 if name == "shannon" else 1e-6)


@pytest.mark.parametrize("name", ZERO_MEAN)
def test_zero_mean_by_quadrature(name):
    u = (np.arange(-512 * 1000, 512 * 1000) + 0.5) / 512
    assert abs(psi(name, u).sum() / 512) < (1e-3 if name in ("shannon", "meyer") else 1e-9)


def test_bump_has_a_mean():
    mean, _ = integrate.quad(lambda u: psi("bump", np.array([u])).item(), -1, 1)
    truth, _ = integrate.quad(lambda u: np.exp(1 - 1 / (1 - u * u)), -1, 1)
    assert mean == pytest.approx(truth, rel=1e-8)


@pytest.mark.parametrize("name", WAVELETS)
def test_slope_is_the_derivative(name):
    u = torch.linspace(-3, 3, 241, dtype=torch.float64)
    h = 1e-5
    _, slope = getattr(mothers, name)(u)
    np.testing.assert_allclose(slope().numpy(), (psi(name, u + h) - psi(name, u - h)) / (2 * h), atol=2e-7)


@pytest.mark.parametrize("name", WAVELETS)
def test_float32_keeps_its_digits_near_removable_singularities(name):
    centres = torch.tensor([-0.75, -0.375, 0.0, 0.375, 0.75], dtype=torch.float64)
    offsets = torch.tensor([0.0, 1e-8, 1e-6, 1e-4, 1e-2, 0.1], dtype=torch.float64)
    u = (centres[:, None] + offsets).float()
    value, slope = getattr(mothers, name)(u)
    exact, exact_slope = getattr(mothers, name)(u.double())
    torch.testing.assert_close(value.double(), exact, atol=3e-6, rtol=0)
    torch.testing.assert_close(slope().double(), exact_slope(), atol=3e-5, rtol=0)


@pytest.mark.parametrize("name", WAVELETS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_values_and_derivatives_are_finite_everywhere(name, dtype):
    near_one = [1.0, 1 - 1e-7, 1 + 1e-7, 0.99499, 0.995, 1.0028, 1.0056, 1.01]
    points = [0.0, 1e-8, *near_one, 10.0, 100.0, 1e4]
    x = torch.tensor([*points, *(-p for p in points)], dtype=dtype).unsqueeze(1).requires_grad_()
    module = layer(name, 1, 2).to(dtype)
    y = module(x)
    (first,) = torch.autograd.grad(y.sum(), x, create_graph=True)
    (second,) = torch.autograd.grad(first.sum(), x)
    assert y.isfinite().all()
    assert first.isfinite().all()
    assert second.isfinite().all()


def test_a_runaway_dilation_stays_finite():
    module = layer("mexican_hat", 1, 1)
    for log_dilation in (200.0, -200.0):
        module.log_dilation.data.fill_(log_dilation)
        module.zero_grad()
        y = module(torch.tensor([[0.0], [0.5], [1e4]]))
        y.sum().backward()
        assert y.isfinite().all()
        assert all(p.grad.isfinite().all() for p in module.parameters())


@pytest.mark.parametrize("name", WAVELETS)
@pytest.mark.parametrize("library", [edges.LIBRARY, None], ids=["kernel", "torch"])
def test_gradients_over_several_blocks(name, library, monkeypatch):
    monkeypatch.setattr(edges, "LIBRARY", library)
    monkeypatch.setattr(edge_function, "CPU_BLOCK", 1)  # blocks of 8 points
    torch.manual_seed(0)
    module = layer(name, 3, 2, position="first", spread=True).double()
    x = (torch.rand(9, 3, dtype=torch.float64) * 2 - 1).requires_grad_()
    inputs = (x, *module.parameters())
    assert torch.autograd.gradcheck(lambda x, *_: module(x), inputs)
    assert torch.autograd.gradgradcheck(lambda x, *_: module(x), inputs)


def test_layer_is_the_sum_over_edges_point_by_point():
    torch.manual_seed(0)
    module = layer("dog", 3, 2, position="first", spread=True).double()
    x = torch.rand(5, 3, dtype=torch.float64)
    y = module(x)
    for n in range(5):
        for o in range(2):
            scale = np.exp(-module.log_dilation[o].detach().numpy())
            u = (x[n].numpy() - module.shift[o].detach().numpy()) / scale
            terms = -np.sqrt(2) / np.pi**0.25 * u * np.exp(-(u**2) / 2)
            total = float(terms @ module.weight[o].detach().numpy()) + module.bias[o].item()
            assert y[n, o].item() == pytest.approx(total, rel=1e-10)


@pytest.mark.parametrize("name", WAVELETS)
@pytest.mark.parametrize("spread", [False, True])
@pytest.mark.parametrize(("in_features", "position"), [(2, "first"), (64, "hidden")])
def test_a_layer_starts_with_unit_variance_from_the_unit_start(name, spread, in_features, position):
    torch.manual_seed(0)
    module = layer(name, in_features, 128, position=position, spread=spread, scale="unit")
    x = torch.rand(200, 2) * 2 - 1 if position == "first" else torch.randn(200, 64)
    assert 0.8 < module(x).square().mean().sqrt().item() < 1.2


def test_spread_start_and_published_weights():
    torch.manual_seed(0)
    first = layer("dog", 2, 512, position="first", spread=True, finest=16)
    assert 0.9 < first.shift.abs().max() <= 1
    assert 2.5 < first.log_dilation.max() <= np.log(16) < 2.8
    assert first.log_dilation.min() >= 0
    hidden = layer("dog", 64, 64, spread=True, scale="published")
    assert 1.9 < hidden.shift.abs().max() <= 2
    assert hidden.log_dilation.abs().max() == 0
    assert 0.12 < hidden.weight.abs().max() <= 0.125


@pytest.mark.parametrize("name", ["morlet", "meyer", "shannon"])
def test_wavelets_of_several_swings_start_as_published(name):
    torch.manual_seed(0)
    weight = layer(name, 100, 64).weight
    # U(-0.1, 0.1).
    assert 0.0995 < weight.abs().max() <= 0.1
    assert weight.std().item() == pytest.approx(0.1 / np.sqrt(3), rel=0.02)


def test_parameter_count_of_the_papers_network():
    sizes = [2, 64, 64, 64, 64, 64, 3]
    modules = [layer("meyer", i, o, bias=False) for i, o in itertools.pairwise(sizes)]
    assert sum(p.numel() for module in modules for p in module.parameters()) == 50_112


def test_layers_can_be_counted_on_the_meta_device():
    with torch.device("meta"):
        module = layer("morlet", 64, 64, spread=True)
    assert sum(p.numel() for p in module.parameters()) == 3 * 64 * 64 + 64


@pytest.mark.parametrize("options", [{"finest": 0.5}, {"scale": "big"}, {"omega": 3}])
def test_wrong_options_are_refused(options):
    with pytest.raises(ValueError):
        ENTRIES["dog"].spec(**options)


def test_no_points():
    assert layer("dog", 2, 3)(torch.zeros(0, 2)).shape == (0, 3)
