import math

import mpmath as mp
import numpy as np
import pytest
import torch
from inrbench_activation_wavelet.plugin import inrbench_activations

mp.mp.dps = 40
ENTRIES = {entry.name: entry for entry in inrbench_activations()}
EXTREMES = [0, 1, -1, 1e-8, -1e-8, 10, -10, 100, -100, 1e4, -1e4]


def build(name, position="hidden", **options):
    return ENTRIES[name].load()(ENTRIES[name].spec(**options), position=position)


@pytest.mark.parametrize(("omega", "s"), [(1.0, 1.0), (20.0, 10.0)])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 2e-5)])
def test_gabor_is_the_real_part_of_a_complex_exponential(omega, s, dtype, tolerance, derivatives):
    z = torch.linspace(-1, 1, 60, dtype=dtype)
    for order, ours in enumerate(derivatives(build("gabor", omega=omega, s=s), z)):
        expected = [
            float(mp.diff(lambda v: mp.exp(mp.mpc(-((s * v) ** 2), omega * v)).real, mp.mpf(v), order))
            for v in z.tolist()
        ]
        np.testing.assert_allclose(ours, expected, rtol=0, atol=tolerance * np.abs(expected).max())


@pytest.mark.parametrize("options", [{}, {"learnable": True}, {"omega": 20, "s": 10}])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_gabor_and_two_derivatives_stay_finite(options, dtype, derivatives):
    gabor = build("gabor", **options).to(dtype)
    assert all(np.isfinite(part).all() for part in derivatives(gabor, torch.tensor(EXTREMES, dtype=dtype)))


def test_trained_gabor_starts_where_asked_and_has_the_right_gradients():
    gabor = build("gabor", omega=3.0, s=2.0, learnable=True).double()
    z = torch.linspace(-1, 1.1, 9, dtype=torch.float64)
    np.testing.assert_allclose(gabor(z).detach(), build("gabor", omega=3.0, s=2.0)(z), atol=1e-6)
    logs = {name: parameter.detach().requires_grad_() for name, parameter in gabor.named_parameters()}
    assert list(logs) == ["log_omega", "log_s"]
    assert torch.autograd.gradcheck(
        lambda *values: torch.func.functional_call(gabor, dict(zip(logs, values, strict=True)), (z,)),
        tuple(logs.values()),
    )


@pytest.mark.parametrize("position", ["first", "hidden", "last"])
@pytest.mark.parametrize(("init", "std"), [("kaiming", math.sqrt(2)), ("default", 1 / math.sqrt(3))])
def test_gabor_weights_start_with_the_stated_spread(position, init, std):
    torch.manual_seed(0)
    weight = build("gabor", position, init=init).linear(400, 300).weight
    assert weight.std().item() * 20 == pytest.approx(std, rel=0.02)


@pytest.mark.parametrize("position", ["first", "hidden"])
def test_real_wire_layer_against_its_formula(position):
    torch.manual_seed(0)
    wire = build("real_wire", position, omega=7.0, s=3.0)
    layer = wire.linear(3, 5).double()
    x = torch.rand(11, 3, dtype=torch.float64) * 2 - 1
    projected = x.numpy() @ layer.projections.weight.detach().numpy().T + layer.projections.bias.detach().numpy()
    expected = np.cos(7 * projected[:, :5]) * np.exp(-((3 * projected[:, 5:]) ** 2))
    np.testing.assert_allclose(wire(layer(x)).detach(), expected, atol=1e-12)
    assert torch.autograd.gradcheck(layer, (x.requires_grad_(),))
    assert torch.autograd.gradgradcheck(layer, (x,))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_real_wire_stays_finite(dtype):
    layer = build("real_wire", "first").linear(1, 6).to(dtype)
    x = torch.tensor(EXTREMES, dtype=dtype)[:, None].requires_grad_()
    y = layer(x)
    y.sum().backward()
    assert y.isfinite().all()
    assert x.grad.isfinite().all()


def test_real_wire_has_two_projections_but_for_its_last_layer():
    counts = [
        sum(parameter.numel() for parameter in build("real_wire", position).linear(40, 30).parameters())
        for position in ("first", "hidden", "last")
    ]
    assert counts == [2 * 41 * 30, 2 * 41 * 30, 41 * 30]
    weight = build("real_wire").linear(400, 300).projections.weight
    assert weight.std().item() == pytest.approx(1 / math.sqrt(3 * 400), rel=0.02)


@pytest.mark.parametrize("name", ENTRIES)
def test_a_deep_field_starts_alive_and_without_dead_parameters(name):
    torch.manual_seed(0)
    h = torch.rand(2000, 2) * 2 - 1
    layers = []
    for index in range(5):
        activation = build(name, "hidden" if index else "first")
        linear = activation.linear(h.shape[1], 256)
        layers.append(linear)
        z = linear(h)
        assert 0.01 < z.std(dim=0).square().mean().sqrt().item() < 10
        h = activation(z)
    h.square().sum().backward()
    assert all(parameter.grad.abs().max() > 0 for layer in layers for parameter in layer.parameters())
