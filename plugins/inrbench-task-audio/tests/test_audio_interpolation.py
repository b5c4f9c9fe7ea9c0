import tracemalloc
from collections.abc import Callable

import numpy as np
import pytest
from inrbench_task_audio.interpolation import (
    _least_outside,
    _least_predicted,
    autoregressive,
    band_limited,
    cubic,
    linear,
    validated,
)
from scipy.fft import dct
from scipy.interpolate import CubicSpline
from scipy.linalg import toeplitz
from scipy.signal import lfilter

FILLINGS = [linear, cubic, band_limited, autoregressive]
Filling = Callable[[np.ndarray, np.ndarray], np.ndarray]
PATTERNS = {
    "runs": np.flatnonzero(np.arange(2000) % 200 // 20 == 5),
    "decimation": np.flatnonzero(np.arange(2000) % 4),
    "samples": np.sort(np.random.default_rng(1).permutation(2000)[:300]),
}


def noise(size: int = 2000) -> np.ndarray:
    return np.random.default_rng(0).standard_normal(size).astype(np.float32)


def held_out_snr(filling: Filling, samples: np.ndarray, held_out: np.ndarray) -> float:
    error = filling(samples, held_out)[held_out] - samples[held_out]
    return float(10 * np.log10(np.square(samples[held_out]).sum() / np.square(error).sum()))


@pytest.mark.parametrize("pattern", PATTERNS)
@pytest.mark.parametrize("filling", FILLINGS)
def test_training_samples_are_kept_and_held_out_ones_are_not_looked_at(filling: Filling, pattern: str) -> None:
    samples, held_out = noise(), PATTERNS[pattern]
    filled = filling(samples, held_out)
    other = samples.copy()
    other[held_out] = 7.0
    assert np.array_equal(filling(other, held_out), filled)
    kept = np.setdiff1d(np.arange(2000), held_out)
    assert filled[kept] == pytest.approx(samples[kept], abs=1e-6)
    assert np.isfinite(filled).all()


@pytest.mark.parametrize("filling", FILLINGS)
def test_nothing_to_fill_and_a_constant(filling: Filling) -> None:
    assert filling(noise(), np.arange(0)) == pytest.approx(noise(), abs=1e-6)
    constant = np.full(2000, 0.5, np.float32)
    for name in ("runs", "decimation"):
        # Regularisation pulls the band-limited signal towards silence, and so do models that are estimated.
        tolerance = 0.02 if filling is autoregressive or (filling is band_limited and name == "runs") else 1e-6
        assert filling(constant, PATTERNS[name]) == pytest.approx(constant, abs=tolerance)


def test_cubic_is_exact_for_cubic_polynomials_and_stands_still_beyond_the_ends() -> None:
    place = np.linspace(-1, 1, 2000)
    curve = place**3 - 0.5 * place
    for held_out in PATTERNS.values():
        inside = held_out[(held_out > 0) & (held_out < 1996)]
        assert cubic(curve, inside)[inside] == pytest.approx(curve[inside], abs=1e-9)
    assert cubic(curve, np.array([1998, 1999]))[1998:] == pytest.approx(curve[1997])


def test_decimated_band_limited_sound_comes_back() -> None:
    # Partials that fit into the recording, and vanish at its ends, up to 0.8 of the Nyquist frequency of one in four.
    place = np.arange(1997) / 1996
    sound = sum(np.sin(np.pi * k * place) / k for k in (3, 50, 170, 399))
    held_out = np.flatnonzero(np.arange(1997) % 4)
    assert band_limited(sound, held_out) == pytest.approx(sound, abs=1e-9)
    # Above it, what comes back is the alias.
    alias = band_limited(np.sin(np.pi * 600 * place), held_out)
    assert alias == pytest.approx(-np.sin(np.pi * (2 * 499 - 600) * place), abs=1e-9)


def test_oversampled_sound_with_single_samples_missing_comes_back_within_the_band() -> None:
    place = (np.arange(2000) + 0.5) / 2000
    sound = sum(np.cos(np.pi * k * place) for k in (0, 3, 50, 110))
    held_out = np.arange(5, 1990, 12)
    assert held_out_snr(band_limited, sound, held_out) > 60.0
    assert held_out_snr(linear, sound, held_out) < 45.0


def test_the_band_limited_answer_has_least_energy_outside_the_band() -> None:
    samples, held_out, band, weight = noise(60), np.array([7, 8, 30]), 0.25, 1e-2
    # Written out as a least-squares problem over the held-out samples.
    high = dct(np.eye(60), norm="ortho", axis=0)[30:]
    known = samples.astype(float)
    known[held_out] = 0.0
    matrix = np.vstack([high[:, held_out], np.sqrt(weight) * np.eye(3)])
    expected = np.linalg.lstsq(matrix, np.concatenate([-high @ known, np.zeros(3)]))[0]
    assert _least_outside(samples, held_out, band, weight)[held_out] == pytest.approx(expected, abs=1e-6)


def test_sinusoids_across_a_gap_are_continued_by_the_autoregressive_answer() -> None:
    place = np.arange(6000)
    sound = np.sin(0.05 * place) + 0.5 * np.sin(0.31 * place + 1.0) + 1e-3 * noise(6000)
    held_out = np.concatenate([np.arange(start, start + 88) for start in (900, 2500, 4000)])
    assert held_out_snr(autoregressive, sound, held_out) > 30.0
    assert held_out_snr(cubic, sound, held_out) < 5.0


def test_the_autoregressive_answer_errs_as_the_best_prediction_of_a_known_process() -> None:
    # Of a first-order process with coefficient a and unit innovations, one missing sample is known from its neighbours
    # with error variance 1 / (1 + a^2), which no method beats.
    a = 0.95
    process = lfilter([1.0], [1.0, -a], np.random.default_rng(3).standard_normal(20_000))
    held_out = np.arange(10, 19_990, 20)
    error = autoregressive(process, held_out)[held_out] - process[held_out]
    assert np.square(error).mean() == pytest.approx(1 / (1 + a**2), rel=0.1)


def test_the_autoregressive_answer_has_the_least_prediction_error() -> None:
    order, at = 6, np.array([40, 41, 42, 60, 90, 91, 92, 93, 94, 95, 96, 97, 98, 150])
    block = lfilter([1.0], [1.0, -1.6, 0.8], noise(200))
    correlation = np.array([block[lag:] @ block[: 200 - lag] for lag in range(order + 1)])
    correlation[0] *= 1.0 + 1e-6
    coefficients = np.linalg.solve(toeplitz(correlation[:-1]), correlation[1:])
    # Rows are prediction errors, of the samples before and after the block as well, which are taken as 0.
    errors = toeplitz(np.concatenate([[1.0], -coefficients, np.zeros(199)]), np.eye(200)[0])
    known = block.copy()
    known[at] = 0.0
    expected = np.linalg.lstsq(errors[:, at], -errors @ known)[0]
    assert _least_predicted(block, at, order) == pytest.approx(expected, abs=1e-6)


def test_the_memory_of_the_autoregressive_answer_is_linear_in_the_gap() -> None:
    samples = noise(20_000).astype(float)
    tracemalloc.start()
    _least_predicted(samples, np.arange(5000, 10_000), 32)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # All 5,000 x 5,000 coefficients would take 200 MB.
    assert peak < 10e6


def test_the_autoregressive_answer_is_silent_far_from_kept_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    sound = np.sin(0.05 * np.arange(4000)) + 0.5
    monkeypatch.setattr("inrbench_task_audio.interpolation._REACH", 100)
    filled = autoregressive(sound, np.arange(1500, 2000))
    assert np.array_equal(np.flatnonzero(filled == 0.0), np.arange(1600, 1900))
    assert filled[1500:1505] == pytest.approx(sound[1500:1505], abs=0.1)


def test_cross_validation_chooses_what_fills_gaps_of_the_same_kind() -> None:
    samples = CubicSpline(np.arange(0, 2100, 100), np.random.default_rng(0).standard_normal(21))(np.arange(2000))
    seen: list[np.ndarray] = []

    def answer(samples: np.ndarray, held_out: np.ndarray, filling: Filling) -> np.ndarray:
        seen.append(held_out)
        return filling(samples, held_out)

    assert validated(answer, (linear, cubic), samples, PATTERNS["runs"]) is cubic
    probe = np.setdiff1d(seen[0], PATTERNS["runs"])
    # A tenth of the 1,800 kept samples in gaps of 20, which may overlap each other and the true ones.
    assert 100 <= probe.size <= 180
    assert all(run.size <= 40 for run in np.split(seen[0], np.flatnonzero(np.diff(seen[0]) > 1) + 1))
    assert np.array_equal(seen[0], seen[1])
    # There is nothing to learn from where nothing is held out.
    assert validated(answer, (linear, cubic), samples, np.arange(0)) is linear


@pytest.mark.parametrize(
    ("size", "gap", "expected"),
    [(100_000, slice(100, 300), 200), (40_000, slice(3220, 3620), 400), (100_000, slice(30_000, 70_000), 1024)],
    ids=["outside the middle", "at the edge of the middle", "longer than the middle"],
)
def test_cross_validation_of_a_long_recording_makes_gaps_as_long(
    size: int, gap: slice, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("inrbench_task_audio.interpolation._MOST_VALIDATED", 32_768)
    samples, held_out = noise(size), np.arange(size)[gap]
    seen: list[np.ndarray] = []

    def answer(samples: np.ndarray, held_out: np.ndarray, error: float) -> np.ndarray:
        seen.append(held_out)
        return samples + error

    # The first choice would be taken if no gap were made.
    assert validated(answer, (1.0, 0.0), samples, held_out) == 0.0
    runs = np.split(seen[0], np.flatnonzero(np.diff(seen[0]) > 1) + 1)
    assert max(run.size for run in runs) >= expected
