import math

import numpy as np
import pytest
import scipy.linalg
import scipy.spatial
import scipy.stats
from inrbench_analysis_ntk import measures
from inrbench_analysis_ntk.measures import linearised_fit, linearised_held_out, spearman, spearman_interval

nan, inf = math.nan, math.inf


def kernel_of(eigenvalues, seed=0):
    """A matrix with these eigenvalues and random eigenvectors."""
    n = len(eigenvalues)
    vectors = np.linalg.qr(np.random.default_rng(seed).standard_normal((n, n)))[0]
    return (vectors * np.asarray(eigenvalues, dtype=float)) @ vectors.T


def eigen(kernel):
    values, vectors = np.linalg.eigh(kernel)
    return values[::-1], vectors[:, ::-1]


# Figures of the spectrum


def test_the_ranks_of_spectra_known_by_hand():
    flat = np.r_[np.full(7, 3.0), np.zeros(5)]
    for measure in (measures.participation_ratio, measures.entropy_rank, measures.leading_count):
        assert measure(flat) == pytest.approx(7)
        assert measure([2.0, 0, 0]) == pytest.approx(1)
        assert math.isnan(measure([0.0, 0.0]))
    assert measures.participation_ratio([3, 1]) == pytest.approx(16 / 10)
    assert measures.entropy_rank([3, 1]) == pytest.approx(4 / 3**0.75)
    assert measures.leading_count([10, 1.1, 1, 0.9]) == 2


def test_traces_of_the_matrix_give_the_participation_ratio_and_the_variance():
    kernel = kernel_of(1 / np.arange(1, 41) ** 1.5)
    values, _ = eigen(kernel)
    n, trace, square = 40, np.trace(kernel), np.trace(kernel @ kernel)
    assert measures.participation_ratio(values) == pytest.approx(trace**2 / square)
    assert measures.eigenvalue_mean(values) == pytest.approx(trace / n)
    assert measures.eigenvalue_variance(values) == pytest.approx(n * square / trace**2 - 1)


def test_the_entropy_rank_is_the_exponential_of_scipys_entropy():
    values = np.random.default_rng(0).exponential(size=30)
    assert measures.entropy_rank(values) == pytest.approx(np.exp(scipy.stats.entropy(values)))


def test_values_below_zero_are_rounding():
    assert measures.participation_ratio([1.0, 1.0, -1e-9]) == 2
    assert measures.entropy_rank([1.0, 1.0, -1e-9]) == pytest.approx(2)


@pytest.mark.parametrize("exponent", [0.5, 2.0, 3.0])
def test_the_exponent_of_a_power_law(exponent):
    values = np.arange(1.0, 2001) ** -exponent
    values[0] *= 50  # its size does not matter
    assert measures.decay_exponent(values) == pytest.approx(exponent)


def test_the_exponent_leaves_out_what_is_rounding_in_float32():
    values = np.arange(1.0, 501) ** -3
    noisy = np.maximum(values, 1e-7)
    assert measures.decay_exponent(noisy) == pytest.approx(3)
    assert measures.decay_exponent(noisy, floor=1e-8) < 2.5


def test_the_exponent_of_too_few_eigenvalues_is_unknown():
    assert math.isnan(measures.decay_exponent([1, 0.5, 0.3]))
    assert not math.isnan(measures.decay_exponent([1, 0.5, 0.3, 0.2]))
    assert math.isnan(measures.decay_exponent([0.0, 0.0, 0.0, 0.0]))


# The target


def test_the_energy_of_a_target_in_a_circulant_kernels_modes():
    n = 32
    wave = 2 * np.pi * np.arange(n) / n
    values, vectors = eigen(scipy.linalg.circulant(sum(np.cos(k * wave) / (1 + k) for k in range(6))))
    # Modes in order: the constant, then pairs of frequency 1, 2, ...
    target = np.stack([1 + 2 * np.cos(wave), 3 * np.sin(2 * wave + 0.3)], axis=1)  # energies n (1, 2 | 4.5)
    energy = measures.target_energy(vectors, target)
    assert energy[[0, 2, 4, -1]] == pytest.approx(np.array([1, 3, 7.5, 7.5]) / 7.5)
    assert measures.target_energy(vectors[:, :3], target) == pytest.approx(energy[:3])
    assert measures.target_energy(vectors, target[:, 0])[0] == pytest.approx(1 / 3)
    assert np.isnan(measures.target_energy(vectors, np.zeros(n))).all()
    # eigenvalues n (1, 1/4, 1/6, ...): only the constant and the first pair are above a fifth of the largest
    assert measures.silent_share(values, vectors, target, floor=0.2) == pytest.approx(4.5 / 7.5)
    assert measures.silent_share(values, vectors, target) == pytest.approx(0, abs=1e-12)


