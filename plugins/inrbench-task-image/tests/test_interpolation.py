"""Filling in missing pixels, against definitions and pictures whose filling is known."""

import numpy as np
import pytest
from inrbench_task_image import interpolation
from inrbench_task_image.interpolation import fill_biharmonic, fill_linear, fill_thin_plate
from inrbench_task_image.pictures import load_picture
from inrbench_task_image.spec import PictureSpec
from scipy.interpolate import RBFInterpolator
from scipy.spatial import KDTree


def test_linear_filling_is_exact_on_a_plane_inside():
    row, column = np.mgrid[:9, :9]
    plane = (0.1 * row - 0.03 * column)[..., None]
    known = np.ones((9, 9), bool)
    known[[2, 3, 5], [4, 4, 6]] = False
    np.testing.assert_allclose(fill_linear(np.where(known[..., None], plane, 99.0), known), plane, atol=1e-6)


def test_linear_filling_with_whole_lines_missing():
    picture = np.tile(np.arange(5.0), (4, 1))[..., None]
    known = np.ones((4, 5), bool)
    known[1] = False
    np.testing.assert_allclose(fill_linear(picture, known), picture, atol=1e-6)
    known[:] = False
    known[0, 0] = True
    np.testing.assert_array_equal(fill_linear(picture + 3, known), np.full((4, 5, 1), 3.0))


@pytest.mark.parametrize("fill", [fill_biharmonic, fill_thin_plate])
def test_smooth_fillings_are_exact_on_a_plane(fill):
    row, column = np.mgrid[:16, :16]
    plane = (0.2 + 0.02 * row + 0.01 * column).astype(np.float32)[..., None]
    known = np.ones((16, 16), bool)
    known[5:9, 6:11] = False
    np.testing.assert_allclose(fill(np.where(known[..., None], plane, 99.0), known), plane, atol=1e-5)


def test_thin_plate_agrees_with_its_definition():
    # Duchon's spline through 30 known pixels, which are all among the nearest ones.
    rng = np.random.default_rng(0)
    picture, known = rng.random((6, 6, 3)), np.ones((6, 6), bool)
    known[[0, 1, 2, 3, 3, 5], [5, 2, 3, 1, 3, 4]] = False
    places, missing = np.argwhere(known), np.argwhere(~known)

    def kernel(a, b):
        distance = np.linalg.norm(a[:, None] - b[None], axis=2)
        return np.where(distance > 0, distance**2 * np.log(np.where(distance > 0, distance, 1)), 0)

    plane = np.column_stack([np.ones(30), places])
    system = np.block([[kernel(places, places), plane], [plane.T, np.zeros((3, 3))]])
    weights = np.linalg.solve(system, np.concatenate([picture[known], np.zeros((3, 3))]))
    expected = kernel(missing, places) @ weights[:30] + np.column_stack([np.ones(6), missing]) @ weights[30:]
    np.testing.assert_allclose(fill_thin_plate(picture, known)[~known], expected, atol=1e-5)


def test_thin_plate_filling_in_parts_is_the_same(monkeypatch):
    rng = np.random.default_rng(0)
    picture, known = rng.random((20, 20, 1)), rng.random((20, 20)) < 0.5
    whole = fill_thin_plate(picture, known)
    monkeypatch.setattr(interpolation, "SPLINES", 30)
    np.testing.assert_array_equal(fill_thin_plate(picture, known), whole)


def test_where_known_pixels_lie_on_a_line_thin_plate_is_linear():
    known = np.zeros((9, 9), bool)
    known[4] = True
    picture = np.random.default_rng(0).random((9, 9, 1))
    np.testing.assert_array_equal(fill_thin_plate(picture, known), fill_linear(picture, known))


@pytest.mark.parametrize("splines", [1, 10, 1000])
@pytest.mark.parametrize("diagonal", [False, True])
def test_a_deep_hole_is_linear_only_where_the_nearest_known_pixels_lie_on_a_line(splines, diagonal, monkeypatch):
    monkeypatch.setattr(interpolation, "NEIGHBOURS", 4)
    monkeypatch.setattr(interpolation, "SPLINES", splines)
    picture, known = np.random.default_rng(0).random((24, 24, 1)), np.ones((24, 24), bool)
    known[4:20, 4:20] = False
    if diagonal:
        # Known pixels of every second diagonal, so that the edges of the hole are diagonals too.
        row, column = np.mgrid[:24, :24]
        known = (np.abs(row - 12) + np.abs(column - 12) > 8) & ((row + column) % 2 == 0)
    places, values = np.argwhere(known), picture[known]
    filled, linear = fill_thin_plate(picture, known), fill_linear(picture, known)
    on_a_line = 0
    for row, column in np.argwhere(~known):
        nearest = KDTree(places).query([row, column], 4)[1]
        plane = np.column_stack([np.ones(4), places[nearest]])
        if np.linalg.matrix_rank(plane) < 3:
            expected = linear[row, column]
            on_a_line += 1
        else:
            spline = RBFInterpolator(places[nearest], values[nearest], kernel="thin_plate_spline")
            expected = spline([[row, column]])[0]
        assert filled[row, column] == pytest.approx(expected, abs=1e-5)
    assert 10 < on_a_line < (~known).sum() - 10


def test_tiles_of_a_large_picture_are_filled_as_the_whole_is(monkeypatch):
    picture = load_picture(PictureSpec(source="camera", size=96)).pixels
    known = np.random.default_rng(0).random((96, 96)) < 0.5
    expected = fill_biharmonic(picture, known)
    monkeypatch.setattr(interpolation, "TILE", 40)
    monkeypatch.setattr(interpolation, "OVERLAP", 16)
    np.testing.assert_allclose(fill_biharmonic(picture, known), expected, atol=0.01)
    known[10:80, 8:80] = False
    monkeypatch.setattr(interpolation, "TILE", 8)
    monkeypatch.setattr(interpolation, "OVERLAP", 4)
    filled = fill_biharmonic(picture, known)
    assert np.isfinite(filled).all()
    np.testing.assert_array_equal(filled[known], picture[known])
