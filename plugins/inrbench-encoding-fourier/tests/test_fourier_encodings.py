import math

import numpy as np
import pytest
import torch
from inrbench_encoding_fourier.neff import Neff, nyquist_octaves
from inrbench_encoding_fourier.plugin import NeffSpec, RffSpec
from inrbench_encoding_fourier.rff import Rff

from inrbench_core import UnsupportedError


def test_neff_at_a_value_known_by_hand():
    encoding = Neff(NeffSpec(frequencies=3, include_input=False), 1)
    expected = [0.809017, 0.587785, 0.951057, -0.309017, -0.587785, -0.809017]
    assert encoding(torch.tensor([[0.3]], dtype=torch.float64))[0].tolist() == pytest.approx(expected, abs=1e-6)


def test_neff_against_numpy_on_several_axes():
    x = np.random.default_rng(0).uniform(-1, 1, (9, 3))
    angles = np.pi * x[:, None, :] * 2.0 ** np.arange(4)[:, None]
    waves = np.concatenate([np.sin(angles), np.cos(angles)], axis=2).reshape(9, -1)
    encoding = Neff(NeffSpec(frequencies=4), 3)
    np.testing.assert_allclose(encoding(torch.from_numpy(x)), np.concatenate([x, waves], axis=1), atol=1e-12)


@pytest.mark.parametrize("octave", [0, 10, 20, 24])
def test_neff_is_exact_at_every_octave_in_float32(octave):
    x = torch.rand(1000, generator=torch.Generator().manual_seed(0)) * 2 - 1
    encoding = Neff(NeffSpec(frequencies=octave + 1, include_input=False), 1)
    sine = encoding(x[:, None])[:, -2].double()
    # Python's integers reduce the argument exactly.
    truth = [math.sin(math.pi * float((int(float(v) * 2**60) * 2**octave) % 2**61) / 2**60) for v in x]
    np.testing.assert_allclose(sine.numpy(), truth, atol=5e-7)


def test_neff_gradient_is_that_of_the_plain_formula():
    x = (torch.rand(8, 2, dtype=torch.float64) * 2 - 1).requires_grad_()
    assert torch.autograd.gradcheck(Neff(NeffSpec(frequencies=4), 2), (x,))


@pytest.mark.parametrize("include_input", [True, False])
@pytest.mark.parametrize("dimensions", [1, 2, 3])
def test_neff_out_features_are_true(include_input, dimensions):
    encoding = Neff(NeffSpec(frequencies=5, include_input=include_input), dimensions)
    assert encoding(torch.zeros(7, dimensions)).shape == (7, encoding.out_features)


def test_nyquist_takes_the_shortest_axis_and_needs_one():
    assert nyquist_octaves((512, 256)) == 6
    assert nyquist_octaves((1,)) == 1
    with pytest.raises(UnsupportedError, match="needs a signal on a grid"):
        Neff(NeffSpec(frequencies="nyquist"), 2)


def test_rff_against_numpy():
    torch.manual_seed(0)
    encoding = Rff(RffSpec(frequencies=16, sigma=3.0), 2).double()
    x = np.random.default_rng(0).uniform(-1, 1, (9, 2))
    phase = 2 * np.pi * x @ encoding.directions.numpy()
    expected = np.concatenate([np.sin(phase), np.cos(phase)], axis=1)
    np.testing.assert_allclose(encoding(torch.from_numpy(x)), expected, atol=1e-12)


def test_rff_directions_have_the_stated_spread_and_are_saved():
    torch.manual_seed(0)
    encoding = Rff(RffSpec(frequencies=5000, sigma=7.0), 2)
    assert encoding.directions.std().item() == pytest.approx(7.0, rel=0.03)
    other = Rff(RffSpec(frequencies=5000, sigma=7.0), 2)
    x = torch.rand(3, 2)
    assert not torch.equal(other(x), encoding(x))
    other.load_state_dict(encoding.state_dict())
    assert torch.equal(other(x), encoding(x))
