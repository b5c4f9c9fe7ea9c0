import numpy as np
import pytest
from inrbench_task_audio.mdct import FRAMES, inverse_mdct, mdct, mdct_coded
from scipy.fft import dct


def direct_basis(size: int, frame: int) -> np.ndarray:
    """The windowed cosines of all frames, one a row, by their definition; the last frame goes on at the start."""
    half = frame // 2
    n, k = np.arange(frame), np.arange(half)[:, None]
    cosines = np.sin(np.pi / frame * (n + 0.5)) * np.cos(2 * np.pi / frame * (n + 0.5 + half / 2) * (k + 0.5))
    basis = np.zeros((size // half, half, size))
    for index in range(size // half):
        for row, values in zip(basis[index], np.sqrt(2 / half) * cosines, strict=True):
            np.add.at(row, (index * half + n) % size, values)
    return basis.reshape(size, size)


@pytest.mark.parametrize(("size", "frame"), [(32, 8), (24, 8), (4, 8), (64, 64)])
def test_the_transform_is_the_definition_and_orthonormal(size: int, frame: int) -> None:
    samples = np.random.default_rng(0).standard_normal(size)
    basis = direct_basis(size, frame)
    assert mdct(samples, frame).ravel() == pytest.approx(basis @ samples, abs=1e-12)
    assert basis @ basis.T == pytest.approx(np.eye(size), abs=1e-12)


@pytest.mark.parametrize("frame", FRAMES)
def test_the_aliases_of_neighbouring_frames_cancel(frame: int) -> None:
    samples = np.random.default_rng(0).standard_normal(5 * frame // 2)
    assert inverse_mdct(mdct(samples, frame)) == pytest.approx(samples, abs=1e-12)


def test_all_coefficients_give_the_recording_and_none_give_silence() -> None:
    samples = np.random.default_rng(0).standard_normal(3001).astype(np.float32)
    assert mdct_coded(samples, 10_000, counted=False) == pytest.approx(samples, abs=1e-6)
    assert not mdct_coded(samples, 1, counted=True).any()
    assert mdct_coded(samples, 1, counted=False).any()


@pytest.mark.parametrize("frame", [256, 4096])
def test_a_coefficient_is_coded_by_one_number_and_two_with_its_position(frame: int) -> None:
    coefficients = np.zeros((6, frame // 2))
    coefficients[[1, 2, 4], [5, 40, 2]] = [3.0, -2.0, 1.0]
    samples = inverse_mdct(coefficients).astype(np.float32)
    # The frame length that made it is found.
    assert mdct_coded(samples, 3, counted=False) == pytest.approx(samples, abs=1e-6)
    assert mdct_coded(samples, 6, counted=True) == pytest.approx(samples, abs=1e-6)
    # The least coefficient is dropped.
    error = np.square(mdct_coded(samples, 5, counted=True) - samples).sum()
    assert error == pytest.approx(1.0, rel=1e-4)


def test_a_sound_of_many_notes_is_coded_better_than_by_one_transform_over_all() -> None:
    rng = np.random.default_rng(0)
    notes = [np.sin(2 * np.pi * rng.uniform(0.02, 0.2) * np.arange(4096)) for _ in range(8)]
    samples = np.concatenate(notes).astype(np.float32)
    dropped = np.sort(np.square(dct(samples, norm="ortho")))[:-1000].sum()
    assert np.square(mdct_coded(samples, 1000, counted=False) - samples).sum() < dropped / 2
