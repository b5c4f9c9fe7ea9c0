import math

import mpmath as mp
import numpy as np
import pytest
import torch
from inrbench_activation_periodic.plugin import inrbench_activations

mp.mp.dps = 40
ENTRIES = {entry.name: entry for entry in inrbench_activations()}
EXTREMES = [0, 1, -1, 1e-8, -1e-8, 10, -10, 100, -100, 1e4, -1e4]
SIREN_FAMILY = ["sine", "scaled_sine", "finer", "h_siren", "hosc"]

# mpmath has its own sine and differentiates in 40 digits.
TRUTH = {
    "sine": lambda z: mp.sin(30 * z),
    "scaled_sine": lambda z: mp.sin(30 * z),
    "finer": lambda z: mp.sin(30 * (abs(z) + 1) * z),
    "h_siren": lambda z: mp.sin(30 * z),
    "hosc": lambda z: mp.tanh(8 * mp.sin(30 * z)),
    "sinc": mp.sincpi,
    "expsin": lambda z: mp.exp(-mp.sin(z)),
}


def build(name, position="hidden", **options):
    return ENTRIES[name].load()(ENTRIES[name].spec(**options), position=position)


@pytest.fixture
def check(derivatives):
    """Values and two derivatives against mpmath's."""

    def compare(activation, truth, dtype, tolerance):
        z = torch.linspace(-1, 1, 40, dtype=dtype)
        for order, ours in enumerate(derivatives(activation.to(dtype), z)):
            expected = np.array([float(mp.diff(truth, mp.mpf(v), order)) for v in z.tolist()])
            np.testing.assert_allclose(ours, expected, rtol=0, atol=tolerance * np.abs(expected).max())

    return compare


def test_every_entry_is_tested_here():
    assert TRUTH.keys() | {"staf"} == ENTRIES.keys()


@pytest.mark.parametrize("name", TRUTH)
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-4)])
def test_values_and_two_derivatives(name, dtype, tolerance, check):
    check(build(name), TRUTH[name], dtype, tolerance)


@pytest.mark.parametrize(
    ("name", "options", "z", "value"),
    [
        ("finer", {}, 0.2, 0.793668),
        ("scaled_sine", {"start": "paper"}, 0.01, 0.462275),
        ("scaled_sine", {"start": "incode"}, 0.0, math.exp(0.312) * math.sin(0.312) + 0.312),
        ("expsin", {}, 0.2, 0.819821),
        ("sinc", {"a": 3.0}, 1 / 6, 2 / math.pi),
        ("hosc", {"beta": 2.0}, math.pi / 60, math.tanh(2.0)),
        ("hosc", {"beta": 2.0, "learnable": True}, math.pi / 60, math.tanh(2.0)),
    ],
)
def test_values_known_by_hand(name, options, z, value):
    assert build(name, **options).double()(torch.tensor(z, dtype=torch.float64)).item() == pytest.approx(
        value, abs=1e-6
    )


