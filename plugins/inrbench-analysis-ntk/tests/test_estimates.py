import numpy as np
import pytest
import scipy.special
from inrbench_analysis_ntk import measures
from inrbench_analysis_ntk.estimates import Density, hutchpp, leading_pairs, spectral_density


class Kernel:
    """A kernel with given eigenvalues and random eigenvectors, known through products; counts the vectors."""

    def __init__(self, eigenvalues, seed=0, dtype=np.float64):
        self.values = np.asarray(eigenvalues, dtype=float)
        n = len(self.values)
        self.vectors = np.linalg.qr(np.random.default_rng(seed).standard_normal((n, n)))[0]
        self.matrix = ((self.vectors * self.values) @ self.vectors.T).astype(dtype)
        self.n, self.products = n, 0

    def __call__(self, vectors):
        assert vectors.dtype == np.float64
        assert vectors.shape[0] == self.n
        self.products += vectors.shape[1]
        return self.matrix @ vectors.astype(self.matrix.dtype)


class Circulant:
    """A kernel on a periodic grid (size, size) that depends on the distance: most eigenvalues occur 4 or 8 times."""

    def __init__(self, size):
        frequency = np.fft.fftfreq(size) * size
        self.spectrum = (1 + np.hypot(frequency[:, None], frequency)) ** -3
        self.n, self.products = size * size, 0
        self.values = np.sort(self.spectrum.ravel())[::-1]

    def __call__(self, vectors):
        self.products += vectors.shape[1]
        grid = vectors.reshape(*self.spectrum.shape, -1)
        transformed = self.spectrum[:, :, None] * np.fft.fft2(grid, axes=(0, 1))
        return np.fft.ifft2(transformed, axes=(0, 1)).real.reshape(vectors.shape)


def power(n, exponent):
    return np.arange(1.0, n + 1) ** -exponent


# Leading pairs


@pytest.mark.parametrize("exponent", [1, 2])
def test_the_leading_pairs_of_a_power_law(exponent):
    kernel = Kernel(power(1200, exponent))
    pairs = leading_pairs(kernel, 1200, 20, seed=0)
    assert kernel.products < 240
    assert pairs.values == pytest.approx(kernel.values[:20], rel=1e-5)
    assert np.abs(pairs.vectors.T @ pairs.vectors - np.eye(20)).max() < 1e-12
    assert np.abs((pairs.vectors * kernel.vectors[:, :20]).sum(0)) == pytest.approx(np.ones(20), abs=1e-5)
    truth = np.linalg.norm(kernel.matrix @ pairs.vectors - pairs.vectors * pairs.values, axis=0)
    assert pairs.residuals == pytest.approx(truth, abs=1e-12)


def test_all_copies_of_equal_eigenvalues_are_found():
    kernel = Circulant(64)
    pairs = leading_pairs(kernel, kernel.n, 100, seed=0)
    assert pairs.values == pytest.approx(kernel.values[:100], rel=1e-5)
    assert kernel.products < 400


def test_products_in_float32_and_a_rank_below_the_number_of_pairs():
    kernel = Kernel(np.r_[1e4 * power(10, 1), np.zeros(1190)], dtype=np.float32)
    pairs = leading_pairs(kernel, 1200, 30, seed=0)
    assert pairs.values[:10] == pytest.approx(kernel.values[:10], rel=1e-5)
    assert pairs.values[10:].max() < 1e-6 * pairs.values[0]
    assert pairs.values.min() >= 0
    assert np.abs(pairs.vectors.T @ pairs.vectors - np.eye(30)).max() < 1e-12


@pytest.mark.parametrize("rank", [0, 3, 20])
def test_products_that_are_exactly_zero_outside_of_few_axes(rank):
    diagonal = np.r_[np.ones(rank), np.zeros(2400 - rank)]
    pairs = leading_pairs(lambda v: diagonal[:, None] * v, 2400, 90, seed=0)
    assert pairs.values == pytest.approx(diagonal[:90], abs=1e-12)
    assert np.abs(pairs.vectors.T @ pairs.vectors - np.eye(90)).max() < 1e-12
    density = spectral_density(lambda v: diagonal[:, None] * v, 2400, probes=2, steps=6, seed=0)
    assert density.sum(lambda x: x) == pytest.approx(rank)  # signs see a diagonal exactly
    assert density.sum(np.ones_like) == pytest.approx(2400)


