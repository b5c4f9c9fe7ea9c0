import itertools

import numpy as np
import pytest
import torch
from inrbench_basis_fourier.fourier import Fourier
from inrbench_basis_fourier.plugin import FourierSpec, SineKanSpec
from inrbench_basis_fourier.sine_kan import SineKan


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-4), (torch.float64, 1e-11)])
def test_fourier_against_numpy_up_to_frequency_1024(dtype, tolerance):
    x = np.linspace(-1, 1, 301).astype(np.float32)
    values = Fourier(FourierSpec(grid=1024)).expand(torch.from_numpy(x[:, None]).to(dtype))[:, 0].double()
    phase = np.outer(x.astype(np.float64), np.arange(1, 1025))
    np.testing.assert_allclose(values, np.concatenate([np.cos(phase), np.sin(phase)], axis=1), atol=tolerance)


@pytest.mark.parametrize("grid", [1, 7, 8, 9, 20, 33])
def test_fourier_has_every_frequency_once(grid):
    x = np.linspace(-3, 3, 61)
    values = Fourier(FourierSpec(grid=grid)).expand(torch.from_numpy(x[:, None]))[:, 0]
    phase = np.outer(x, np.arange(1, grid + 1))
    np.testing.assert_allclose(values, np.concatenate([np.cos(phase), np.sin(phase)], axis=1), atol=1e-13)


def test_no_published_start_is_claimed_for_sine_kan():
    with pytest.raises(ValueError, match="scale"):
        SineKanSpec(scale="published")


@pytest.mark.parametrize("in_features", [2, 64])
def test_sine_kan_starts_with_unit_variance(in_features):
    torch.manual_seed(0)
    layer = SineKan(SineKanSpec()).layer(in_features, 512, position="first")
    y = layer(torch.rand(2048, in_features) * 2 - 1)
    assert y.square().mean().sqrt().item() == pytest.approx(1.0, abs=0.1)


def test_values_known_by_hand():
    values = Fourier(FourierSpec(grid=2)).expand(torch.tensor([[0.3]], dtype=torch.float64))[0, 0]
    assert values.tolist() == pytest.approx([0.955336, 0.825336, 0.295520, 0.564642], abs=1e-6)


@pytest.mark.parametrize("scale", ["unit", "published"])
@pytest.mark.parametrize("in_features", [2, 64])
@pytest.mark.parametrize("reach", [0.01, 1.0, 30.0])
def test_output_variance_is_one_whatever_the_input(scale, in_features, reach):
    torch.manual_seed(0)
    layer = Fourier(FourierSpec(scale=scale, bias=False)).layer(in_features, 4096, position="hidden")
    y = layer((torch.rand(8, in_features) * 2 - 1) * reach)
    assert y.square().mean().item() == pytest.approx(1.0, rel=0.1)


@pytest.mark.parametrize("options", [{"normalize": "rms"}, {"base": True}])
def test_options_keep_the_output_variance_near_one(options):
    torch.manual_seed(0)
    layer = Fourier(FourierSpec(bias=False, **options)).layer(64, 1024, position="hidden")
    y = layer(torch.randn(2048, 64))
    assert y.square().mean().item() == pytest.approx(1.0, rel=0.15)


def test_a_smooth_start_falls_with_the_square_of_the_frequency():
    torch.manual_seed(0)
    layer = Fourier(FourierSpec(grid=4, smooth=True)).layer(64, 512, position="hidden")
    spread = layer.coefficients.std(dim=(0, 1))
    spread = spread / spread[0]
    np.testing.assert_allclose(spread.detach(), np.tile([1, 1 / 4, 1 / 9, 1 / 16], 2), rtol=0.03)


def test_parameter_count_of_the_papers_network():
    sizes = [2, 64, 64, 64, 64, 64, 3]
    layers = [Fourier(FourierSpec(grid=8)).layer(i, o, position="hidden") for i, o in itertools.pairwise(sizes)]
    assert sum(p.numel() for layer in layers for p in layer.parameters()) == 267_587


def test_sine_kan_is_what_its_formula_says_and_trains_all_of_it():
    torch.manual_seed(0)
    layer = SineKan(SineKanSpec(grid=5)).double().layer(3, 4, position="hidden").double()
    x = torch.randn(7, 3, dtype=torch.float64)
    basis = layer.basis
    expected = np.sin(
        basis.frequencies.detach().numpy()[None, None] * x.numpy()[:, :, None] + basis.phases.detach().numpy().T[None]
    )
    np.testing.assert_allclose(basis.expand(x).detach(), expected, atol=1e-12)
    layer(x).square().sum().backward()
    for parameter in layer.parameters():
        assert (parameter.grad != 0).all()


@pytest.mark.parametrize("basis", [Fourier(FourierSpec(grid=6)), SineKan(SineKanSpec(grid=6))])
def test_gradients_and_far_values(basis):
    x = torch.randn(5, 1, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(basis.double().expand, (x,))
    far = torch.tensor([[1e4], [-1e4], [0.0]], dtype=torch.float64, requires_grad=True)
    basis.expand(far).sum().backward()
    assert far.grad.isfinite().all()
