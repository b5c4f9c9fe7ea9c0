import math

import numpy as np
import pytest
import torch

from inrbench_core import ExpansionBasis, ExpansionSpec
from inrbench_core.api.basis import grid_offsets


class Powers(ExpansionBasis):
    """1, x, x^2: moments on [-1, 1] are known."""

    size = 3

    def expand(self, x):
        return torch.stack([torch.ones_like(x), x, x * x], dim=1).transpose(1, 2)


class Doubled(Powers):
    def expand(self, x):
        return 2.0 * super().expand(x)


class ConstantsSpec(ExpansionSpec):
    spans_constants = True


class Boxes(ExpansionBasis):
    """One function for each of 100 cells of [-1, 1], and one that is 0 there."""

    size = 101

    def expand(self, x):
        cells = torch.arange(self.size, dtype=x.dtype).unsqueeze(1)
        return (((x.unsqueeze(1) + 1.0) * 50.0).floor() == cells).to(x.dtype).transpose(1, 2)


def make(basis, in_features=5, out_features=4, position="hidden", **options):
    return basis(ExpansionSpec(**options)).layer(in_features, out_features, position=position)


@pytest.mark.parametrize("domain", ["identity", "tanh", "auto"])
@pytest.mark.parametrize("position", ["first", "hidden", "last"])
@pytest.mark.parametrize("normalize", ["none", "rms", "variance"])
def test_a_layer_is_the_sum_it_says(domain, position, normalize):
    torch.manual_seed(0)
    layer = make(Powers, position=position, domain=domain, normalize=normalize, base=True).double()
    torch.nn.init.normal_(layer.bias)
    x = torch.randn(7, 5, dtype=torch.float64)
    mapped = x.tanh() if domain == "tanh" or (domain == "auto" and position != "first") else x
    phi = np.stack([mapped.numpy() ** k for k in range(3)])
    if normalize == "rms":
        phi *= np.sqrt([1, 3, 5])[:, None, None]
    if normalize == "variance":
        # x has the variance 1/3, x^2 the mean 1/3 and the variance 4/45; the constant stays.
        phi[1:] = np.stack([phi[1] * np.sqrt(3), (phi[2] - 1 / 3) * np.sqrt(45 / 4)])
    expected = np.einsum("oik,kni->no", layer.coefficients.detach(), phi)
    expected += (x / (1 + torch.exp(-x))).numpy() @ layer.base.weight.detach().numpy().T + layer.bias.detach().numpy()
    np.testing.assert_allclose(layer(x).detach(), expected, rtol=1e-6, atol=1e-12 if normalize == "none" else 1e-6)


@pytest.mark.parametrize("normalize", ["none", "rms", "variance"])
@pytest.mark.parametrize("in_features", [2, 64])
def test_unit_scale_gives_unit_variance(in_features, normalize):
    torch.manual_seed(0)
    layer = make(Powers, in_features, 512, "first", normalize=normalize)
    y = layer(torch.rand(2000, in_features) * 2 - 1)
    assert y.var(dim=0).mean().item() == pytest.approx(1.0, rel=0.1)


def test_published_scale_is_one_over_in_times_functions():
    torch.manual_seed(0)
    layer = make(Powers, 64, 64, scale="published")
    assert layer.coefficients.std().item() == pytest.approx(1 / (64 * 3), rel=0.03)


def test_normalising_leaves_alone_what_vanishes_on_the_domain_and_sees_what_is_narrow():
    layer = make(Boxes, 1, 3, position="first", normalize="rms", domain="identity")
    # A box of one cell in a hundred has an RMS of 1/10; the last one lies beyond 1.
    np.testing.assert_allclose(layer.factors[0], [10.0] * 100 + [1.0], rtol=0.2)
    y = layer(torch.tensor([[-0.995], [0.995], [1.01], [50.0]]))
    assert y.isfinite().all()


