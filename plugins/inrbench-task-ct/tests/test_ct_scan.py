import numpy as np
import pytest
import torch
from inrbench_task_ct.beam import ParallelBeam, inside_disc
from inrbench_task_ct.reconstruction import forward_differences
from inrbench_task_ct.scan import make_scan
from torch.nn import functional

from inrbench_core import DataError


def scan_of(size, views, samples):
    beam = ParallelBeam(size, views)
    disc = inside_disc(size, beam.pixels, beam.pixels).numpy()
    return beam, make_scan(beam, np.zeros((views, size), np.float32), disc, samples)


def integrals(beam, picture, samples):
    """Of a picture, (N, N), through the operator that fields are trained with: (V N,)."""

    def between(coords):
        grid = coords.flip(-1)[None, None].to(picture.dtype)
        return functional.grid_sample(picture[None, None], grid, align_corners=True)

    return beam.integrals(between, *beam.rays(torch.arange(beam.views * beam.size)), samples)


@pytest.mark.parametrize("size", [24, 25])
def test_the_matrix_is_the_operator_of_training(size):
    beam, scan = scan_of(size, 7, 20)
    pixels = np.random.default_rng(0).uniform(size=int(scan.disc.sum()))
    expected = integrals(beam, torch.from_numpy(scan.picture(pixels)), 20)
    np.testing.assert_allclose(scan.matrix @ pixels, expected, atol=1e-5)


def test_the_transpose_is_the_gradient_of_training():
    beam, scan = scan_of(20, 5, 40)
    bins = np.random.default_rng(0).standard_normal(100)
    picture = torch.zeros(20, 20, dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(integrals(beam, picture, 40) @ torch.from_numpy(bins), picture)
    np.testing.assert_allclose(scan.matrix.T @ bins, gradient.numpy()[scan.disc], atol=1e-5)


def test_a_part_holds_the_views_asked_for():
    beam, whole = scan_of(16, 4, 16)
    scan = make_scan(beam, np.arange(64.0).reshape(4, 16), whole.disc, 16)
    part = scan.part(scan.view % 2 == 1)
    bins, degrees = part.sinogram()
    np.testing.assert_allclose(degrees, [45.0, 135.0], atol=1e-4)
    np.testing.assert_allclose(bins.T * scan.spacing, np.arange(64.0).reshape(4, 16)[[1, 3]])
    pixels = np.random.default_rng(0).uniform(size=int(scan.disc.sum()))
    integrals = (scan.matrix @ pixels).reshape(4, 16)[[1, 3]]
    assert part.error(pixels) == pytest.approx(np.square(integrals - np.arange(64.0).reshape(4, 16)[[1, 3]]).sum())


def test_a_part_projects_and_back_projects_by_its_rows_of_the_matrix():
    _, whole = scan_of(16, 4, 16)
    chosen = np.random.default_rng(0).uniform(size=len(whole.bins)) < 0.5
    part, rows = whole.part(chosen), whole.matrix.toarray()[chosen].astype(np.float64)
    pixels, bins = (np.random.default_rng(1).standard_normal(count) for count in rows.T.shape)
    np.testing.assert_allclose(part.project(pixels), rows @ pixels, atol=1e-5)
    np.testing.assert_allclose(part.back_project(bins), rows.T @ bins, atol=1e-5)


def test_the_matrix_does_not_depend_on_how_many_rays_are_made_at_a_time(monkeypatch):
    _, whole = scan_of(16, 3, 20)
    monkeypatch.setattr("inrbench_task_ct.scan.POINTS_AT_A_TIME", 5 * 20)
    _, in_parts = scan_of(16, 3, 20)
    np.testing.assert_array_equal(whole.matrix.toarray(), in_parts.matrix.toarray())


def test_differences_are_those_of_numpy():
    _, scan = scan_of(16, 1, 16)
    picture = scan.disc * np.random.default_rng(0).uniform(size=scan.disc.shape)
    down, right = (forward_differences(scan.disc) @ picture[scan.disc]).reshape(2, 16, 16)
    np.testing.assert_allclose(down, np.diff(picture, axis=0, append=picture[-1:]), atol=1e-15)
    np.testing.assert_allclose(right, np.diff(picture, axis=1, append=picture[:, -1:]), atol=1e-15)


def test_a_matrix_that_would_be_too_large_is_not_made():
    beam = ParallelBeam(4096, 10_000)
    with pytest.raises(DataError, match=r"at most 150,000,000 points .* choose a smaller size"):
        make_scan(beam, np.zeros(0), np.zeros(0, bool), 4096)
