"""fkan, learned_rff, spherical harmonics and Chebyshev features, and what all encodings here share."""

import numpy as np
import pytest
import scipy.special
import torch
from inrbench_encoding_fourier.chebyshev import ChebyshevFeatures
from inrbench_encoding_fourier.fkan import Fkan, harmonics
from inrbench_encoding_fourier.plugin import (
    ChebyshevFeaturesSpec,
    FkanSpec,
    LearnedRffSpec,
    RffSpec,
    SphericalHarmonicsSpec,
    inrbench_encodings,
)
from inrbench_encoding_fourier.rff import LearnedRff, Rff
from inrbench_encoding_fourier.spherical import SphericalHarmonics
from numpy.polynomial import chebyshev
from pydantic import ValidationError

from inrbench_core import UnsupportedError

OPTIONS = {"rff": {"frequencies": 8}, "learned_rff": {"frequencies": 8}, "fkan": {"frequencies": 12}}
ENCODINGS = [(entry, OPTIONS.get(entry.name, {})) for entry in inrbench_encodings()]
ENCODINGS += [(entry, {"frequencies": 7, "mode": "layer", "out_features": 5}) for entry, _ in ENCODINGS[4:5]]


def build(entry, options, dimensions=3):
    torch.manual_seed(3)
    return entry.load()(entry.spec(**options), dimensions, (16,) * dimensions)


def points(count, dimensions, dtype=torch.float32):
    return torch.rand(count, dimensions, dtype=dtype, generator=torch.Generator().manual_seed(1)) * 2 - 1


@pytest.mark.parametrize(("entry", "options"), ENCODINGS, ids=lambda value: getattr(value, "name", ""))
def test_every_encoding_keeps_its_promises(entry, options):
    encoding = build(entry, options)
    for count in (0, 1, 5):
        assert encoding(points(count, 3)).shape == (count, encoding.out_features)
    edges = torch.cartesian_prod(*[torch.tensor([-1.0, 0.0, 1.0])] * 3).requires_grad_()
    out = encoding(edges)
    out.sum().backward()
    assert out.isfinite().all()
    assert edges.grad.isfinite().all()
    x = points(50, 3)
    again, other = build(entry, options), entry.load()(entry.spec(**options), 3, (16,) * 3)
    assert torch.equal(again(x), encoding(x))
    other.load_state_dict(encoding.state_dict())
    assert torch.equal(other(x), encoding(x))
    fine = encoding.double()(x.double())
    assert fine.dtype == torch.float64
    torch.testing.assert_close(fine.float(), again(x), atol=3e-5, rtol=1e-4)


@pytest.mark.parametrize(("entry", "options"), ENCODINGS, ids=lambda value: getattr(value, "name", ""))
def test_every_encoding_has_true_gradients(entry, options):
    x = points(4, 3, torch.float64).requires_grad_()
    assert torch.autograd.gradcheck(build(entry, options).double(), (x,))


@pytest.mark.parametrize("count", [1, 2, 5, 31, 270, 1024])
def test_harmonics_against_numpy(count):
    x = points(20, 2)
    phase = x.double().numpy()[:, :, None] * np.arange(1, count + 1)
    expected = np.stack([np.cos(phase), np.sin(phase)], axis=2)
    np.testing.assert_allclose(harmonics(x, count), expected, atol=1e-4)
    np.testing.assert_allclose(harmonics(x.double(), count), expected, atol=1e-12)


def test_fkan_features_are_scaled_waves():
    encoding = Fkan(FkanSpec(frequencies=3), 2).double()
    a, b, c, d = encoding.amplitudes.detach().numpy().reshape(4, 3)
    x, y, w = 0.3, -0.7, np.arange(1, 4)
    expected = np.concatenate([a * np.cos(w * x), b * np.sin(w * x), c * np.cos(w * y), d * np.sin(w * y)])
    np.testing.assert_allclose(encoding(torch.tensor([[x, y]]).double())[0].detach(), expected, atol=1e-7)


def test_fkan_layer_is_a_fourier_series_per_output():
    encoding = Fkan(FkanSpec(frequencies=6, mode="layer", out_features=2), 1).double()
    torch.nn.init.constant_(encoding.bias, 0.5)
    x = np.linspace(-1, 1, 11)
    for output, (a, b) in enumerate(encoding.amplitudes.detach().numpy().reshape(2, 2, 6)):
        # A real series sum a cos + b sin is the real part of a polynomial in exp(ix).
        expected = 0.5 + np.polynomial.polynomial.polyval(np.exp(1j * x), np.r_[0, a - 1j * b]).real
        np.testing.assert_allclose(encoding(torch.from_numpy(x)[:, None])[:, output].detach(), expected, atol=1e-12)


@pytest.mark.parametrize(("options", "variance"), [({}, 1 / 2000), ({"mode": "layer", "out_features": 50}, 1 / 4000)])
def test_fkan_starts_with_the_stated_spread(options, variance):
    torch.manual_seed(0)
    encoding = Fkan(FkanSpec(frequencies=2000, **options), 2)
    assert encoding.amplitudes.var().item() == pytest.approx(variance, rel=0.06)


