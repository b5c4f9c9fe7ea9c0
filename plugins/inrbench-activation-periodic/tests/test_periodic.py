import math

import pytest
import torch
from inrbench_activation_periodic.finer import Finer
from inrbench_activation_periodic.plugin import FinerSpec, SineSpec
from inrbench_activation_periodic.sine import Sine


def test_finer_at_a_value_known_by_hand() -> None:
    assert Finer(FinerSpec())(torch.tensor(0.2, dtype=torch.float64)).item() == pytest.approx(0.793668, abs=1e-6)


def test_finer_gradient_is_the_true_one_unless_detached() -> None:
    z = torch.tensor(0.2, dtype=torch.float64, requires_grad=True)
    cosine = math.cos(30 * 1.2 * 0.2)
    for detach, factor in ((False, 2 * 0.2 + 1), (True, 0.2 + 1)):
        (gradient,) = torch.autograd.grad(Finer(FinerSpec(detach_scale=detach))(z), z)
        assert gradient.item() == pytest.approx(30 * factor * cosine, rel=1e-12)


@pytest.mark.parametrize("omega", [3.0, 30.0, 300.0])
def test_scaled_pre_activations_of_a_deep_siren_keep_unit_spread(omega: float) -> None:
    torch.manual_seed(0)
    h = torch.rand(4096, 2) * 2 - 1
    for index in range(6):
        sine = Sine(SineSpec(omega=omega))
        linear = sine.linear(h.shape[1], 256, position="hidden" if index else "first")
        torch.nn.init.zeros_(linear.bias)
        z = sine.omega * linear(h)
        if index:
            assert 0.6 < z.std().item() < 1.4
        h = sine(linear(h))


def test_first_omega_applies_to_the_first_layer_only() -> None:
    spec = SineSpec(omega=30, first_omega=3000)
    first, hidden = Sine(spec), Sine(spec)
    first.linear(1, 8, position="first")
    hidden.linear(8, 8, position="hidden")
    assert (first.omega, hidden.omega) == (3000, 30)