def test_the_silent_share_of_a_kernel_without_full_rank():
    values, vectors = eigen(kernel_of([4, 2, 1, 1e-4, 0, 0, 0, 0]))
    target = vectors @ np.array([1, 0, 1, 1, 0, 2, 0, 0.0])
    assert measures.silent_share(values, vectors, target) == pytest.approx(5 / 7)
    assert measures.silent_share(values, vectors, target, floor=1e-5) == pytest.approx(4 / 7)
    assert measures.silent_share(values[:4], vectors[:, :4], target) == pytest.approx(5 / 7)
    assert measures.silent_share(values[:2], vectors[:, :2], target) == pytest.approx(6 / 7)  # an upper bound
    assert math.isnan(measures.silent_share(np.zeros(8), vectors, target))


def test_alignment_is_the_cosine_of_kernel_and_target():
    kernel = kernel_of(1 / np.arange(1, 21))
    targets = np.random.default_rng(1).standard_normal((20, 3))
    cosines = [1 - scipy.spatial.distance.cosine(kernel.ravel(), np.outer(y, y).ravel()) for y in targets.T]
    norm = np.linalg.norm(kernel)
    assert measures.alignment(targets, kernel @ targets, norm) == pytest.approx(np.mean(cosines))
    assert measures.alignment(targets[:, 0], kernel @ targets[:, 0], norm) == pytest.approx(cosines[0])
    targets[:, 1] = 0
    assert measures.alignment(targets, kernel @ targets, norm) == pytest.approx((cosines[0] + cosines[2]) / 2)
    rank_one = np.outer(targets[:, 0], targets[:, 0])
    assert measures.alignment(targets[:, 0], rank_one @ targets[:, 0], np.linalg.norm(rank_one)) == pytest.approx(1)
    assert math.isnan(measures.alignment(np.zeros(20), np.zeros(20), norm))


# Drift


def test_drift_is_one_minus_the_cosine():
    first, second = kernel_of(np.ones(700)), kernel_of(1 / np.arange(1, 701))
    cosine = np.sum(first * second) / np.linalg.norm(first) / np.linalg.norm(second)
    assert measures.drift(first, second) == pytest.approx(1 - cosine)
    assert measures.drift(first, 7 * first) == pytest.approx(0, abs=1e-15)
    assert measures.drift(np.diag([1.0, 0]), np.diag([0, 1.0])) == pytest.approx(1)
    assert math.isnan(measures.drift(first, np.zeros_like(first)))
    with pytest.raises(ValueError, match="different shapes"):
        measures.drift(first, second[:3])


def test_a_small_drift_of_float32_kernels_does_not_cancel():
    first = np.diag(np.ones(100, dtype=np.float32))
    second = first.copy()
    second[0, 1] = 1e-4  # the cosine is 1 / sqrt(1 + 1e-10)
    assert measures.drift(first, second) == pytest.approx(0.5e-10, rel=1e-3)


def test_drift_from_probes():
    first = kernel_of(1 / np.arange(1, 201))
    second = 0.6 * first + 0.4 * kernel_of(1 / np.arange(1, 201), seed=1)
    probes = np.random.default_rng(2).choice([-1.0, 1.0], (200, 200))
    assert measures.drift(first @ probes, second @ probes) == pytest.approx(measures.drift(first, second), rel=0.15)


# Linearised learning


def descent(features, held_out, residual, held_residual, rates):
    """Residuals' energies on both sets after each step of gradient descent on the weights of a linear model."""
    weights = np.zeros((features.shape[1], residual.shape[1]))
    energies = []
    for rate in [*rates, None]:
        left = residual - features @ weights
        energies.append([np.sum(left**2), np.sum((held_residual - held_out @ weights) ** 2)])
        if rate is not None:
            weights = weights + rate * features.T @ left / len(features)  # minus the gradient of |left|^2 / (2 n)
    return np.array(energies).T / np.array([[np.sum(residual**2)], [np.sum(held_residual**2)]])


@pytest.fixture(scope="module")
def linear():
    """A linear model with fewer features than points, so that some eigenvalues are 0, and its kernel's eigenpairs."""
    rng = np.random.default_rng(3)
    features = rng.standard_normal((30, 20)) * np.geomspace(1, 1e-4, 20)
    held_out = rng.standard_normal((12, 20)) * np.geomspace(1, 1e-4, 20)
    values, vectors = eigen(features @ features.T)
    return features, held_out, rng.standard_normal((30, 2)), rng.standard_normal((12, 2)), values, vectors


