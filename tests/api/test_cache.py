import importlib
import importlib.metadata
import sys

import numpy as np
import pytest

from inrbench_core.api import cache, fingerprint
from inrbench_core.api.cache import cached_arrays

ARRAYS = {"points": np.arange(12.0).reshape(3, 4), "facts": np.array([7], np.int64)}


@pytest.fixture
def package(tmp_path, monkeypatch):
    """An importable module that caches, and the folder of its cache."""
    monkeypatch.setenv("INRBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(cache, "LEAST_SECONDS", 0.0)
    monkeypatch.setattr(fingerprint, "_when_imported", {})
    (tmp_path / "cached_inr.py").write_text("VALUE = 1\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    importlib.invalidate_caches()
    yield tmp_path
    sys.modules.pop("cached_inr", None)


def never():
    raise AssertionError("the arrays were made again")


def stored(package):
    (file,) = (package / "cache").glob("*.arrays")
    return file


def test_arrays_come_back_as_they_were_made(package):
    made = cached_arrays("cached_inr", {"size": 3}, lambda: ARRAYS)
    again = cached_arrays("cached_inr", {"size": 3}, never)
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(made[name], array)
        np.testing.assert_array_equal(again[name], array)
        assert again[name].dtype == array.dtype
    with pytest.raises(AssertionError, match="made again"):
        cached_arrays("cached_inr", {"size": 4}, never)


def test_what_is_made_quickly_is_not_kept(package, monkeypatch):
    monkeypatch.setattr(cache, "LEAST_SECONDS", 60.0)
    cached_arrays("cached_inr", {}, lambda: ARRAYS)
    assert not (package / "cache").exists()


def test_no_damaged_file_is_used_and_none_raises(package):
    cached_arrays("cached_inr", {}, lambda: ARRAYS)
    whole = stored(package).read_bytes()
    random = np.random.default_rng(0)
    damaged = [whole[:length] for length in (0, 10, len(whole) // 2, len(whole) - 1)]
    for place in random.integers(len(whole), size=200):
        flipped = bytearray(whole)
        flipped[place] ^= 1 << int(random.integers(8))
        damaged.append(bytes(flipped))
    for content in damaged:
        stored(package).write_bytes(content)
        with pytest.raises(AssertionError, match="made again"):
            cached_arrays("cached_inr", {}, never)


def test_edited_code_neither_reads_nor_writes_until_it_is_imported_again(package, monkeypatch):
    """In memory is the old code, on disk the new: what the process makes belongs to neither."""
    cached_arrays("cached_inr", {}, lambda: {"value": np.array(1)})
    (package / "cached_inr.py").write_text("VALUE = 55\n")
    assert cached_arrays("cached_inr", {}, lambda: {"value": np.array(1)})["value"] == 1
    assert len(list((package / "cache").glob("*.arrays"))) == 1
    # A new process.
    monkeypatch.setattr(fingerprint, "_when_imported", {})
    assert cached_arrays("cached_inr", {}, lambda: {"value": np.array(55)})["value"] == 55
    assert cached_arrays("cached_inr", {}, never)["value"] == 55


def test_the_code_of_what_the_package_imports_counts(package, monkeypatch):
    (package / "cached_inr.py").write_text("import beneath_inr\n")
    (package / "beneath_inr.py").write_text("VALUE = 1\n")
    cached_arrays("cached_inr", {}, lambda: ARRAYS)
    (package / "beneath_inr.py").write_text("VALUE = 55\n")
    monkeypatch.setattr(fingerprint, "_when_imported", {})
    with pytest.raises(AssertionError, match="made again"):
        cached_arrays("cached_inr", {}, never)


def test_other_versions_of_libraries_make_the_arrays_anew(package, monkeypatch):
    cached_arrays("cached_inr", {}, lambda: ARRAYS)
    version = importlib.metadata.version

    def newer_scipy(name):
        return "99.0" if name == "scipy" else version(name)

    monkeypatch.setattr(importlib.metadata, "version", newer_scipy)
    cache._library_versions.cache_clear()
    with pytest.raises(AssertionError, match="made again"):
        cached_arrays("cached_inr", {}, never)
    monkeypatch.undo()
    cache._library_versions.cache_clear()


def test_libraries_that_are_not_installed_have_no_version(monkeypatch):
    monkeypatch.setattr(cache, "LIBRARIES", ("numpy", "not-installed-anywhere"))
    assert cache._library_versions.__wrapped__() == {"numpy": np.__version__}


def test_the_oldest_files_are_deleted_beyond_the_bound_and_a_folder_that_cannot_be_written_is_no_error(
    package, monkeypatch
):
    for size in range(3):
        cached_arrays("cached_inr", {"size": size}, lambda: ARRAYS)
    monkeypatch.setattr(cache, "MOST_BYTES", 2 * stored_size(package) + 10)
    cached_arrays("cached_inr", {"size": 3}, lambda: ARRAYS)
    assert len(list((package / "cache").glob("*.arrays"))) == 2
    monkeypatch.setenv("INRBENCH_CACHE", str(package / "cached_inr.py"))
    assert cached_arrays("cached_inr", {}, lambda: ARRAYS)["facts"] == 7


def stored_size(package):
    return next((package / "cache").glob("*.arrays")).stat().st_size
