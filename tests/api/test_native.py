"""C++ that plugins bring: its elementary functions, and how it is compiled and cached."""

import ctypes
import os
import stat
import warnings

import numpy as np
import pytest

from inrbench_core.api import native

FUNCTIONS = """
#include "vector_math.h"
#define EACH(NAME, T, CALL) extern "C" void NAME(long n, const T* x, T* y, T* z) { \\
  _Pragma("omp simd") for (long i = 0; i < n; ++i) { CALL; } }
EACH(exp_float, float, y[i] = inrbench::exp(x[i]))
EACH(exp_double, double, y[i] = inrbench::exp(x[i]))
EACH(gaussian_float, float, y[i] = inrbench::gaussian(x[i]))
EACH(sincos_float, float, inrbench::sincos(x[i], y + i, z + i))
EACH(sigmoid_float, float, y[i] = inrbench::sigmoid(x[i]))
"""
needs_compiler = pytest.mark.skipif(native._compiler() is None, reason="no C++ compiler")


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("INRBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv(native.SWITCH, raising=False)
    native.native_library.cache_clear()
    yield tmp_path / "cache" / "native"
    native.native_library.cache_clear()


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "functions.cpp"
    path.write_text(FUNCTIONS)
    return path


def computed(library, name, x):
    y, z = np.empty_like(x), np.empty_like(x)
    getattr(library, name)(ctypes.c_long(len(x)), *(ctypes.c_void_p(a.ctypes.data) for a in (x, y, z)))
    return y, z


@needs_compiler
def test_elementary_functions(cache, source):
    library = native.native_library(source)
    x = np.random.default_rng(0).uniform(-86, 86, 20_001).astype(np.float32)
    wide = x.astype(np.float64)
    np.testing.assert_allclose(computed(library, "exp_float", x)[0], np.exp(wide), rtol=2e-7)
    np.testing.assert_allclose(computed(library, "exp_double", wide)[0], np.exp(wide), rtol=1e-15)
    np.testing.assert_allclose(computed(library, "sigmoid_float", x)[0], 1 / (1 + np.exp(-wide)), rtol=1e-6, atol=1e-37)
    square = np.abs(x)
    gaussian, _ = computed(library, "gaussian_float", square)
    np.testing.assert_allclose(gaussian, np.exp(-square.astype(np.float64) / 2), rtol=4e-6, atol=1e-7)
    for scale in (1, 100, 1e6, 1e9):
        angle = (x / 86 * scale).astype(np.float32)
        sine, cosine = computed(library, "sincos_float", angle)
        np.testing.assert_allclose(sine, np.sin(angle.astype(np.float64)), atol=1.2e-7)
        np.testing.assert_allclose(cosine, np.cos(angle.astype(np.float64)), atol=1.2e-7)


@needs_compiler
def test_elementary_functions_at_the_ends_of_their_range(cache, source):
    library = native.native_library(source)
    x = np.array([np.nan, -np.inf, -1e4, -87.4, 0.0, 88.0], np.float32)
    exponential, _ = computed(library, "exp_float", x)
    assert np.isnan(exponential[0])
    np.testing.assert_allclose(exponential[1:], np.exp(np.array([-np.inf, -1e4, -np.inf, 0, 88.0])), rtol=2e-7)
    gaussian, _ = computed(library, "gaussian_float", np.array([np.nan, 0.0, 1e18], np.float32))
    assert np.isnan(gaussian[0])
    assert gaussian[1] == 1
    assert 0 <= gaussian[2] < 1e-30


@needs_compiler
def test_compiled_once_and_kept(cache, source):
    assert native.native_library(source) is not None
    (file,) = cache.iterdir()
    before = file.stat().st_mtime_ns
    native.native_library.cache_clear()
    assert native.native_library(source) is not None
    assert file.stat().st_mtime_ns == before
    source.write_text(FUNCTIONS + "\n// other\n")
    native.native_library.cache_clear()
    native.native_library(source)
    assert len(list(cache.iterdir())) == 2


@needs_compiler
def test_what_a_killed_process_left_does_no_harm(cache, source):
    cache.mkdir(parents=True)
    (cache / ".functions.999.tmp").write_bytes(b"half")
    assert native.native_library(source) is not None


@needs_compiler
def test_a_damaged_library_is_compiled_again(cache, source):
    native.native_library(source)
    (file,) = cache.iterdir()
    native.native_library.cache_clear()
    damaged = file.with_suffix(".damaged")
    damaged.write_bytes(b"no library")
    damaged.replace(file)
    assert native.native_library(source) is not None


@needs_compiler
def test_code_that_does_not_compile_gives_one_warning(cache, source):
    source.write_text("not C++")
    with pytest.warns(UserWarning, match="functions.cpp could not be compiled .* computed by torch") as seen:
        assert native.native_library(source) is None
    assert len(seen) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert native.native_library(source) is None


def test_no_compiler_gives_one_warning(cache, source, monkeypatch):
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.warns(UserWarning, match="no C\\+\\+ compiler was found"):
        assert native.native_library(source) is None


@pytest.mark.parametrize("value", ["off", "OFF", "0"])
def test_turned_off_without_a_warning(cache, source, monkeypatch, value):
    monkeypatch.setenv(native.SWITCH, value)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert native.native_library(source) is None


@needs_compiler
def test_a_cache_that_cannot_be_written(tmp_path, source, monkeypatch):
    blocked = tmp_path / "file"
    blocked.write_text("")
    blocked.chmod(stat.S_IRUSR)
    monkeypatch.setenv("INRBENCH_CACHE", str(blocked))
    monkeypatch.setenv("TMPDIR", os.fspath(tmp_path))
    monkeypatch.delenv(native.SWITCH, raising=False)
    native.native_library.cache_clear()
    assert native.native_library(source) is not None
    native.native_library.cache_clear()
