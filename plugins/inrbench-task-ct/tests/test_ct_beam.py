import math

import numpy as np
import pytest
import torch
from inrbench_task_ct.beam import ParallelBeam, inside_disc
from skimage.transform import iradon, radon
from torch.nn import functional


def all_rays(beam):
    return beam.rays(torch.arange(beam.views * beam.size))


def between_pixels(pixels):
    """A picture, (N, N), as a function of place, linear between pixels."""

    def function(coords):
        grid = coords.flip(-1)[None, None].to(pixels.dtype)
        return functional.grid_sample(pixels[None, None], grid, align_corners=True)

    return function


def smooth_picture(beam, seed=0):
    """Bumps well inside the disc, float64."""
    rng = np.random.default_rng(seed)
    rows, columns = np.meshgrid(beam.pixels.numpy(), beam.pixels.numpy(), indexing="ij")
    picture = np.zeros(rows.shape)
    for row, column, width in zip(*rng.uniform(-0.5, 0.5, (2, 6)), rng.uniform(0.05, 0.15, 6), strict=True):
        picture += np.exp(-((rows - row) ** 2 + (columns - column) ** 2) / (2 * width**2))
    return picture * inside_disc(beam.size, beam.pixels, beam.pixels).numpy()


@pytest.mark.parametrize("size", [64, 65])
def test_sinogram_is_that_of_skimage(size):
    beam = ParallelBeam(size, 12)
    picture = smooth_picture(beam)
    ours = beam.integrals(between_pixels(torch.from_numpy(picture)), *all_rays(beam), 4 * size)
    theirs = radon(picture, theta=np.arange(12) * 15.0, circle=True).T * beam.spacing
    np.testing.assert_allclose(ours.reshape(12, size).numpy(), theirs, rtol=0, atol=0.005 * theirs.max())


@pytest.mark.parametrize("size", [64, 65])
def test_sinogram_of_an_ellipse_is_the_analytic_one(size):
    """Chord of an ellipse (Kak and Slaney 1988, 3.1), with half-axes a and b and tilt phi from the column axis."""
    beam = ParallelBeam(size, 12)
    value, row, column, a, b, phi = 0.7, 0.15, -0.2, 0.5, 0.25, 0.6

    def ellipse(coords):
        y, x = (coords.double() - torch.tensor([row, column])).unbind(-1)
        u, v = x * math.cos(phi) + y * math.sin(phi), y * math.cos(phi) - x * math.sin(phi)
        return value * ((u / a) ** 2 + (v / b) ** 2 < 1)

    angle, offset = (part.double().numpy() for part in all_rays(beam))
    # Rays run along (row, column) = (cos, sin): their normal is (column, row) = (cos, -sin).
    across = offset - ((column - beam.centre) * np.cos(angle) - (row - beam.centre) * np.sin(angle))
    squared = (a * np.cos(-angle - phi)) ** 2 + (b * np.sin(-angle - phi)) ** 2
    expected = 2 * value * a * b * np.sqrt(np.maximum(squared - across**2, 0)) / squared
    ours = beam.integrals(ellipse, *all_rays(beam), 3000)
    np.testing.assert_allclose(ours.numpy(), expected, rtol=0, atol=1e-3)


def test_a_constant_gives_the_chords_of_the_disc():
    beam = ParallelBeam(65, 3)
    angle, offset = all_rays(beam)
    chords = beam.integrals(lambda coords: torch.ones(len(coords)), angle, offset, 2)
    torch.testing.assert_close(chords, 2 * (1 - offset.square()).clamp_min(0).sqrt())


@pytest.mark.parametrize("size", [16, 17])
def test_no_point_leaves_the_square(size):
    beam = ParallelBeam(size, 50)
    seen = []
    beam.integrals(lambda coords: seen.append(coords) or coords[:, 0], *all_rays(beam), 64)
    assert seen[0].abs().max().item() <= 1 + 1e-6


def test_backprojection_is_the_adjoint():
    """<A x, y> = <x, A' y>, with A' y the gradient that training uses."""
    size = 32
    beam = ParallelBeam(size, 9)
    generator = torch.Generator().manual_seed(0)
    x, other = torch.rand(2, size, size, generator=generator, dtype=torch.float64)
    y = torch.rand(9 * size, generator=generator, dtype=torch.float64)

    def forward(pixels):
        return beam.integrals(between_pixels(pixels), *all_rays(beam), 2 * size)

    at = other.clone().requires_grad_()
    (backprojected,) = torch.autograd.grad(forward(at) @ y, at)
    assert (forward(x) @ y).item() == pytest.approx((x * backprojected).sum().item(), rel=1e-12)


def test_backprojection_is_that_of_skimage():
    size = 64
    beam = ParallelBeam(size, 60)
    sinogram = radon(smooth_picture(beam), theta=np.arange(60) * 3.0, circle=True)
    pixels = torch.zeros(size, size, dtype=torch.float64, requires_grad=True)
    integrals = beam.integrals(between_pixels(pixels), *all_rays(beam), 4 * size)
    (ours,) = torch.autograd.grad(integrals @ torch.from_numpy(sinogram.T.copy()).reshape(-1), pixels)
    # iradon averages over views, times pi/2; rays and pixels are one spacing apart.
    theirs = iradon(sinogram, theta=np.arange(60) * 3.0, filter_name=None, circle=True) * 120 / math.pi
    inner = inside_disc(beam.size, beam.pixels * 1.1, beam.pixels * 1.1).numpy()
    np.testing.assert_allclose((ours / beam.spacing).numpy()[inner], theirs[inner], rtol=0.02)


def test_turning_the_slice_shifts_the_views():
    beam = ParallelBeam(33, 4)
    picture = torch.from_numpy(smooth_picture(beam))
    straight, turned = (
        beam.integrals(between_pixels(image), *all_rays(beam), 100).reshape(4, 33)
        for image in (picture, picture.rot90())
    )
    # A quarter turn is two of four views; the views from behind are mirrored.
    torch.testing.assert_close(turned[2:], straight[:2], rtol=0, atol=1e-6)
    torch.testing.assert_close(turned[:2].flip(1), straight[2:], rtol=0, atol=1e-6)