@pytest.mark.parametrize("name", ENTRIES)
@pytest.mark.parametrize("position", ["first", "hidden"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_values_and_two_derivatives_stay_finite(name, position, dtype, derivatives):
    z = torch.tensor(EXTREMES, dtype=dtype)
    assert all(np.isfinite(part).all() for part in derivatives(build(name, position).to(dtype), z))


@pytest.mark.parametrize("z", [1e-3, 1e-4, 1e-5, 0.1, 0.159, 0.16])
def test_sinc_keeps_its_derivatives_near_zero_in_float32(z, derivatives):
    z = torch.tensor([z])
    _, first, second = derivatives(build("sinc"), z)
    assert first[0] == pytest.approx(float(mp.diff(mp.sincpi, mp.mpf(z.item()))), rel=2e-5)
    assert second[0] == pytest.approx(float(mp.diff(mp.sincpi, mp.mpf(z.item()), 2)), rel=2e-4)


def test_h_siren_is_hyperbolic_in_the_first_layer(check):
    check(build("h_siren", "first").double(), lambda z: mp.sin(30 * mp.sinh(2 * z)), torch.float64, 1e-10)


def test_finer_gradient_is_the_true_one_unless_detached():
    z = torch.tensor(0.2, dtype=torch.float64, requires_grad=True)
    cosine = math.cos(30 * 1.2 * 0.2)
    for detach, factor in ((False, 2 * 0.2 + 1), (True, 0.2 + 1)):
        (gradient,) = torch.autograd.grad(build("finer", detach_scale=detach)(z), z)
        assert gradient.item() == pytest.approx(30 * factor * cosine, rel=1e-12)


def test_a_detached_finer_serves_no_loss_on_derivatives():
    spec = ENTRIES["finer"].spec
    assert (spec().derivatives(), spec(detach_scale=True).derivatives()) == (None, 0)


def test_finer_first_bias_is_as_wide_as_asked():
    torch.manual_seed(0)
    first, hidden = (build("finer", position, first_bias=5.0) for position in ("first", "hidden"))
    assert first.linear(2, 4000).bias.std().item() == pytest.approx(5 / math.sqrt(3), rel=0.05)
    assert hidden.linear(400, 400).bias.abs().max().item() <= 1 / 20


@pytest.mark.parametrize("name", SIREN_FAMILY)
def test_first_omega_applies_to_the_first_layer_only(name):
    assert build(name, "first", omega=30, first_omega=3000).omega == 3000
    assert build(name, "hidden", omega=30, first_omega=3000).omega == 30


@pytest.mark.parametrize("name", ENTRIES)
@pytest.mark.parametrize("position", ["first", "hidden", "last"])
def test_weights_start_with_the_stated_spread(name, position):
    width = 400
    if name in SIREN_FAMILY:
        std = (1 / width if position == "first" else math.sqrt(6 / width) / 7) / math.sqrt(3)
        options = {"omega": 7.0}
    else:
        std = 1 / math.sqrt(3 * width) if name == "staf" else math.sqrt(2 / width)
        options = {}
    torch.manual_seed(0)
    layer = build(name, position, **options).linear(width, 300)
    assert layer.weight.std().item() == pytest.approx(std, rel=0.02)
    if name in [*SIREN_FAMILY, "staf"]:
        assert layer.weight.abs().max().item() <= std * math.sqrt(3) * (1 + 1e-6)


@pytest.mark.parametrize("name", ENTRIES)
def test_a_deep_field_starts_alive(name):
    torch.manual_seed(0)
    h = torch.rand(2000, 2) * 2 - 1
    for index in range(5):
        activation = build(name, "hidden" if index else "first")
        linear = activation.linear(h.shape[1], 256)
        z = linear(h) * (30 if name in SIREN_FAMILY else 1)
        assert 0.01 < z.std(dim=0).square().mean().sqrt().item() < 10
        h = activation(linear(h)).detach()


@pytest.mark.parametrize("omega", [3.0, 30.0, 300.0])
def test_scaled_pre_activations_of_a_deep_siren_keep_unit_spread(omega):
    torch.manual_seed(0)
    h = torch.rand(4096, 2) * 2 - 1
    for index in range(6):
        sine = build("sine", "hidden" if index else "first", omega=omega)
        linear = sine.linear(h.shape[1], 256)
        torch.nn.init.zeros_(linear.bias)
        z = sine.omega * linear(h)
        if index:
            assert 0.6 < z.std().item() < 1.4
        h = sine(linear(h))


@pytest.mark.parametrize(
    ("name", "options", "count"),
    [("scaled_sine", {}, 4), ("hosc", {"learnable": True}, 1), ("staf", {"tau": 3}, 9)],
)
def test_trained_scalars_are_all_alive(name, options, count):
    activation = build(name, **options)
    activation(torch.rand(500, generator=torch.Generator().manual_seed(0)) * 2 - 1).square().sum().backward()
    parameters = list(activation.parameters())
    assert sum(parameter.numel() for parameter in parameters) == count
    assert all((parameter.grad != 0).all() for parameter in parameters)


@pytest.mark.parametrize("seed", range(3))
def test_staf_is_the_sum_of_its_sines(seed, check):
    torch.manual_seed(seed)
    staf = build("staf", tau=3).double()
    terms = list(zip(staf.b.tolist(), staf.w.tolist(), staf.p.tolist(), strict=True))
    check(staf, lambda z: mp.fsum(b * mp.sin(w * z + p) for b, w, p in terms), torch.float64, 1e-12)


def test_staf_starts_with_unit_variance_and_frequencies_up_to_omega():
    torch.manual_seed(0)
    stafs = [build("staf", omega=20.0) for _ in range(2000)]
    # A sine of random phase has variance 1/2.
    assert np.mean([staf.b.square().sum().item() / 2 for staf in stafs]) == pytest.approx(1.0, rel=0.05)
    frequencies = torch.stack([staf.w for staf in stafs])
    assert frequencies.mean().item() == pytest.approx(10.0, rel=0.03)
    assert frequencies.std().item() == pytest.approx(20 / math.sqrt(12), rel=0.03)
    assert torch.stack([staf.p for staf in stafs]).abs().max().item() == pytest.approx(math.pi, rel=0.01)


def test_sums_and_variants_of_sines_ask_for_their_learning_rate():
    assert {name for name, entry in ENTRIES.items() if entry.training == {"lr": 1e-4}} == {*SIREN_FAMILY, "staf"}


def test_scaled_sine_answers_to_its_other_names():
    assert set(ENTRIES["scaled_sine"].aliases) == {"incode_sine", "learnable_sine"}