def schedule(kind, stable, count=60):
    falling = stable * np.cos(np.linspace(0, np.pi / 2, count))
    return {
        "constant": np.full(count, 0.7 * stable),
        "largest stable": np.full(count, stable),
        "overshooting": np.full(count, 1.6 * stable),
        "falling": falling,
        "overshooting at first": np.r_[1.7 * stable, 1.3 * stable, 0.0, falling[3:]],
        "diverging": np.full(count, 2.2 * stable),
    }[kind]


KINDS = ["constant", "largest stable", "overshooting", "falling", "overshooting at first", "diverging"]


@pytest.mark.parametrize("kind", KINDS)
def test_the_linearised_curves_are_those_of_gradient_descent_on_a_linear_model(linear, kind):
    features, held_out, residual, held_residual, values, vectors = linear
    rates = schedule(kind, measures.largest_stable_rate(values, 30))
    steps = [0, 1, 2, 2, 3, 17, 60]
    fit, held = descent(features, held_out, residual, held_residual, rates)
    coefficients, cross = vectors.T @ residual, held_out @ features.T @ vectors
    assert linearised_fit(values, coefficients, steps, rates, points=30) == pytest.approx(fit[steps], rel=1e-8)
    predicted = linearised_held_out(values, coefficients, cross, held_residual, steps, rates, points=30)
    assert predicted == pytest.approx(held[steps], rel=1e-8)
    if len(set(rates)) == 1:
        assert linearised_fit(values, coefficients, steps, rates[0], points=30) == pytest.approx(fit[steps], rel=1e-8)
    assert (fit[-1] > 100) == (kind == "diverging")


def test_leading_pairs_count_the_rest_as_not_learnt(linear):
    features, held_out, residual, held_residual, values, vectors = linear
    rate, steps = measures.largest_stable_rate(values, 30), [0, 5, 50]
    # Truth: the model whose features are projected on the leading five of their singular vectors.
    _, _, right = np.linalg.svd(features, full_matrices=False)
    projector = right[:5].T @ right[:5]
    fit, held = descent(features @ projector, held_out @ projector, residual, held_residual, np.full(50, rate))
    values, vectors = values[:5], vectors[:, :5]
    coefficients, cross = vectors.T @ residual, held_out @ features.T @ vectors
    energy = np.sum(residual**2)
    assert linearised_fit(values, coefficients, steps, rate, points=30, energy=energy) == pytest.approx(fit[steps])
    predicted = linearised_held_out(values, coefficients, cross, held_residual, steps, rate, points=30)
    assert predicted == pytest.approx(held[steps])
    with pytest.raises(ValueError, match="5 of 30 eigenvalues"):
        linearised_fit(values, coefficients, steps, rate, points=30)


def test_eigenvalues_near_zero_learn_at_the_rate_of_the_limit():
    # One component, one held-out point: r_h(t) = r_h - cross * t * rate / points * c in the limit.
    for value in (0.0, 1e-300, 1e-18, -1e-9):
        left = linearised_held_out([value], [1.0], [[0.25]], [1.0], [0, 3], 2.0, points=4)
        assert left == pytest.approx([1, (1 - 0.25 * 3 * 0.5) ** 2], rel=1e-12)
    # Small, but not so small that the second order vanishes: compared with exact integers.
    x = 2.0**-30
    exact = sum((-1) ** k * math.comb(1000, k + 1) * x**k for k in range(5))  # (1 - (1 - x)^1000) / x
    left = linearised_held_out([x], [1.0], [[1.0]], [0.5], [1000], 1.0, points=1)
    assert math.sqrt(left[0] / 4) == pytest.approx((exact - 0.5) / 1, rel=1e-12)


def test_thousands_of_steps_and_one_channel():
    values, coefficients = np.array([1.0, 1e-3, 1e-9]), np.array([1.0, 2.0, 3.0])
    left = linearised_fit(values, coefficients, [100_000], 3.0, points=3)
    assert left == pytest.approx([(4 * math.exp(2e5 * math.log1p(-1e-3)) + 9 * math.exp(-2e-4)) / 14], rel=1e-9)


def test_bad_steps_and_rates():
    for steps in ([3, 1], [-1, 2], [[1]]):
        with pytest.raises(ValueError, match="steps must be"):
            linearised_fit([1.0], [1.0], steps, 0.1, points=1)
    with pytest.raises(ValueError, match="2 rates do not reach step 3"):
        linearised_fit([1.0], [1.0], [3], [0.1, 0.1], points=1)
    assert np.isnan(linearised_fit([1.0], [0.0], [0, 3], 0.1, points=1)).all()
    assert np.isnan(linearised_held_out([1.0], [1.0], [[1.0]], [0.0], [0, 3], 0.1, points=1)).all()
    assert linearised_fit([1.0], [1.0], [], 0.1, points=1).shape == (0,)


