import numpy as np
import pytest
import torch
from inrbench_task_mri.kspace import Lines, Spokes, draw_lines, spoke_angles
from inrbench_task_mri.solvers import (
    NormalEquations,
    divergence,
    gradient,
    least_squares,
    least_total_variation,
    minimise_variation,
    predicted_risk,
)
from scipy.optimize import minimize
from skimage.data import shepp_logan_phantom
from skimage.restoration import denoise_tv_chambolle
from skimage.transform import resize


def operators(size, share=2.0):
    lines = draw_lines(size, share, 0.3, np.random.default_rng(1))
    spokes = spoke_angles("radial", round(size / share))
    return Lines(size, lines, dtype=torch.float64), Spokes(size, spokes, dtype=torch.float64)


def matrix_of(operator):
    """The operator as a matrix, (2 M, N^2), from pictures of one pixel each."""
    pixels = torch.eye(operator.size**2, dtype=torch.float64)
    columns = [operator.forward(pixel.reshape(operator.parts, operator.rows, -1)).flatten() for pixel in pixels]
    return torch.stack(columns, dim=1).numpy()


def equations_of(operator, samples, noise=0.0, probe_seed=5):
    probe = torch.from_numpy(np.random.default_rng(probe_seed).standard_normal(samples.shape))
    back, probe = (operator.adjoint(part).reshape(operator.size, -1).numpy() for part in (samples, probe))
    return NormalEquations(operator.spectrum(), back, float((samples**2).sum()), samples.numel(), noise, probe)


def measured(operator, picture, noise, seed=2):
    samples = operator.forward(torch.from_numpy(picture).reshape(operator.parts, operator.rows, -1))
    return samples + noise * torch.from_numpy(np.random.default_rng(seed).standard_normal(samples.shape))


def phantom(size):
    picture = resize(shepp_logan_phantom(), (size, size), anti_aliasing=True)
    return picture / picture.max()


def objective(operator, samples, weight, picture):
    error = operator.forward(torch.from_numpy(picture).reshape(operator.parts, operator.rows, -1)) - samples
    return 0.5 * float((error**2).sum()) + weight * np.sqrt((gradient(picture) ** 2).sum(axis=0)).sum()


@pytest.mark.parametrize("which", [0, 1])
def test_normal_equations_are_those_of_the_matrix(which):
    operator = operators(7)[which]
    matrix = matrix_of(operator)
    picture = np.random.default_rng(0).uniform(size=(7, 7))
    samples = measured(operator, picture, 0.3)
    equations = equations_of(operator, samples)
    np.testing.assert_allclose(equations.product(picture).ravel(), matrix.T @ matrix @ picture.ravel(), atol=1e-12)
    error = matrix @ picture.ravel() - samples.numpy().ravel()
    assert equations.squared_error(picture) == pytest.approx(error @ error, rel=1e-10)


@pytest.mark.parametrize("which", [0, 1])
def test_the_nearest_circulant_has_the_diagonal_in_the_fourier_basis(which):
    operator = operators(6)[which]
    matrix = matrix_of(operator)
    basis = np.kron(*[np.fft.fft(np.eye(6), norm="ortho")] * 2)
    expected = np.diag(basis @ matrix.T @ matrix @ basis.conj().T).real.reshape(6, 6)
    samples = measured(operator, np.zeros((6, 6)), 1.0)
    np.testing.assert_allclose(equations_of(operator, samples).circulant(), expected, atol=1e-12)


@pytest.mark.parametrize("which", [0, 1])
def test_least_squares_is_the_pseudoinverse(which):
    operator = operators(8)[which]
    samples = measured(operator, np.random.default_rng(0).uniform(size=(8, 8)), 0.0)
    # The smallest singular values of spokes take more than 200 iterations; they are rounding in the answer.
    expected = np.linalg.pinv(matrix_of(operator), rcond=1e-3) @ samples.numpy().ravel()
    answer = least_squares(equations_of(operator, samples))
    np.testing.assert_allclose(answer, expected.reshape(8, 8), atol=1e-4)


def test_least_squares_ends_at_the_noise_level():
    operator = operators(32)[1]
    equations = equations_of(operator, measured(operator, phantom(32), 0.05), noise=0.05)
    allowed = equations.count * 0.05**2
    answer = least_squares(equations)
    assert 0.5 * allowed < equations.squared_error(answer) <= allowed


@pytest.mark.parametrize("shape", [(5, 5), (4, 6)])
def test_divergence_is_the_negative_transpose_of_the_gradient(shape):
    rng = np.random.default_rng(0)
    picture, vectors = rng.normal(size=shape), rng.normal(size=(2, *shape))
    assert (gradient(picture) * vectors).sum() == pytest.approx(-(picture * divergence(vectors)).sum())
    np.testing.assert_array_equal(gradient(picture)[0, :-1], picture[1:] - picture[:-1])
    assert not gradient(picture)[1, :, -1].any()


