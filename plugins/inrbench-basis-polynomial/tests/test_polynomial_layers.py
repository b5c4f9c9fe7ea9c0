"""What tests of the values do not see: options, maps of the domain, gradients."""

import numpy as np
import pytest
import torch
from inrbench_basis_polynomial.plugin import FAMILIES, inrbench_bases
from scipy import special

ENTRIES = {entry.name: entry for entry in inrbench_bases()}


def build(name, **options):
    return ENTRIES[name].load()(ENTRIES[name].spec(**options))


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("gegenbauer", {"alpha": 0.0}),
        ("gegenbauer", {"alpha": -0.5}),
        ("jacobi", {"alpha": -1.0}),
        ("jacobi", {"beta": float("nan")}),
        ("laguerre", {"alpha": -1.5}),
        ("chebyshev", {"degree": 0}),
        ("chebyshev", {"degree": 25}),
        ("chebyshev", {"domain": "softplus"}),
        ("legendre", {"alpha": 1.0}),
    ],
)
def test_wrong_options_are_refused(name, options):
    with pytest.raises(ValueError):
        ENTRIES[name].spec(**options)


@pytest.mark.parametrize("alpha", [-0.5, 0.0, 2.0])
def test_laguerre_on_the_half_line_against_scipy(alpha):
    x = np.linspace(-6, 6, 101)
    s = np.log1p(np.exp(x))
    phi = build("laguerre", degree=8, alpha=alpha, domain="softplus").expand(torch.from_numpy(x)[:, None])[:, 0]
    for n in range(9):
        truth = np.exp(-s / 2) * special.eval_genlaguerre(n, alpha, s)
        np.testing.assert_allclose(phi[:, n].numpy(), truth, atol=1e-12 * np.abs(truth).max())


def test_laguerre_on_the_half_line_starts_with_unit_variance_and_stays_finite():
    torch.manual_seed(0)
    layer = build("laguerre", domain="softplus").layer(64, 128, position="hidden")
    assert 0.9 < layer(torch.randn(1000, 64)).square().mean().sqrt() < 1.1
    x = torch.tensor([[-1e4], [-100.0], [0.0], [100.0], [1e4]], requires_grad=True)
    y = build("laguerre", domain="softplus").layer(1, 3, position="first")(x)
    y.sum().backward()
    assert y.isfinite().all()
    assert x.grad.isfinite().all()


def test_hermite_functions_are_orthonormal_on_the_line():
    x = torch.arange(-12, 12, 1 / 64, dtype=torch.float64)[:, None]
    phi = build("hermite_functions", degree=8).expand(x)[:, 0]
    torch.testing.assert_close(phi.T @ phi / 64, torch.eye(9, dtype=torch.float64), atol=1e-12, rtol=0)


def test_jacobi_with_equal_exponents_is_proportional_to_gegenbauer():
    x = torch.linspace(-0.9, 0.9, 7, dtype=torch.float64)[:, None]
    ratio = build("jacobi", degree=8, alpha=1.5, beta=1.5).expand(x) / build("gegenbauer", degree=8, alpha=2.0).expand(
        x
    )
    spread = (ratio / ratio[:1] - 1).abs()
    assert spread[ratio.isfinite()].max() < 1e-10


@pytest.mark.parametrize("name", FAMILIES)
def test_gradients(name):
    torch.manual_seed(0)
    layer = build(name).layer(2, 3, position="hidden").double()
    x = torch.randn(4, 2, dtype=torch.float64, requires_grad=True)
    inputs = (x, *layer.parameters())
    assert torch.autograd.gradcheck(lambda x, *_: layer(x), inputs)
    assert torch.autograd.gradgradcheck(lambda x, *_: layer(x), inputs)


@pytest.mark.parametrize("name", FAMILIES)
def test_the_highest_degree_allowed_is_finite_in_float32(name):
    phi = build(name, degree=24).expand(torch.linspace(-1, 1, 101)[:, None])
    assert phi.isfinite().all()


def test_parameters_of_the_papers_network_without_bias():
    edges = 2 * 64 + 4 * 64 * 64 + 64 * 3
    layers = [build("legendre", degree=4, bias=False).layer(i, o, position="hidden") for i, o in ((2, 64), (64, 3))]
    layers += [build("legendre", degree=4, bias=False).layer(64, 64, position="hidden") for _ in range(4)]
    assert sum(p.numel() for layer in layers for p in layer.parameters()) == 5 * edges == 83_520


def test_chebyshev_goes_by_its_other_name_too():
    assert ENTRIES["chebyshev"].aliases == ("chebyshev1",)