def test_the_largest_stable_rate():
    assert measures.largest_stable_rate([4.0, 1.0], 100) == 25
    assert math.isnan(measures.largest_stable_rate([0.0], 100))


# Steps, predicted and measured


def test_the_predicted_steps_are_those_of_slow_gradient_descent():
    response = np.array([1.0, 0.01])
    steps = measures.steps_to_a_tenth(response, 0.01)
    assert (1 - 0.01 * response) ** steps == pytest.approx([0.1, 0.1], rel=0.02)
    assert measures.steps_to_a_tenth([0.0, -1e-12], 1.0).tolist() == [inf, inf]


def test_the_measured_steps():
    errors = np.array([
        # learnt, just, not quite, back up, diverged, nothing to learn, unknown
        [1.0, 4.0, 4.0, 1.0, 1.0, 0.0, nan],
        [0.5, 0.5, 0.5, 0.001, inf, 0.0, 0.0],
        [0.009, 0.04, 0.0401, 1.0, nan, 0.0, 0.0],
        [0.001, 0.01, 0.0401, 1.0, nan, 0.0, 0.0],
    ])  # fmt: skip
    steps = measures.measured_steps([0, 100, 200, 300], errors)
    np.testing.assert_array_equal(steps, [200, 200, nan, 100, nan, 0, nan])


# Correlation


def test_spearman_is_scipys_where_all_is_finite():
    a, b = np.random.default_rng(0).integers(0, 9, (2, 25)).astype(float)  # with ties
    assert spearman(a, b) == pytest.approx(scipy.stats.spearmanr(a, b).statistic)


def test_never_ranks_above_every_number():
    a, b = np.array([1, 2, 3, nan, 4, nan, inf]), np.array([1, 2, nan, 3, 5, nan, nan])
    # Without the pair of two NaN, by a number above all others.
    assert spearman(a, b) == pytest.approx(scipy.stats.spearmanr([1, 2, 3, 9, 4, 9], [1, 2, 9, 3, 5, 9]).statistic)
    assert spearman([1, 2, 3, nan], [10, 20, 30, 40]) == pytest.approx(1)


def test_too_few_pairs_and_constants_have_no_correlation():
    for a, b in (([1, 2, 3], [1, 2, 3]), ([1, 2, 3, nan], [1, 2, 3, nan]), ([1, 2, 3, 4], [nan] * 4)):
        assert math.isnan(spearman(a, b))
        assert np.isnan(spearman_interval(a, b, 0)).all()
    assert math.isnan(spearman([1, 2, 3, 4], [5, 5, 5, 5]))


def test_the_interval_covers_the_truth_as_often_as_it_says():
    rho, n, draws = 0.7, 30, 200
    truth = 6 / np.pi * np.arcsin(rho / 2)  # of the bivariate normal distribution
    rng = np.random.default_rng(0)
    covered, widths = 0, []
    for seed in range(draws):
        a, noise = rng.standard_normal((2, n))
        low, high = spearman_interval(a, rho * a + np.sqrt(1 - rho**2) * noise, seed, resamples=500)
        covered += low <= truth <= high
        widths.append(high - low)
    # tanh(atanh(0.683) +- 1.96 sqrt((1 + 0.683^2 / 2) / 27)), Bonett and Wright 2000, is 0.456 wide.
    assert 0.90 <= covered / draws <= 0.99
    assert np.mean(widths) == pytest.approx(0.456, rel=0.15)


def test_the_interval_is_repeatable_and_exact_for_a_perfect_order():
    a, b = np.random.default_rng(1).standard_normal((2, 20))
    assert spearman_interval(a, b, 5) == spearman_interval(a, b, 5) != spearman_interval(a, b, 6)
    assert spearman_interval(np.arange(6), np.arange(6) ** 3, 0) == pytest.approx((1, 1))
    low, high = spearman_interval([1, 2, 3, 4, nan, nan], [2, 1, nan, 4, 5, nan], 0)
    assert -1 <= low < spearman([1, 2, 3, 4, nan], [2, 1, nan, 4, 5]) < high <= 1


def test_the_interval_is_that_of_scipys_bootstrap():
    a, b = np.random.default_rng(2).integers(0, 20, (2, 40)).astype(float)
    b += a
    truth = scipy.stats.bootstrap(
        (a, b), lambda x, y: scipy.stats.spearmanr(x, y).statistic,
        n_resamples=2000, paired=True, vectorized=False, method="percentile",
    ).confidence_interval  # fmt: skip
    assert spearman_interval(a, b, 0) == pytest.approx(tuple(truth), abs=0.03)