def test_with_all_lines_it_is_the_denoising_of_scikit_image():
    operator = Lines(24, np.arange(24) - 12, dtype=torch.float64)
    noisy = phantom(24) + 0.1 * np.random.default_rng(0).standard_normal((24, 24))
    equations = equations_of(operator, measured(operator, noisy, 0.0))
    ours = minimise_variation(equations, 0.1, noisy, 1e-6)
    theirs = denoise_tv_chambolle(noisy, weight=0.1, eps=1e-9, max_num_iter=5000)
    np.testing.assert_allclose(ours, theirs, atol=2e-3)


@pytest.mark.parametrize("which", [0, 1])
def test_total_variation_is_least_by_another_solver(which):
    """L-BFGS on the same objective, with lengths smoothed by 1e-5."""
    operator, weight = operators(8)[which], 0.02
    samples = measured(operator, phantom(8), 0.05)
    matrix, flat = matrix_of(operator), samples.numpy().ravel()

    def smoothed(x):
        steps, error = gradient(x.reshape(8, 8)), matrix @ x - flat
        length = np.sqrt((steps**2).sum(axis=0) + 1e-10)
        slope = matrix.T @ error - weight * divergence(steps / length).ravel()
        return 0.5 * error @ error + weight * length.sum(), slope

    found = minimize(
        smoothed,
        np.zeros(64),
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": 20_000, "maxfun": 50_000, "ftol": 1e-15, "gtol": 1e-9},
    )
    ours = minimise_variation(equations_of(operator, samples), weight, np.zeros((8, 8)), 1e-7)
    best = objective(operator, samples, weight, found.x.reshape(8, 8))
    assert objective(operator, samples, weight, ours) <= best * (1 + 1e-5)
    np.testing.assert_allclose(ours, found.x.reshape(8, 8), atol=2e-2)


def mean_risks(operator, picture, noise, weight):
    """The predicted and the true one over noises and probes drawn anew."""
    clean = equations_of(operator, measured(operator, picture, 0.0))
    predicted, true = [], []
    for seed in range(12):
        equations = equations_of(operator, measured(operator, picture, noise, seed), noise, 100 + seed)
        answer, probed = (
            minimise_variation(part, weight, part.target, 1e-4) for part in (equations, equations.probed())
        )
        # Without what is the same for every weight: how far this noise's power is from the expected one.
        excess = equations.squared_error(picture) - equations.count * noise**2
        predicted.append(predicted_risk(equations, answer, probed) - excess)
        true.append(clean.squared_error(answer))
    return np.mean(predicted), np.mean(true)


@pytest.mark.parametrize("which", [0, 1])
def test_the_predicted_risk_is_the_true_one_on_average(which):
    predicted, true = mean_risks(operators(20)[which], phantom(20), 0.05, 0.03)
    # Three standard errors.
    assert predicted == pytest.approx(true, rel=0.15)


@pytest.mark.parametrize("share", [1.0, 0.5, 0.25])
def test_so_it_is_where_noise_is_strong(share):
    """An answer changes by far less with another full level of noise than its derivative says."""
    operator, noise = Lines(32, np.arange(32) - 16, dtype=torch.float64), 0.1
    predicted, true = mean_risks(operator, phantom(32), noise, share * noise)
    # Three standard errors.
    assert predicted == pytest.approx(true, rel=0.15)


def test_without_noise_each_weight_is_solved_once(monkeypatch):
    solved = []

    def counting(equations, weight, start, tolerance):
        solved.append(weight)
        return minimise_variation(equations, weight, start, tolerance)

    monkeypatch.setattr("inrbench_task_mri.solvers.minimise_variation", counting)
    operator = operators(16)[0]
    least_total_variation(equations_of(operator, measured(operator, phantom(16), 0.0)))
    assert len(solved) == len(set(solved)) > 1


@pytest.mark.parametrize("which", [0, 1])
def test_the_chosen_weight_is_nearly_the_best_one(which):
    picture, operator, noise = phantom(24), operators(24)[which], 0.03
    equations = equations_of(operator, measured(operator, picture, noise), noise)
    chosen = ((least_total_variation(equations) - picture) ** 2).mean()
    best = min(
        ((minimise_variation(equations, weight, picture, 1e-4) - picture) ** 2).mean()
        for weight in 0.03 * 0.6 ** np.arange(9)
    )
    # 0.5 dB.
    assert chosen < 1.12 * best


def test_without_noise_and_with_few_edges_little_is_enough():
    """Compressed sensing: a square is found again from a third of the lines, exactly but for the smallest weight."""
    picture = np.zeros((32, 32))
    picture[9:20, 6:23] = 1.0
    lines = draw_lines(32, 3.0, 0.3, np.random.default_rng(0))
    operator = Lines(32, lines, dtype=torch.float64)
    equations = equations_of(operator, measured(operator, picture, 0.0))
    np.testing.assert_allclose(least_total_variation(equations), picture, atol=0.01)
    assert np.abs(least_squares(equations) - picture).max() > 0.2
