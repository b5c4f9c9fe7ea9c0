import math

import mpmath as mp
import numpy as np
import pytest
import torch
from inrbench_activation_bell.plugin import inrbench_activations
from pydantic import ValidationError

mp.mp.dps = 40
ENTRIES = {entry.name: entry for entry in inrbench_activations()}
EXTREMES = [0, 1, -1, 1e-8, -1e-8, 10, -10, 100, -100, 1e4, -1e4]

# mpmath has its own functions and differentiates in 40 digits. Cauchy's and Student's densities are
# quadratic and multi_quadratic up to a constant.
TRUTH = {
    "gaussian": lambda z: mp.npdf(z, 0, mp.mpf(0.1)) / mp.npdf(0, 0, mp.mpf(0.1)),
    "super_gaussian": lambda z: mp.npdf(z, 0, mp.mpf(0.1)) / mp.npdf(0, 0, mp.mpf(0.1)),
    "laplacian": lambda z: mp.exp(-abs(z) / mp.mpf(0.1)),
    "quadratic": lambda z: mp.cos(mp.atan(3 * z)) ** 2,
    "multi_quadratic": lambda z: mp.cos(mp.atan(3 * z)),
}


def build(name, position="hidden", **options):
    return ENTRIES[name].load()(ENTRIES[name].spec(**options), position=position)


def test_every_entry_is_tested_here():
    assert TRUTH.keys() == ENTRIES.keys()


@pytest.mark.parametrize("name", TRUTH)
@pytest.mark.parametrize("learnable", [False, True])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 2e-6), (torch.float32, 1e-5)])
def test_values_and_two_derivatives(name, learnable, dtype, tolerance, derivatives):
    if not learnable and dtype == torch.float64:
        tolerance = 1e-12  # A trained a is stored in float32, as all parameters are.
    z = torch.linspace(-0.9, 0.9, 60, dtype=dtype)
    for order, ours in enumerate(derivatives(build(name, learnable=learnable).to(dtype), z)):
        expected = np.array([float(mp.diff(TRUTH[name], mp.mpf(v), order)) for v in z.tolist()])
        np.testing.assert_allclose(ours, expected, rtol=0, atol=tolerance * np.abs(expected).max())


@pytest.mark.parametrize(
    ("name", "options", "value"),
    [
        ("gaussian", {}, 0.135335),
        ("laplacian", {}, 0.135335),
        ("quadratic", {}, 0.735294),
        ("multi_quadratic", {}, 0.857493),
        ("super_gaussian", {"b": 0.5}, math.exp(-1)),
    ],
)
def test_values_known_by_hand(name, options, value):
    assert build(name, **options)(torch.tensor(0.2)).item() == pytest.approx(value, abs=1e-6)


@pytest.mark.parametrize("name", TRUTH)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_values_and_two_derivatives_stay_finite(name, dtype, derivatives):
    z = torch.tensor(EXTREMES, dtype=dtype)
    assert all(np.isfinite(part).all() for part in derivatives(build(name).to(dtype), z))
    bell = build(name, learnable=True).to(dtype)
    assert all(np.isfinite(part).all() for part in derivatives(bell, z))
    bell(z).sum().backward()
    assert bell.log_a.grad.isfinite().all()


def test_super_gaussian_keeps_its_slope_where_the_gaussian_underflows():
    z = torch.tensor(2.0, requires_grad=True)
    (slope,) = torch.autograd.grad(build("super_gaussian", b=0.01)(z), z)
    assert slope.item() == pytest.approx(-2.0 * math.exp(-2.0), rel=1e-5)


def test_laplacian_is_flat_at_its_kink():
    z = torch.zeros(1, requires_grad=True)
    (slope,) = torch.autograd.grad(build("laplacian")(z), z)
    assert slope.item() == 0.0


@pytest.mark.parametrize("name", TRUTH)
def test_a_trained_width_stays_positive_and_has_the_right_gradient(name):
    bell = build(name, learnable=True).double()
    assert torch.autograd.gradcheck(
        lambda z, log_a: torch.func.functional_call(bell, {"log_a": log_a}, (z,)),
        (torch.linspace(-0.3, 0.35, 8, dtype=torch.float64), bell.log_a.detach().requires_grad_()),
    )
    optimizer = torch.optim.SGD(bell.parameters(), lr=1e3)
    bell(torch.tensor([0.1])).sum().backward()
    optimizer.step()
    assert bell.a.item() >= 0.0
    assert bell(torch.tensor([0.0])).isfinite().all()


@pytest.mark.parametrize("name", TRUTH)
@pytest.mark.parametrize("position", ["first", "hidden", "last"])
def test_weights_start_with_the_stated_spread(name, position):
    torch.manual_seed(0)
    weight = build(name, position).linear(400, 300).weight
    assert weight.std().item() == pytest.approx(math.sqrt(2 / 400), rel=0.02)
    assert weight.abs().max().item() > 4 * math.sqrt(2 / 400)


def test_gaussian_can_have_default_weights():
    torch.manual_seed(0)
    weight = build("gaussian", init="default").linear(400, 300).weight
    assert weight.std().item() == pytest.approx(1 / math.sqrt(3 * 400), rel=0.02)
    assert weight.abs().max().item() <= 1 / 20


@pytest.mark.parametrize("name", TRUTH)
def test_a_deep_field_starts_alive(name):
    torch.manual_seed(0)
    h = torch.rand(2000, 2) * 2 - 1
    for index in range(5):
        bell = build(name, "hidden" if index else "first")
        linear = bell.linear(h.shape[1], 256)
        assert 0.01 < linear(h).std(dim=0).square().mean().sqrt().item() < 10
        h = bell(linear(h)).detach()


def test_only_the_laplacian_lacks_a_second_derivative():
    counts = {name: entry.spec().derivatives() for name, entry in ENTRIES.items()}
    assert counts.pop("laplacian") == 1
    assert set(counts.values()) == {None}


@pytest.mark.parametrize("name", TRUTH)
def test_a_width_must_be_positive(name):
    with pytest.raises(ValidationError, match="greater than 0"):
        ENTRIES[name].spec(a=0.0)
