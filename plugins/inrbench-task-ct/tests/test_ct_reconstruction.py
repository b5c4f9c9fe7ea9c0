import itertools
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
from inrbench_task_ct.beam import ParallelBeam, inside_disc
from inrbench_task_ct.reconstruction import (
    METHODS,
    Method,
    blocks_of_bins,
    filtered_back_projection,
    forward_differences,
    least_squares,
    total_variation,
    whole_views,
)
from inrbench_task_ct.scan import make_scan
from scipy.optimize import minimize
from scipy.sparse.linalg import lsqr
from skimage.transform import iradon

VALUE, RADIUS = 0.7, 0.5


def disc_scan(size=32, views=12, noise=0.0):
    """The analytic sinogram of a disc around the axis of rotation: chords of a circle."""
    beam = ParallelBeam(size, views)
    chords = 2 * VALUE * (RADIUS**2 - beam.offsets.double().square()).clamp_min(0).sqrt().numpy()
    sinogram = np.tile(chords, (views, 1)) + noise * np.random.default_rng(0).standard_normal((views, size))
    return make_scan(beam, sinogram, inside_disc(size, beam.pixels, beam.pixels).numpy(), size)


def nth(method, scan, step):
    return next(itertools.islice(method(scan), step, None))


@pytest.mark.parametrize(("name", "ripple"), [("fbp", 0.02), ("sart", 0.04), ("least_squares", 0.06),
                                              ("total_variation", 0.01)])  # fmt: skip
def test_a_disc_is_reconstructed_from_its_chords(name, ripple):
    """Its value inside and 0 outside, up to ripples (their root mean square), two pixels away from its rim."""
    size, margin = 48, 0.08
    answer = METHODS[name].reconstruct(disc_scan(size, 24))
    away = np.hypot(*np.mgrid[:size, :size] - size // 2) * 2 / (size - 1)
    for value, where in ((VALUE, away < RADIUS - margin), (0.0, (away > RADIUS + margin) & (away < 0.9))):
        assert answer[where].mean() == pytest.approx(value, abs=0.01)
        assert np.sqrt(np.square(answer[where] - value).mean()) < ripple


@pytest.mark.parametrize("steps", [1, 5, 12])
def test_steps_of_least_squares_are_those_of_lsqr(steps):
    scan = disc_scan(noise=0.05)
    expected = lsqr(scan.matrix, scan.bins, atol=0, btol=0, conlim=0, iter_lim=steps)[0]
    np.testing.assert_allclose(nth(least_squares, scan, steps - 1), expected, atol=1e-5)


def test_total_variation_has_the_least_objective():
    """Against L-BFGS-B on the objective with its corners rounded off."""
    scan = disc_scan(size=16, views=5, noise=0.1)
    norm = np.linalg.norm(scan.matrix.toarray(), 2)
    weight, differences = 0.01, forward_differences(scan.disc)

    def objective(pixels, rounding):
        residual = scan.matrix @ pixels - scan.bins
        slope = (differences @ pixels).reshape(2, -1)
        length = np.sqrt(np.square(slope).sum(0) + rounding**2)
        value = residual @ residual / 2 + weight * norm**2 * (length - rounding).sum()
        gradient = scan.matrix.T @ residual + weight * norm**2 * (differences.T @ (slope / length).ravel())
        return value, gradient

    ours = nth(lambda part: total_variation(part, (weight,), 3000), scan, 0).astype(np.float64)
    bounds = [(0, None)] * len(ours)
    options = {"maxiter": 20_000, "maxfun": 20_000, "ftol": 1e-15, "gtol": 1e-9}
    found = minimize(objective, np.zeros_like(ours), (1e-4,), "L-BFGS-B", jac=True, bounds=bounds, options=options)
    assert ours.min() >= 0
    assert objective(ours, 1e-12)[0] <= objective(found.x, 1e-12)[0] * (1 + 1e-4)
    np.testing.assert_allclose(ours, found.x, atol=0.01)


def test_back_projection_begins_with_the_ramp_filter_of_skimage():
    scan = disc_scan()
    expected = iradon((scan.bins.reshape(12, 32) / scan.spacing).T, theta=np.arange(12) * 15.0, filter_name="ramp")
    np.testing.assert_allclose(nth(filtered_back_projection, scan, 0), expected[scan.disc], atol=1e-6)


@pytest.mark.parametrize("held_out", [whole_views, blocks_of_bins])
def test_cross_validation_finds_the_answer_that_made_the_bins(held_out):
    scan = disc_scan()
    truth = np.random.default_rng(0).uniform(size=int(scan.disc.sum()))
    made = replace(scan, bins=scan.matrix @ truth)
    answers = [truth * share for share in (0.0, 0.5, 0.9, 1.0, 1.1)]
    assert Method(lambda part: iter(answers), held_out).best_step(made) == 3


@pytest.mark.parametrize(("held_out", "parts"), [(whole_views, 4), (blocks_of_bins, 5)])
def test_every_bin_is_held_out_once_and_not_seen_then(held_out, parts):
    scan = disc_scan()
    marked = replace(scan, bins=np.arange(len(scan.bins)))
    seen = []
    Method(lambda part: iter([seen.append(part.bins) or np.zeros(scan.matrix.shape[1])]), held_out).best_step(marked)
    assert len(seen) == parts
    hidden = np.concatenate([np.setdiff1d(marked.bins, bins) for bins in seen])
    np.testing.assert_array_equal(np.sort(hidden), marked.bins)


def two_iterations(scan):
    return total_variation(scan, (1e-3,), 2)


@pytest.mark.parametrize(
    ("answers", "held_out", "most"), [(least_squares, whole_views, 1.3), (two_iterations, blocks_of_bins, 0.6)]
)
def test_cross_validation_copies_no_matrix(answers, held_out, most):
    """Beside it: least squares converts it to float64 for the time of a product."""
    scan = disc_scan(size=64, views=160)
    matrix = scan.matrix.data.nbytes + scan.matrix.indices.nbytes
    method = Method(lambda part: itertools.islice(answers(part), 1), held_out)
    tracemalloc.start()
    method.best_step(scan)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < most * matrix


def test_noise_is_answered_by_fewer_steps():
    method = METHODS["least_squares"]
    assert method.best_step(disc_scan(noise=0.1)) < method.best_step(disc_scan(noise=0.001))


def test_a_single_view_and_empty_bins_have_an_answer():
    beam = ParallelBeam(16, 1)
    scan = make_scan(beam, np.zeros((1, 16)), inside_disc(16, beam.pixels, beam.pixels).numpy(), 16)
    for method in METHODS.values():
        np.testing.assert_array_equal(method.reconstruct(scan), np.zeros((16, 16)))
