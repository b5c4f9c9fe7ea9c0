"""One-blob encoding, and what all encodings by cells share."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from inrbench_encoding_grid.oneblob import Oneblob
from inrbench_encoding_grid.plugin import OneblobSpec, inrbench_encodings
from scipy.integrate import quad

OPTIONS = {"hashgrid": {"max_resolution": 64, "log2_table_size": 10}, "densegrid": {"resolutions": [4, 9]}}
ENTRIES = list(inrbench_encodings())


def build(entry, dimensions):
    torch.manual_seed(3)
    return entry.load()(entry.spec(**OPTIONS.get(entry.name, {})), dimensions)


@pytest.mark.parametrize("dimensions", [2, 3, 4])
@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_every_encoding_keeps_its_promises(entry, dimensions):
    encoding = build(entry, dimensions)
    for count in (0, 1, 5):
        assert encoding(torch.zeros(count, dimensions)).shape == (count, encoding.out_features)
    edges = torch.cartesian_prod(*[torch.tensor([-1.0, 0.0, 1.0])] * dimensions).requires_grad_()
    out = encoding(edges)
    out.sum().backward()
    assert out.isfinite().all()
    assert edges.grad.isfinite().all()
    x = torch.rand(20, dimensions) * 2 - 1
    assert torch.equal(build(entry, dimensions)(x), encoding(x))
    other = entry.load()(entry.spec(**OPTIONS.get(entry.name, {})), dimensions)
    other.load_state_dict(encoding.state_dict())
    assert torch.equal(other(x), encoding(x))


@pytest.mark.parametrize("u", [0.0, 0.03, 0.3, 0.5, 0.99, 1.0])
def test_oneblob_against_quadrature(u):
    bins = 5

    def kernel(v):
        t = bins * (v - u)
        return bins * 15 / 16 * (1 - t**2) ** 2 if abs(t) < 1 else 0.0

    edges = np.linspace(0, 1, bins + 1)
    expected = [
        quad(kernel, low, high, points=np.clip([u - 1 / bins, u + 1 / bins], low, high))[0]
        for low, high in pairwise(edges)
    ]
    encoding = Oneblob(OneblobSpec(bins=bins), 2)
    for axis, coords in enumerate([[2 * u - 1, 0.1], [0.1, 2 * u - 1]]):
        features = encoding(torch.tensor([coords], dtype=torch.float64)).reshape(2, bins)[axis]
        np.testing.assert_allclose(features, expected, atol=1e-9)


def test_oneblob_at_known_values():
    features = Oneblob(OneblobSpec(bins=4), 1)(torch.tensor([[-0.4]], dtype=torch.float64))
    assert features[0].tolist() == pytest.approx([0.31744, 0.674, 0.00856, 0], abs=1e-6)


def test_oneblob_gradients_are_true_and_continuous_twice():
    encoding = Oneblob(OneblobSpec(bins=3), 2)
    x = (torch.rand(6, 2, dtype=torch.float64) * 2 - 1).requires_grad_()
    assert torch.autograd.gradcheck(encoding, (x,))
    assert torch.autograd.gradgradcheck(encoding, (x,))