def test_a_spectrum_without_gaps_costs_no_more_than_the_limit_and_says_so():
    kernel = Kernel(np.linspace(1, 0.99, 1000))
    pairs = leading_pairs(kernel, 1000, 10, seed=0)
    assert kernel.products <= 4 * 10 + 160
    # The residual bounds the distance to the nearest eigenvalue.
    distance = np.abs(pairs.values[:, None] - kernel.values).min(1)
    assert np.all(distance <= pairs.residuals + 1e-14)
    assert np.all(pairs.values <= kernel.values[:10] + 1e-14)


def test_a_small_kernel_is_solved_exactly():
    kernel = Kernel(power(90, 2))
    pairs = leading_pairs(kernel, 90, 90, seed=0)
    assert kernel.products == 90
    assert pairs.values == pytest.approx(kernel.values, abs=1e-14)
    rebuilt = (pairs.vectors * pairs.values) @ pairs.vectors.T
    assert np.abs(rebuilt - kernel.matrix).max() < 1e-13


def test_the_number_of_pairs_is_checked():
    for count in (0, 91):
        with pytest.raises(ValueError, match="of a kernel of 90 points"):
            leading_pairs(Kernel(power(90, 2)), 90, count, seed=0)


# Density


def test_the_quadrature_is_exact_for_polynomials_of_one_probe():
    """Gauss: s steps integrate polynomials up to degree 2 s - 1 against the probe's own measure."""
    kernel = Kernel(power(50, 1))
    density = spectral_density(kernel, 50, probes=1, steps=4, seed=3)
    probe = np.random.default_rng(3).integers(0, 2, (50, 1)) * 2.0 - 1.0
    for degree in range(8):
        moment = (probe.T @ np.linalg.matrix_power(kernel.matrix, degree) @ probe).item()
        assert density.sum(lambda x, degree=degree: x**degree) == pytest.approx(moment)
    assert kernel.products == 4


def test_the_density_of_few_distinct_eigenvalues():
    """The Krylov spaces end after three steps; the weights are the shares, within the probes' noise."""
    kernel = Kernel(np.r_[np.full(100, 5.0), np.full(300, 2.0), np.zeros(200)])
    density = spectral_density(kernel, 600, probes=8, steps=12, seed=0)
    assert density.sum(np.ones_like) == pytest.approx(600)
    assert density.sum(lambda x: x > 4) == pytest.approx(100, rel=0.1)
    assert density.sum(lambda x: x > 1) == pytest.approx(400, rel=0.1)
    curve = density.quantiles()
    assert curve[[0, 80]] == pytest.approx([5, 5])
    assert curve[[120, 370]] == pytest.approx([2, 2])
    assert curve[[430, 599]] == pytest.approx([0, 0], abs=1e-10)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_with_known_leading_pairs_the_density_gives_the_measures_of_the_spectrum(dtype):
    values = np.r_[668, 38 * power(999, 1.5)]  # as of a relu field
    kernel = Kernel(values, dtype=dtype)
    pairs = leading_pairs(kernel, 1000, 40, seed=0)
    density = spectral_density(kernel, 1000, probes=6, steps=25, seed=1, leading=pairs)
    curve = density.quantiles()
    assert density.sum(lambda x: x) == pytest.approx(values.sum(), rel=2e-3)
    assert curve.sum() == pytest.approx(density.sum(lambda x: x))
    assert curve[:40] == pytest.approx(values[:40], rel=1e-4)
    assert np.abs(np.log(curve / values))[40:900].max() < 0.4  # the curve is a staircase there
    assert np.all(np.diff(curve) <= 0)
    for measure in (measures.participation_ratio, measures.entropy_rank):
        assert measure(curve) == pytest.approx(measure(values), rel=0.01)
    trace = density.sum(lambda x: x)
    entropy = density.sum(lambda x: scipy.special.entr(x / trace))
    assert np.exp(entropy) == pytest.approx(measures.entropy_rank(values), rel=0.01)


