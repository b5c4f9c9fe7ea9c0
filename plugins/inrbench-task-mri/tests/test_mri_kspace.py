import math

import numpy as np
import pytest
import torch
from inrbench_task_mri.kspace import Lines, Spokes, draw_lines, spoke_angles

SIZES = [16, 17]


def picture_of(size, seed=0):
    return np.random.default_rng(seed).uniform(size=(size, size))


def operators(size):
    lines = draw_lines(size, 2.0, 0.4, np.random.default_rng(1))
    return Lines(size, lines, dtype=torch.float64), Spokes(size, spoke_angles("golden_angle", 7), dtype=torch.float64)


def in_parts(operator, picture):
    return torch.from_numpy(np.ascontiguousarray(picture)).reshape(operator.parts, operator.rows, operator.size)


def as_complex(samples):
    return samples[..., 0].numpy() + 1j * samples[..., 1].numpy()


@pytest.mark.parametrize("size", SIZES)
def test_lines_are_columns_of_the_orthonormal_fourier_transform(size):
    lines, _ = operators(size)
    picture = picture_of(size)
    samples = as_complex(lines.forward(in_parts(lines, picture)))
    # Back to k-space along the rows' axis.
    samples = np.fft.fftshift(np.fft.fft(np.fft.ifftshift(samples, axes=0), axis=0, norm="ortho"), axes=0)
    expected = np.fft.fftshift(np.fft.fft2(np.fft.ifftshift(picture), norm="ortho"))
    np.testing.assert_allclose(samples, expected[:, lines.lines + size // 2], atol=1e-12)


@pytest.mark.parametrize("size", SIZES)
def test_spokes_are_sums_over_pixels(size):
    angles = spoke_angles("golden_angle", 3)
    spokes = Spokes(size, angles, dtype=torch.float64)
    picture = picture_of(size)
    samples = as_complex(spokes.forward(in_parts(spokes, picture)))[0].reshape(3, size)
    row, column = np.meshgrid(*[np.arange(size) - size // 2] * 2, indexing="ij")
    for spoke, angle in enumerate(angles):
        for place, radius in enumerate(np.arange(size) - size // 2):
            turns = radius * (math.sin(angle) * row + math.cos(angle) * column) / size
            expected = (picture * np.exp(-2j * np.pi * turns)).sum() / size
            assert samples[spoke, place] == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("size", SIZES)
def test_spokes_along_the_axes_are_lines_of_the_grid(size):
    picture = picture_of(size)
    spokes = Spokes(size, np.array([0.0, np.pi / 2]), dtype=torch.float64)
    along_v, along_u = as_complex(spokes.forward(in_parts(spokes, picture)))[0].reshape(2, size)
    grid = np.fft.fftshift(np.fft.fft2(np.fft.ifftshift(picture), norm="ortho"))
    np.testing.assert_allclose(along_v, grid[size // 2], atol=1e-12)
    np.testing.assert_allclose(along_u, grid[:, size // 2], atol=1e-12)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("which", [0, 1])
def test_adjoint_is_the_transpose(size, which):
    operator = operators(size)[which]
    x = in_parts(operator, picture_of(size))
    y = torch.randn(operator.parts, operator.samples, 2, generator=torch.Generator().manual_seed(0)).double()
    forward, adjoint = operator.forward(x), operator.adjoint(y)
    assert forward.shape == y.shape
    assert adjoint.shape == x.shape
    assert (forward * y).sum().item() == pytest.approx((x * adjoint).sum().item(), rel=1e-12)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("which", [0, 1])
def test_the_spectrum_is_that_of_forward_and_adjoint(size, which):
    operator = operators(size)[which]
    picture = picture_of(size)
    expected = operator.adjoint(operator.forward(in_parts(operator, picture))).reshape(size, size).numpy()
    spectrum = operator.spectrum()
    padded = np.fft.fft2(picture, spectrum.shape)
    np.testing.assert_allclose(np.fft.ifft2(padded * spectrum).real[:size, :size], expected, atol=1e-12)


@pytest.mark.parametrize("spokes", [5, 8])
@pytest.mark.parametrize("trajectory", ["radial", "golden_angle"])
def test_weights_of_spokes_add_up_to_the_area_that_they_cover(trajectory, spokes):
    weights = Spokes(32, spoke_angles(trajectory, spokes)).density_weights()
    # Annuli one cycle wide: half of radius 16 is missing on the one side, half of it is too much on the other.
    assert weights.sum() == pytest.approx(math.pi * (16**2 + 0.25), rel=1e-12)


def test_weights_follow_the_angles_between_spokes():
    spokes = Spokes(8, np.radians([0.0, 90.0, 100.0]))
    by_spoke = spokes.density_weights().reshape(3, 8)
    np.testing.assert_allclose(by_spoke[:, 0], 4 * np.radians([85.0, 50.0, 45.0]))
    np.testing.assert_allclose(by_spoke[0] / by_spoke[0, 5], [4, 3, 2, 1, 0.25, 1, 2, 3])


@pytest.mark.parametrize("trajectory", ["radial", "golden_angle"])
def test_many_weighted_spokes_give_back_what_is_smooth(trajectory):
    axis = np.arange(32) - 16
    picture = np.exp(-((axis[:, None] - 2.0) ** 2 + (axis + 3.0) ** 2) / 18.0)
    spokes = Spokes(32, spoke_angles(trajectory, 55), dtype=torch.float64)
    weights = torch.from_numpy(spokes.density_weights())[:, None]
    answer = spokes.adjoint(spokes.forward(in_parts(spokes, picture)) * weights)[0].numpy()
    # With samples one cycle apart there are rings around the picture, which reach into the corners.
    inner = axis[:, None] ** 2 + axis**2 < 12**2
    np.testing.assert_allclose(answer[inner], picture[inner], atol=0.02)


@pytest.mark.parametrize("which", [0, 1])
def test_the_centre_tells_the_sum_of_the_picture(which):
    operator = operators(16)[which]
    picture = picture_of(16)
    samples = as_complex(operator.forward(in_parts(operator, picture)))
    centre = samples[:, operator.at_centre()].mean(axis=1) * math.sqrt(operator.rows * 16)
    np.testing.assert_allclose(centre, picture.reshape(operator.parts, -1).sum(axis=1), atol=1e-12)


@pytest.mark.parametrize(("size", "count", "centre"), [(64, 16, range(-2, 3)), (65, 16, range(-2, 3)), (16, 4, [0])])
def test_lines_are_as_many_as_asked_for_and_hold_the_centre(size, count, centre):
    lines = draw_lines(size, 4.0, 0.32, np.random.default_rng(0))
    assert len(lines) == len(set(lines)) == count
    assert (np.diff(lines) > 0).all()
    assert lines.min() >= -(size // 2)
    assert lines.max() <= (size - 1) // 2
    assert set(centre) <= set(lines.tolist())


def test_all_lines_are_measured_without_acceleration():
    assert draw_lines(17, 1.0, 0.32, np.random.default_rng(0)).tolist() == list(range(-8, 9))


def test_lines_near_the_centre_are_drawn_more_often():
    counts = np.zeros(64)
    for seed in range(300):
        counts[draw_lines(64, 4.0, 0.0, np.random.default_rng(seed)) + 32] += 1
    distance = np.abs(np.arange(64) - 32)
    assert counts[32] == 300
    rings = [counts[(distance > low) & (distance <= low + 8)].mean() for low in (0, 8, 16, 24)]
    assert rings[0] > 1.5 * rings[1] > 2.0 * rings[2] > 4.0 * rings[3] > 0


def test_spokes_are_evenly_spread_or_the_golden_angle_apart():
    np.testing.assert_allclose(np.degrees(spoke_angles("radial", 4)), [0, 45, 90, 135])
    np.testing.assert_allclose(np.degrees(spoke_angles("golden_angle", 3)), [0, 111.246, 222.492], atol=1e-3)
