"""Run files and indexes that are damaged, foreign or no files at all: never a wrong value, an exception or a hang."""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import socket
import sqlite3
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from runs_support import CarryOut, fits

from inrbench_core.results.load import load_results
from inrbench_core.runs.plan import AnyRun
from inrbench_core.runs.record import RunArrays, RunRecord
from inrbench_core.runs.runfile import NotARun, decode, encode, read_file
from inrbench_core.runs.store import RunStore

Made = list[tuple[AnyRun, bytes]]
# Each of the four sorts of damage this many times; 500 were run once, see DAMAGED_CASES.
CASES = int(os.environ.get("DAMAGED_CASES", "50"))
HOLE = 64


def flip(content: bytes, other: bytes, at: random.Random) -> bytes:
    damaged = bytearray(content)
    damaged[at.randrange(len(content))] ^= 1 << at.randrange(8)
    return bytes(damaged)


def hole(content: bytes, other: bytes, at: random.Random) -> bytes:
    filled = at.choice([place for place, byte in enumerate(content) if byte])
    start = min(max(0, filled - at.randrange(HOLE)), len(content) - HOLE)
    return content[:start] + bytes(HOLE) + content[start + HOLE :]


def cut(content: bytes, other: bytes, at: random.Random) -> bytes:
    return content[: at.randrange(len(content))]


def swap(content: bytes, other: bytes, at: random.Random) -> bytes:
    return other


DAMAGES: Sequence[Callable[[bytes, bytes, random.Random], bytes]] = (flip, hole, cut, swap)


def same(one: RunRecord, other: RunRecord) -> bool:
    """Whether two records say the same, arrays bit for bit."""

    def arrays(record: RunRecord) -> list[tuple[str, bytes]]:
        found: RunArrays = record.arrays
        groups = (found.curve, found.outputs, found.weights, found.parameters)
        named = [(key, array) for group in groups for key, array in sorted(group.items())]
        return [(key, array.tobytes()) for key, array in [*named, ("preview", found.preview), ("truth", found.truth)]]

    return repr(one) == repr(other) and arrays(one) == arrays(other)


def read_it(store: RunStore, run_id: str) -> RunRecord | None:
    try:
        return read_file(store.path(run_id))
    except NotARun:
        return None


def list_it(store: RunStore, run_id: str) -> RunRecord | None:
    return store.records([run_id]).get(run_id)


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_no_damage_gives_a_wrong_value(
    made_runs: Made, tmp_path: Path, damage: Callable[[bytes, bytes, random.Random], bytes]
) -> None:
    """7 of 700 were accepted with wrong values, 21 were TypeErrors, 3 never ended."""
    at = random.Random(damage.__name__)
    original = {run.id: decode(content, run.id) for run, content in made_runs}
    counts: Counter[str] = Counter()
    for case in range(CASES):
        (run, content), (_, other) = at.sample(made_runs, 2)
        damaged = damage(content, other, at)
        assert damaged != content
        store = RunStore(tmp_path / f"{damage.__name__}{case}")
        store.runs.mkdir(parents=True)
        store.path(run.id).write_bytes(damaged)
        found = [reader(store, run.id) for reader in (read_it, list_it)]
        for record in found:
            assert record is None or same(record, original[run.id])
        counts["refused" if found == [None] * 2 else "accepted"] += 1
        shutil.rmtree(store.folder)
    print(f"{damage.__name__}: {dict(counts)}")
    # The checksum covers every bit.
    assert counts == {"refused": CASES}


def with_checksum(body: bytes, number: bytes) -> bytes:
    """The file of another format, whole in its own terms."""
    head = b"\ninrbench run " + number
    return body + head + hashlib.blake2b(body + head, digest_size=32).digest()


def make_newer(path: Path, content: bytes) -> None:
    path.write_bytes(with_checksum(content[:-49], b"0004"))


def make_nonsense(path: Path, content: bytes) -> None:
    path.write_bytes(with_checksum(b"no HDF5 at all", content[-36:-32]))


def make_nonsense_number(path: Path, content: bytes) -> None:
    path.write_bytes(with_checksum(content[:-49], b"\xff\xfex2"))


def make_old(path: Path, content: bytes) -> None:
    """As version 1 wrote them: no checksum."""
    import h5py

    with h5py.File(path, "w") as file:
        file.attrs["schema"] = "inrbench.run/1"
        file.attrs["id"] = path.stem


def make_fifo(path: Path, content: bytes) -> None:
    os.mkfifo(path)


def make_folder(path: Path, content: bytes) -> None:
    path.mkdir()
    (path / "inner").write_bytes(content)


