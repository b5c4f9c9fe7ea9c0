"""The functions themselves, to degree 8, against scipy, numpy and exact rational sums."""

from fractions import Fraction
from math import comb, factorial

import numpy as np
import pytest
import torch
from inrbench_basis_polynomial.plugin import inrbench_bases
from numpy.polynomial import hermite
from scipy import special

ENTRIES = {entry.name: entry for entry in inrbench_bases()}
POINTS = [Fraction(k, 16) for k in range(-16, 17)]  # exact in float32 too
X = np.array([float(x) for x in POINTS])


def functions(name, x, dtype=torch.float64, **options):
    """(K, N)."""
    entry = ENTRIES[name]
    basis = entry.load()(entry.spec(degree=8, **options))
    return basis.expand(torch.tensor(x, dtype=dtype)[:, None])[:, 0].T


def exactly(polynomial):
    return lambda n: np.array([float(polynomial(n, x)) for x in POINTS])


def hermite_function(n):
    return hermite.hermval(X, [0] * n + [1]) * np.exp(-X * X / 2) / np.sqrt(2.0**n * factorial(n) * np.sqrt(np.pi))


TRUTH = {
    ("chebyshev",): lambda n: special.eval_chebyt(n, X),
    ("chebyshev2",): lambda n: special.eval_chebyu(n, X),
    ("legendre",): lambda n: special.eval_legendre(n, X),
    ("jacobi",): lambda n: special.eval_jacobi(n, 1, 1, X),
    ("jacobi", ("alpha", 0.5), ("beta", -0.3)): lambda n: special.eval_jacobi(n, 0.5, -0.3, X),
    ("jacobi", ("alpha", -0.7), ("beta", -0.3)): lambda n: special.eval_jacobi(n, -0.7, -0.3, X),
    ("gegenbauer",): lambda n: special.eval_gegenbauer(n, 3, X),
    ("gegenbauer", ("alpha", -0.25)): lambda n: special.eval_gegenbauer(n, -0.25, X),
    ("hermite",): lambda n: hermite.hermval(X, [0] * n + [1]),
    ("hermite_functions",): hermite_function,
    ("laguerre",): lambda n: special.eval_genlaguerre(n, -0.5, X),
    ("laguerre", ("alpha", 0.0)): lambda n: np.polynomial.laguerre.lagval(X, [0] * n + [1]),
    ("bessel",): exactly(
        lambda n, x: sum(comb(n + k, k) * comb(n, k) * factorial(k) * (x / 2) ** k for k in range(n + 1))
    ),
    ("fibonacci",): exactly(lambda n, x: sum(comb(n - k, k) * x ** (n - 2 * k) for k in range(n // 2 + 1))),
    ("lucas",): exactly(
        lambda n, x: sum(Fraction(n, n - k) * comb(n - k, k) * x ** (n - 2 * k) for k in range(n // 2 + 1)) if n else 2
    ),
    ("taylor",): exactly(lambda n, x: x**n),
}


def test_every_basis_is_held_against_a_truth():
    assert {name for name, *_ in TRUTH} == set(ENTRIES)


@pytest.mark.parametrize("key", TRUTH, ids=str)
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.float64, 1e-12)])
def test_to_degree_eight(key, dtype, tolerance):
    name, *options = key
    computed = functions(name, X, dtype, **dict(options)).double().numpy()
    for n in range(9):
        truth = TRUTH[key](n)
        assert np.abs(computed[n] - truth).max() <= tolerance * np.abs(truth).max(), n


@pytest.mark.parametrize(
    ("name", "options", "expected"),
    [
        ("chebyshev", {}, [1, 0.3, -0.82, -0.792, 0.3448, 0.99888]),
        ("chebyshev2", {}, [1, 0.6, -0.64, -0.984, 0.0496, 1.01376]),
        ("legendre", {}, [1, 0.3, -0.365, -0.3825, 0.0729375, 0.345386]),
        ("jacobi", {}, [1, 0.6, -0.4125, -0.711, -0.0561875, 0.577642]),
        ("jacobi", {"alpha": 0.5, "beta": -0.3}, [1, 0.73, -0.1018, -0.529403, -0.206264, 0.309329]),
        ("gegenbauer", {}, [1, 1.8, -0.84, -5.04, -2.856, 6.67296]),
        ("hermite", {}, [1, 0.6, -1.64, -3.384, 7.8096, 31.7578]),
        ("hermite_functions", {}, [0.718074, 0.304653, -0.416359, -0.350735, 0.286176, 0.368005]),
        ("laguerre", {}, [1, 0.2, -0.03, -0.142, -0.20135, -0.230814]),
        ("laguerre", {"alpha": 0.0}, [1, 0.7, 0.445, 0.2305, 0.0523375, -0.0933328]),
        ("bessel", {}, [1, 1.3, 2.17, 4.555, 11.7355, 36.2408]),
        ("fibonacci", {}, [1, 0.3, 1.09, 0.627, 1.2781]),
        ("lucas", {}, [2, 0.3, 2.09, 0.927, 2.3681, 1.63743]),
    ],
)
def test_at_three_tenths(name, options, expected):
    computed = functions(name, [0.3], **options)[: len(expected), 0]
    assert computed.tolist() == pytest.approx(expected, rel=5e-6)


def test_families_that_are_special_cases_of_others():
    legendre = functions("legendre", X)
    torch.testing.assert_close(functions("jacobi", X, alpha=0.0, beta=0.0), legendre, atol=1e-13, rtol=0)
    torch.testing.assert_close(functions("gegenbauer", X, alpha=0.5), legendre, atol=1e-13, rtol=0)
    torch.testing.assert_close(functions("gegenbauer", X, alpha=1.0), functions("chebyshev2", X), atol=1e-12, rtol=0)


@pytest.mark.parametrize("name", ENTRIES)
@pytest.mark.parametrize("in_features", [2, 64])
def test_a_layer_starts_with_unit_variance_and_nothing_dead(name, in_features):
    torch.manual_seed(0)
    entry = ENTRIES[name]
    layer = entry.load()(entry.spec()).layer(in_features, 128, position="first")
    y = layer(torch.rand(1000, in_features) * 2 - 1)
    assert 0.75 < y.square().mean().sqrt().item() < 1.35
    y.square().sum().backward()
    assert (layer.coefficients.grad.abs().amax(dim=(0, 1)) > 0).all()


@pytest.mark.parametrize("name", ENTRIES)
@pytest.mark.parametrize("position", ["first", "hidden"])
def test_values_and_gradients_are_finite_far_out(name, position):
    entry = ENTRIES[name]
    layer = entry.load()(entry.spec()).layer(1, 3, position=position)
    points = [0.0, 1e-8, 1.0, 10.0, 100.0, 1e4]
    x = torch.tensor([*points, *(-p for p in points)]).unsqueeze(1).requires_grad_()
    y = layer(x)
    y.sum().backward()
    assert y.isfinite().all()
    assert x.grad.isfinite().all()