def test_more_probes_come_closer():
    kernel = Kernel(power(400, 1))

    def error(probes):
        sums = [spectral_density(kernel, 400, probes=probes, steps=10, seed=s).sum(np.sqrt) for s in range(20)]
        return np.std(sums)

    assert error(16) < 0.5 * error(1)  # a quarter in expectation


def test_a_kernel_known_completely_needs_no_probe():
    kernel = Kernel(power(60, 1))
    pairs = leading_pairs(kernel, 60, 60, seed=0)
    kernel.products = 0
    density = spectral_density(kernel, 60, probes=4, steps=10, seed=0, leading=pairs)
    assert kernel.products == 0
    assert density.quantiles() == pytest.approx(kernel.values)


def test_more_steps_than_dimensions():
    kernel = Kernel(power(12, 1))
    density = spectral_density(kernel, 12, probes=2, steps=100, seed=0)
    assert kernel.products == 24
    assert density.sum(np.ones_like) == pytest.approx(12)
    assert np.unique(density.nodes.round(8)) == pytest.approx(kernel.values[::-1], abs=1e-8)


def test_the_quantiles_of_a_density_by_hand():
    density = Density(np.array([4.0, 1.0]), np.array([0.375, 0.625]), 4)
    assert density.quantiles() == pytest.approx([4, 2.5, 1, 1])
    assert density.sum(np.square) == pytest.approx(4 * (16 * 0.375 + 0.625))


# Traces


def test_hutchpp_is_closer_than_hutchinson_with_the_same_products():
    kernel = Kernel(power(500, 2))
    traces = kernel.values.sum(), np.square(kernel.values).sum()
    errors = []
    for seed in range(30):
        kernel.products = 0
        ours = hutchpp(kernel, 500, 60, seed)
        assert kernel.products == 60
        signs = np.random.default_rng(seed).choice([-1.0, 1.0], (500, 60))
        image = kernel.matrix @ signs
        plain = (signs * image).sum() / 60, np.square(image).sum() / 60
        errors.append(np.square([np.subtract(ours, traces), np.subtract(plain, traces)]))
    (trace, square), (plain_trace, plain_square) = np.sqrt(np.mean(errors, axis=0))
    assert trace < plain_trace / 20
    assert square < plain_square / 1000
    assert trace < 0.01 * traces[0]


def test_hutchpp_has_no_bias_on_a_slow_spectrum():
    kernel = Kernel(np.linspace(1, 0, 12))
    estimates = np.array([hutchpp(kernel, 12, 9, seed) for seed in range(2000)])
    truth = [kernel.values.sum(), np.square(kernel.values).sum()]
    standard_error = estimates.std(0) / np.sqrt(len(estimates))
    assert np.all(np.abs(estimates.mean(0) - truth) < 3.5 * standard_error)
    assert np.all(standard_error < 0.01 * np.array(truth))


def test_the_traces_of_a_low_rank_are_exact():
    kernel = Kernel(np.r_[power(8, 1), np.zeros(192)])
    estimate = hutchpp(kernel, 200, 30, seed=0)
    assert estimate.trace == pytest.approx(np.trace(kernel.matrix))
    assert estimate.square == pytest.approx(np.trace(kernel.matrix @ kernel.matrix))


def test_the_traces_of_a_small_kernel_are_exact():
    kernel = Kernel(power(20, 0.5))
    assert hutchpp(kernel, 20, 30, seed=0) == pytest.approx((kernel.values.sum(), np.square(kernel.values).sum()))
    assert kernel.products == 20
    with pytest.raises(ValueError, match="at least 3"):
        hutchpp(kernel, 20, 2, seed=0)


def test_the_same_seed_gives_the_same_result():
    kernel = Kernel(power(1000, 2))
    for estimate in (
        lambda seed: leading_pairs(kernel, 1000, 5, seed).vectors,
        lambda seed: spectral_density(kernel, 1000, probes=2, steps=5, seed=seed).nodes,
        lambda seed: hutchpp(kernel, 1000, 9, seed),
    ):
        np.testing.assert_array_equal(estimate(1), estimate(1))
        assert not np.array_equal(estimate(1), estimate(2))