def make_socket(path: Path, content: bytes) -> None:
    # The path of a socket may have about 100 letters.
    before = Path.cwd()
    os.chdir(path.parent)
    try:
        with socket.socket(socket.AF_UNIX) as opened:
            opened.bind(path.name)
    finally:
        os.chdir(before)


def make_loop(path: Path, content: bytes) -> None:
    path.symlink_to(path.name)


def make_empty(path: Path, content: bytes) -> None:
    path.touch()


def make_sparse(path: Path, content: bytes) -> None:
    """Larger than the memory of the machine, with nothing of it on the disk."""
    with path.open("wb") as file:
        file.truncate(1 << 40)


FOREIGN = {
    make_newer: "written by a newer version of inrbench (format 0004, this one reads 0003)",
    make_nonsense: "not the record of a run (OSError)",
    make_nonsense_number: "written by a",
    make_old: "not a run file, or damaged or cut off",
    make_fifo: "not a regular file",
    make_folder: "not a regular file",
    make_socket: "not readable: No such device or address",
    make_loop: "not readable: Too many levels of symbolic links",
    make_empty: "not a run file, or damaged or cut off",
    make_sparse: "not a run file, or damaged or cut off",
}


@pytest.mark.parametrize("make", FOREIGN, ids=lambda make: make.__name__)
def test_what_is_not_a_run_file_is_named_set_aside_and_made_anew(
    evaluate: CarryOut, tmp_path: Path, make: Callable[[Path, bytes], None]
) -> None:
    """A FIFO hung `results`, a folder named like a run stopped everything, files of a newer format were overwritten."""
    first = evaluate(seeds=2)
    run = fits(first)[0]
    content = run.path.read_bytes()
    run.path.unlink()
    make(run.path, content)
    place = os.lstat(run.path)
    reason = FOREIGN[make]
    with pytest.raises(NotARun) as caught:
        read_file(run.path)
    assert str(caught.value).startswith(reason)
    loaded = load_results(tmp_path / "results")
    assert [found.status for found in loaded.runs].count("missing") == 1
    (warning,) = loaded.warnings
    assert warning.startswith(f"{tmp_path / 'results'}: {run.path.name}: {reason}")
    # It is there as it was.
    assert os.lstat(run.path).st_ino == place.st_ino
    others = {found.path: found.path.stat().st_mtime_ns for found in first.runs if found.id != run.id}
    again = evaluate(seeds=2)
    assert [dict(found.metrics) for found in again.runs] == [dict(found.metrics) for found in first.runs]
    (warning,) = again.warnings
    assert warning.endswith(f"; it is now set_aside/{run.path.name}")
    aside = tmp_path / "results" / "set_aside" / run.path.name
    assert (os.lstat(aside).st_ino, os.lstat(aside).st_size) == (place.st_ino, place.st_size)
    assert {path: path.stat().st_mtime_ns for path in others} == others
    assert evaluate(seeds=2).warnings == ()