def test_fkan_smooth_amplitudes_fall_with_the_frequency():
    torch.manual_seed(0)
    encoding = Fkan(FkanSpec(frequencies=4, mode="layer", out_features=5000, smooth=True), 2)
    spread = encoding.amplitudes.detach().view(5000, 4, 4).std(dim=(0, 1)) * np.sqrt(8)
    np.testing.assert_allclose(spread, [1, 1 / 2, 1 / 3, 1 / 4], rtol=0.03)


@pytest.mark.parametrize("options", [{"mode": "layer"}, {"out_features": 3}])
def test_fkan_layer_and_its_width_go_together(options):
    with pytest.raises(ValidationError, match="out_features goes with mode: layer"):
        FkanSpec(**options)


def test_learned_rff_starts_as_rff_and_trains_its_directions():
    torch.manual_seed(0)
    fixed = Rff(RffSpec(frequencies=6), 2)
    torch.manual_seed(0)
    learned = LearnedRff(LearnedRffSpec(frequencies=6), 2)
    x = points(9, 2)
    assert torch.equal(fixed(x), learned(x))
    learned(x).square().mul(torch.arange(12)).sum().backward()
    assert learned.directions.grad.abs().min() > 0
    assert not list(fixed.parameters())


def real_harmonic(degree, order, polar, azimuth):
    """The real form of scipy's complex one, with Condon and Shortley's phase kept."""
    value = scipy.special.sph_harm_y(degree, abs(order), polar, azimuth)
    if order == 0:
        return value.real
    return np.sqrt(2) * (value.real if order > 0 else value.imag)


def test_spherical_harmonics_against_scipy():
    rng = np.random.default_rng(0)
    polar, azimuth = np.arccos(rng.uniform(-1, 1, 40)), rng.uniform(0, 2 * np.pi, 40)
    direction = np.stack([np.sin(polar) * np.cos(azimuth), np.sin(polar) * np.sin(azimuth), np.cos(polar)], axis=1)
    expected = [real_harmonic(n, m, polar, azimuth) for n in range(4) for m in range(-n, n + 1)]
    # Lengths must not matter.
    coords = torch.from_numpy(direction * rng.uniform(0.1, 1, (40, 1)))
    features = SphericalHarmonics(SphericalHarmonicsSpec(), 3)(coords)
    np.testing.assert_allclose(features, np.stack(expected, axis=1), atol=1e-12)
    for degree in (1, 2, 3):
        part = SphericalHarmonics(SphericalHarmonicsSpec(degree=degree), 3)
        assert torch.equal(part(coords), features[:, : part.out_features])


def test_spherical_harmonics_are_orthonormal():
    z, weight = np.polynomial.legendre.leggauss(8)
    azimuth = np.arange(16) * 2 * np.pi / 16
    z, weight, azimuth = (a.ravel() for a in np.broadcast_arrays(z[:, None], weight[:, None], azimuth[None]))
    radius = np.sqrt(1 - z**2)
    coords = torch.from_numpy(np.stack([radius * np.cos(azimuth), radius * np.sin(azimuth), z], axis=1))
    features = SphericalHarmonics(SphericalHarmonicsSpec(), 3)(coords).numpy()
    gram = features.T @ (features * (weight * 2 * np.pi / 16)[:, None])
    np.testing.assert_allclose(gram, np.eye(16), atol=1e-12)


def test_spherical_harmonics_need_a_direction_in_space():
    with pytest.raises(UnsupportedError, match="three coordinates, and this problem has 2"):
        SphericalHarmonics(SphericalHarmonicsSpec(), 2)
    with pytest.raises(ValidationError, match="less than or equal to 4"):
        SphericalHarmonicsSpec(degree=5)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-3), (torch.float64, 1e-11)])
def test_chebyshev_features_against_numpy(dtype, tolerance):
    x = points(20, 2, dtype)
    expected = chebyshev.chebvander(x.double().numpy(), 64)[..., 1:].reshape(20, 128)
    features = ChebyshevFeatures(ChebyshevFeaturesSpec(degree=64), 2)(x)
    np.testing.assert_allclose(features, expected, atol=tolerance)


def test_chebyshev_features_at_known_values():
    features = ChebyshevFeatures(ChebyshevFeaturesSpec(degree=5), 1)(torch.tensor([[0.3]], dtype=torch.float64))
    assert features[0].tolist() == pytest.approx([0.3, -0.82, -0.792, 0.3448, 0.99888], abs=1e-5)


def test_chebyshev_features_stay_finite_far_outside():
    x = torch.tensor([[1e4], [-1e4], [1.0], [-1.0]], requires_grad=True)
    features = ChebyshevFeatures(ChebyshevFeaturesSpec(), 1)(x)
    features.sum().backward()
    assert features.abs().max().item() <= 1.0 + 1e-5
    assert x.grad.isfinite().all()
