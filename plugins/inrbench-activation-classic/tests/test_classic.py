import math

import numpy as np
import pytest
import torch
from inrbench_activation_classic.plugin import inrbench_activations
from scipy import special

ENTRIES = {entry.name: entry for entry in inrbench_activations()}

# numpy and scipy know these functions in their own ways.
TRUTH = {
    "relu": lambda z: np.maximum(z, 0),
    "prelu": lambda z: np.where(z > 0, z, 0.25 * z),
    "elu": lambda z: np.where(z > 0, z, special.expm1(np.minimum(z, 0))),
    "selu": lambda z: 1.0507009873554805 * np.where(z > 0, z, 1.6732632423543772 * special.expm1(np.minimum(z, 0))),
    "gelu": lambda z: z * special.ndtr(z),
    "silu": lambda z: z * special.expit(z),
    "sigmoid": special.expit,
    "tanh": np.tanh,
    "softplus": lambda z: -special.log_expit(-z),
}
GAINS = {
    "relu": math.sqrt(2),
    "prelu": math.sqrt(2 / 1.0625),
    "elu": 1.24520,
    "selu": 1.0,
    "gelu": math.sqrt(2),
    "silu": math.sqrt(2),
    "sigmoid": 1.0,
    "tanh": math.sqrt(2),
    "softplus": math.sqrt(2),
}


def build(name, position="hidden", **options):
    return ENTRIES[name].load()(ENTRIES[name].spec(**options), position=position)


def test_every_entry_is_tested_here():
    assert TRUTH.keys() == ENTRIES.keys() == GAINS.keys()


@pytest.mark.parametrize("name", TRUTH)
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-8), (torch.float32, 2e-6)])
def test_values(name, dtype, tolerance):
    z = torch.linspace(-6, 6, 1201, dtype=dtype)
    np.testing.assert_allclose(
        build(name).to(dtype)(z).detach(), TRUTH[name](z.double().numpy()), rtol=tolerance, atol=tolerance
    )


@pytest.mark.parametrize("name", TRUTH)
def test_gradients(name):
    z = (torch.linspace(-3, 3, 12, dtype=torch.float64) + 0.01).requires_grad_()
    assert torch.autograd.gradcheck(build(name).double(), (z,))


@pytest.mark.parametrize("name", TRUTH)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_values_and_gradients_stay_finite(name, dtype):
    z = torch.tensor([0, 1, -1, 1e-8, -1e-8, 10, -10, 100, -100, 1e4, -1e4], dtype=dtype, requires_grad=True)
    y = build(name).to(dtype)(z)
    y.sum().backward()
    assert y.isfinite().all()
    assert z.grad.isfinite().all()


@pytest.mark.parametrize("name", TRUTH)
@pytest.mark.parametrize("position", ["first", "hidden", "last"])
def test_weights_start_with_the_stated_spread(name, position):
    torch.manual_seed(0)
    layer = build(name, position).linear(400, 300)
    assert layer.weight.std().item() * 20 == pytest.approx(GAINS[name], rel=0.02)
    assert layer.bias.abs().max().item() <= 1 / 20


def test_prelu_slope_is_trained_and_its_gain_follows_the_start():
    prelu = build("prelu", slope=1.0)
    prelu(torch.tensor([-2.0])).backward()
    assert prelu.slope.grad.item() == -2.0
    assert prelu.gain == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("name", "expected"), [("elu", -1e-6), ("selu", -1.7580993e-6), ("silu", -5e-7), ("gelu", -5e-7)]
)
def test_small_inputs_keep_their_digits_in_float32(name, expected):
    assert build(name)(torch.tensor([-1e-6])).item() == pytest.approx(expected, rel=2e-6)


@pytest.mark.parametrize("beta", [0.5, 1.0, 50.0])
def test_softplus_is_smooth_across_its_threshold(beta):
    z = torch.linspace(19.5 / beta, 20.5 / beta, 101, dtype=torch.float64)
    truth = -special.log_expit(-beta * z.numpy()) / beta
    np.testing.assert_allclose(build("softplus", beta=beta)(z), truth, rtol=2e-10)


@pytest.mark.parametrize("name", sorted(TRUTH.keys() - {"sigmoid"}))
def test_a_deep_field_starts_alive(name):
    torch.manual_seed(0)
    h = torch.rand(2000, 2) * 2 - 1
    for index in range(5):
        activation = build(name, "hidden" if index else "first")
        linear = activation.linear(h.shape[1], 256)
        assert 0.01 < linear(h).std(dim=0).square().mean().sqrt().item() < 10
        h = activation(linear(h)).detach()


def test_relu_can_start_as_torch_does():
    torch.manual_seed(0)
    layer = build("relu", init="default").linear(400, 300)
    assert layer.weight.std().item() * 20 == pytest.approx(1 / math.sqrt(3), rel=0.02)
    assert layer.weight.abs().max().item() <= 1 / 20


def test_elu_approaches_its_alpha():
    z = torch.tensor([-40.0, -1.0, 2.0], dtype=torch.float64)
    values = build("elu", alpha=0.3)(z)
    assert values.tolist() == pytest.approx([-0.3, 0.3 * math.expm1(-1), 2.0])


@pytest.mark.parametrize(
    ("name", "options"), [*((name, {}) for name in TRUTH), ("elu", {"alpha": 0.3})], ids=lambda value: str(value)
)
def test_a_second_derivative_is_offered_where_autograd_sees_all_of_it(name, options):
    """Its integral over an interval is the difference of the slopes at its ends; autograd misses a jump's delta."""
    spec = ENTRIES[name].spec(**options)
    z = ((torch.arange(60_000, dtype=torch.float64) + 0.5) / 1e4 - 3).requires_grad_()
    y = ENTRIES[name].load()(spec).double()(z)
    (slope,) = torch.autograd.grad(y.sum(), z, create_graph=True)
    # Of a piecewise linear one autograd knows no second derivative at all.
    (second,) = torch.autograd.grad(slope.sum() + 0 * z.sum(), z)
    misses = abs(second.sum().item() / 1e4 - (slope[-1] - slope[0]).item())
    assert (spec.derivatives() == 1) == (misses > 1e-3)
    assert spec.derivatives() in (None, 1)


def test_swish_is_silu():
    assert ENTRIES["silu"].aliases == ("swish",)


def test_relu_can_start_as_the_dense_layers_of_stax():
    """jax's glorot_normal is a normal distribution cut at two of its widths, with the variance 2 / (in + out)."""
    torch.manual_seed(0)
    layer = build("relu", init="glorot").linear(512, 256)
    assert layer.weight.std().item() == pytest.approx((2 / 768) ** 0.5, rel=0.01)
    assert layer.weight.abs().max().item() == pytest.approx(2 * (2 / 768) ** 0.5 / 0.87962566, rel=0.01)
    assert layer.bias.std().item() == pytest.approx(0.01, rel=0.2)