def test_a_file_without_the_permission_to_read_is_named(
    store: RunStore, made_runs: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Simulated, since root, who runs tests in containers, may read everything."""
    run, _ = made_runs[0]
    store.index.path.unlink()

    def refuse(path: object, *arguments: object) -> int:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(os, "open", refuse)
    assert store.records([run.id]) == {}
    assert store.unusable == {f"{run.id}.h5": "not readable: Permission denied"}


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_damaged_files_of_a_folder_are_made_anew_on_resume(
    evaluate: CarryOut, tmp_path: Path, damage: Callable[[bytes, bytes, random.Random], bytes]
) -> None:
    first = evaluate(seeds=3)
    runs = list(first.runs)
    one, two = runs[1], runs[3]
    content, other = one.path.read_bytes(), two.path.read_bytes()
    damaged = damage(content, other, random.Random(7))
    assert damaged != content
    one.path.write_bytes(damaged)
    if damage is swap:
        two.path.write_bytes(content)
    changed = {one.id, two.id} if damage is swap else {one.id}
    loaded = load_results(tmp_path / "results")
    assert len(loaded.warnings) == len(changed)
    for run, before in zip(loaded.runs, first.runs, strict=True):
        assert dict(run.metrics) == ({} if run.id in changed else dict(before.metrics))
    again = evaluate(seeds=3)
    assert [dict(run.metrics) for run in again.runs] == [dict(run.metrics) for run in first.runs]
    for run in again.runs:
        np.testing.assert_array_equal(
            read_file(run.path).arrays.outputs["values"],
            decode(run.path.read_bytes(), run.id).arrays.outputs["values"],
        )
    aside = tmp_path / "results" / "set_aside"
    assert (aside / one.path.name).read_bytes() == damaged
    assert len(list(aside.iterdir())) == len(changed)


def index_of(store: RunStore) -> Path:
    return store.folder / "index.sqlite"


def delete(index: Path) -> None:
    index.unlink()


def fill_with_random_bytes(index: Path) -> None:
    index.write_bytes(random.Random(1).randbytes(index.stat().st_size))


def empty(index: Path) -> None:
    index.write_bytes(b"")


def become_a_folder(index: Path) -> None:
    index.unlink()
    index.mkdir()


def become_a_fifo(index: Path) -> None:
    index.unlink()
    os.mkfifo(index)


def lose_its_columns(index: Path) -> None:
    """As an index of another version."""
    index.unlink()
    with sqlite3.connect(index) as database:
        database.execute("CREATE TABLE runs (id TEXT PRIMARY KEY, facts TEXT)")
        database.execute("INSERT INTO runs VALUES ('a', 'b')")


def lie(index: Path) -> None:
    """Entries that were edited: other figures under the same checksum."""
    with sqlite3.connect(index) as database:
        assert database.execute("UPDATE runs SET facts = replace(facts, '\"psnr\": ', '\"psnr\": 9')").rowcount


SPOILED = (delete, fill_with_random_bytes, empty, become_a_folder, become_a_fifo, lose_its_columns, lie)


@pytest.mark.parametrize("spoil", SPOILED, ids=lambda spoil: spoil.__name__)
def test_a_spoiled_index_changes_no_result(store: RunStore, made_runs: Made, spoil: Callable[[Path], None]) -> None:
    expected = {run.id: decode(content, run.id) for run, content in made_runs}
    spoil(index_of(store))
    assert RunStore(store.folder).records(list(expected)) == expected
    # What can be repaired is.
    again = RunStore(store.folder)
    assert again.records(list(expected)) == expected
    if spoil not in (become_a_folder, become_a_fifo):
        assert len(RunStore(store.folder).index.known(list(expected))) == len(expected)


def test_flipped_bits_in_the_index_change_no_result(store: RunStore, made_runs: Made) -> None:
    expected = {run.id: decode(content, run.id) for run, content in made_runs}
    whole, at = index_of(store).read_bytes(), random.Random(0)
    for _ in range(200):
        index_of(store).write_bytes(flip(whole, b"", at))
        assert RunStore(store.folder).records(list(expected)) == expected


def test_an_entry_of_the_index_counts_for_its_very_file_only(store: RunStore, made_runs: Made) -> None:
    """Also if another program writes a file of the same size in its place and sets its times back."""
    run, content = made_runs[-1]
    path = store.path(run.id)
    old = decode(content, run.id)
    # The same number of digits, so that the file has the same size.
    digit = str(old.parameters)[-1]
    replaced = encode(replace(old, parameters=int(str(old.parameters)[:-1] + ("1" if digit != "1" else "2"))))
    assert len(replaced) == len(content)
    for write in (in_place, by_renaming):
        path.write_bytes(content)
        assert RunStore(store.folder).records([run.id])[run.id].parameters == old.parameters
        assert run.id in RunStore(store.folder).index.known([run.id])
        before = path.stat()
        write(path, replaced)
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
        assert RunStore(store.folder).records([run.id])[run.id].parameters != old.parameters


def in_place(path: Path, content: bytes) -> None:
    with path.open("r+b") as file:
        file.write(content)


def by_renaming(path: Path, content: bytes) -> None:
    path.with_suffix(".new").write_bytes(content)
    path.with_suffix(".new").replace(path)


def test_a_folder_that_cannot_be_written_is_read_without_an_index(store: RunStore, made_runs: Made) -> None:
    expected = {run.id: decode(content, run.id) for run, content in made_runs}
    index_of(store).unlink()
    store.folder.chmod(0o500)
    try:
        assert RunStore(store.folder).records(list(expected)) == expected
    finally:
        store.folder.chmod(0o700)


def test_an_index_in_use_is_left_alone(store: RunStore, made_runs: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    """Deleting it under another process would cost that one its entries."""
    from inrbench_core.runs import index as index_module

    monkeypatch.setattr(index_module, "_WAIT_S", 0.1)
    run, content = made_runs[0]
    inode = index_of(store).stat().st_ino
    with sqlite3.connect(index_of(store)) as other:
        other.execute("BEGIN EXCLUSIVE")
        again = RunStore(store.folder)
        assert again.records([run.id]) == {run.id: decode(content, run.id)}
        again.put(run.id, content)
    other.close()
    assert index_of(store).stat().st_ino == inode
    assert len(RunStore(store.folder).index.known([run.id for run, _ in made_runs])) == len(made_runs)
