"""Transform coding against matrices written out from the definition, sparse signals and Parseval's theorem."""

import numpy as np
import pytest
from inrbench_task_image import transform_coding
from inrbench_task_image.transform_coding import dct_coded
from scipy.fft import idctn

RNG = np.random.default_rng(0)


def cosines(size):
    """The orthonormal DCT-II from its definition: row k holds the cosine of frequency k."""
    k, n = np.mgrid[:size, :size]
    matrix = np.sqrt(2 / size) * np.cos(np.pi * (n + 0.5) * k / size)
    matrix[0] /= np.sqrt(2)
    return matrix


def largest(coefficients, count):
    order = np.argsort(-np.abs(coefficients), axis=None)[:count]
    kept = np.zeros_like(coefficients)
    kept.flat[order] = coefficients.flat[order]
    return kept


def block_of_rows(block):
    return np.kron(np.eye(96 // block), cosines(block).T)


@pytest.mark.parametrize("counted", [False, True])
def test_of_the_whole_signal_it_agrees_with_matrices(counted, monkeypatch):
    monkeypatch.setattr(transform_coding, "BLOCKS", ())
    values = RNG.random((9, 7, 3))
    # A block as long as the longest axis takes every axis whole.
    rows, columns, channels = (cosines(size) for size in values.shape)
    coefficients = np.einsum("ai,bj,ck,ijk->abc", rows, columns, channels, values)
    kept = largest(coefficients, 20 if counted else 40)
    expected = np.einsum("ai,bj,ck,abc->ijk", rows, columns, channels, kept)
    np.testing.assert_allclose(dct_coded(values, 40, counted=counted), expected, atol=1e-12)


def test_blocks_agree_with_matrices_with_a_shorter_one_at_the_end(monkeypatch):
    monkeypatch.setattr(transform_coding, "BLOCKS", (8,))
    matrix = np.zeros((20, 20))
    for start, stop in ((0, 8), (8, 16), (16, 20)):
        matrix[start:stop, start:stop] = cosines(stop - start)
    # Sparse in blocks, so that these are chosen.
    kept = np.zeros((20, 3))
    kept[[0, 9, 17], [0, 1, 2]] = 3.0, -2.0, 1.0
    values = matrix.T @ kept @ cosines(3)
    np.testing.assert_allclose(dct_coded(values, 3, counted=False), values, atol=1e-12)
    expected = matrix.T @ largest(kept, 2) @ cosines(3)
    np.testing.assert_allclose(dct_coded(values, 2, counted=False), expected, atol=1e-12)


@pytest.mark.parametrize("shape", [(64,), (24, 40, 3), (16, 12, 20, 1)])
def test_a_sparse_signal_is_found_again(shape):
    coefficients = np.zeros(shape)
    coefficients.flat[RNG.choice(coefficients.size, 5, replace=False)] = [5.0, -4.0, 3.0, 2.0, -1.0]
    values = idctn(coefficients, norm="ortho")
    np.testing.assert_allclose(dct_coded(values, 5, counted=False), values, atol=1e-12)
    np.testing.assert_allclose(dct_coded(values, 10, counted=True), values, atol=1e-12)
    # The least of the five is dropped, and its square is the error, by Parseval's theorem.
    assert np.square(dct_coded(values, 4, counted=False) - values).sum() == pytest.approx(1.0)


@pytest.mark.parametrize("block", [8, 16, 32])
def test_the_block_with_the_least_error_is_taken(block):
    # One cosine in one block: with blocks of another length it takes more than one number.
    coefficients = np.zeros((96, block))
    coefficients[0, 5] = 1.0
    values = np.concatenate([coefficients @ cosines(block), np.zeros((96, 96 - block))], axis=1)
    values = block_of_rows(block) @ values
    np.testing.assert_allclose(dct_coded(values, 1, counted=False), values, atol=1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.uint8, bool])
def test_as_many_numbers_as_values_give_the_signal_and_none_gives_zero(dtype):
    values = (RNG.random((11, 13)) * 2).astype(dtype)
    coded = dct_coded(values, 200, counted=False)
    assert coded.dtype == (np.float64 if dtype == np.float64 else np.float32)
    np.testing.assert_allclose(coded, values, atol=1e-5)
    np.testing.assert_array_equal(dct_coded(values, 1, counted=True), np.zeros((11, 13)))


def test_a_single_value_is_kept():
    np.testing.assert_allclose(dct_coded(np.full((1, 1, 1), 0.3), 1, counted=False), 0.3)