def test_centring_leaves_alone_what_vanishes_on_the_domain_and_what_is_constant():
    layer = make(Boxes, 1, 3, position="first", normalize="variance")
    np.testing.assert_allclose(layer.factors[0], [1 / np.sqrt(0.01 - 0.0001)] * 100 + [1.0], rtol=0.2)
    np.testing.assert_allclose(-layer.offsets[0], [0.01 / np.sqrt(0.01 - 0.0001)] * 100 + [0.0], rtol=0.2)
    layer = make(Doubled, normalize="variance")
    np.testing.assert_allclose(layer.factors[0], [0.5, np.sqrt(3) / 2, np.sqrt(45 / 4) / 2], rtol=1e-6)
    np.testing.assert_allclose(-layer.offsets[0], [0, 0, np.sqrt(45 / 4) / 3], atol=1e-6)


def test_features_of_a_centred_layer_are_what_its_coefficients_multiply():
    layer = make(Powers, position="first", normalize="variance").double()
    torch.nn.init.normal_(layer.bias)
    x = torch.rand(7, 5, dtype=torch.float64)
    features = layer.linear_features(x)
    y = torch.einsum("oik,nik->no", layer.coefficients, features["coefficients"]) + layer.bias
    torch.testing.assert_close(layer(x), y)


def test_centred_functions_need_a_bias_unless_they_span_the_constants():
    with pytest.raises(ValueError, match="bias: true"):
        ExpansionSpec(normalize="variance", bias=False)
    layer = Powers(ConstantsSpec(normalize="variance", bias=False)).layer(2, 64, position="first")
    assert layer.bias is None
    y = layer(torch.rand(4096, 2) * 2 - 1)
    # The mean is that of the constants alone.
    torch.testing.assert_close(y.mean(0), layer.coefficients[:, :, 0].sum(1), atol=0.1, rtol=0)


@pytest.mark.parametrize("normalize", ["none", "rms", "variance"])
def test_gradients_of_a_layer(normalize):
    torch.manual_seed(0)
    layer = make(Powers, 2, 3, normalize=normalize, base=True).double()
    x = torch.randn(4, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x, *_: layer(x), (x, *layer.parameters()))
    assert torch.autograd.gradgradcheck(lambda x, *_: layer(x), (x, *layer.parameters()))


def test_gradients_of_two_halves_sum_to_those_of_the_whole():
    layer = make(Powers).double()
    x = torch.randn(10, 5, dtype=torch.float64)
    layer(x).square().sum().backward()
    whole = layer.coefficients.grad.clone()
    layer.coefficients.grad = None
    for half in x.split(5):
        layer(half).square().sum().backward()
    torch.testing.assert_close(layer.coefficients.grad, whole)


@pytest.mark.parametrize(
    ("options", "count"),
    [({}, 60 + 4), ({"bias": False}, 60), ({"base": True}, 60 + 4 + 20), ({"normalize": "rms"}, 64)],
)
def test_parameters(options, count):
    assert sum(parameter.numel() for parameter in make(Powers, 5, 4, **options).parameters()) == count


def test_a_layer_can_be_counted_without_memory():
    with torch.device("meta"):
        layer = make(Powers, 5, 4, normalize="rms")
    assert layer.coefficients.is_meta
    assert layer.coefficients.shape == (4, 5, 3)


@pytest.mark.parametrize("domain", ["identity", "tanh", "auto"])
@pytest.mark.parametrize("position", ["first", "hidden", "last"])
def test_bounded_says_whether_inputs_stay_in_the_domain(domain, position):
    """Coordinates do by themselves; anything else does if the map keeps it there."""
    basis = Powers(ExpansionSpec(domain=domain))
    largest = 1.0 if position == "first" else 100.0
    reached = basis.domain(torch.tensor([largest]), position).item()
    assert basis.bounded(position) == (reached <= 1.0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_offsets_from_a_grid_are_exact_at_its_centres(dtype):
    low, spacing, count = -1.25, 0.125, 21
    centres = torch.tensor([low + j * spacing for j in range(count)], dtype=dtype)
    offsets = grid_offsets(centres.unsqueeze(1), low, spacing, count)
    assert offsets.shape == (count, count, 1)
    assert offsets.dtype == dtype
    expected = np.subtract.outer(np.arange(count), np.arange(count))
    np.testing.assert_array_equal(offsets[:, :, 0], expected)


def test_default_start_depends_on_the_seed_alone():
    layers = []
    for _ in range(2):
        torch.manual_seed(3)
        layers.append(make(Powers))
    assert torch.equal(layers[0].coefficients, layers[1].coefficients)
    assert layers[0].coefficients.std().item() < 3 / math.sqrt(5)
