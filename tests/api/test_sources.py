import contextlib
import hashlib
import importlib.metadata
import os
import shutil
import socket
import tempfile
from pathlib import Path
from typing import ClassVar

import pytest
from PIL import Image
from pydantic import BaseModel, ValidationError, field_validator

from inrbench_core import DataError
from inrbench_core.api import sources
from inrbench_core.api.sources import Sample, content_sha256, file_sha256, find_sample, find_source, open_picture

# A file that is surely installed where these tests run.
SAMPLES = {
    "mark": Sample("pytest", "py.typed", hashlib.sha256(b"").hexdigest(), "MIT", "some-task[samples]"),
    "gone": Sample("no-such-distribution", "a.wav", "0", "MIT", "some-task[samples]"),
}


class Tune(BaseModel):
    folders: ClassVar[bool] = False
    source: str

    @field_validator("source")
    @classmethod
    def _find(cls, source, info):
        return find_source(source, info, "tune", ("scale",), SAMPLES, folders=cls.folders)


class Album(Tune):
    folders = True


def test_names_samples_and_files_are_found(tmp_path):
    (tmp_path / "mine.wav").touch()
    context = {"folder": str(tmp_path)}
    for source in ("scale", "mark"):
        assert Tune.model_validate({"source": source}, context=context).source == source
    for source in ("mine.wav", str(tmp_path / "mine.wav")):
        assert Tune.model_validate({"source": source}, context=context).source == str(tmp_path / "mine.wav")
    assert Album.model_validate({"source": "."}, context=context).source == str(tmp_path)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("scal", r"unknown tune 'scal'; did you mean 'scale'\? \(known: scale, mark, gone, or a file\)"),
        ("no.wav", "no such file: .*no.wav"),
        ("a/b", "no such file: .*a/b"),
        (".", "is a folder; a tune is one file"),
        ("gone", r"the sample 'gone' needs an extra: pip install 'some-task\[samples\]'"),
    ],
)
def test_what_is_not_there_is_told(source, message):
    with pytest.raises(ValidationError, match=message):
        Tune(source=source)


def test_a_sample_is_located_and_checked(tmp_path):
    path = find_sample("mark", SAMPLES)
    assert path in [file.locate() for file in importlib.metadata.files("pytest")]
    assert file_sha256(path, SAMPLES["mark"].sha256) == SAMPLES["mark"].sha256
    (tmp_path / "other").write_bytes(b"other")
    with pytest.raises(DataError, match="other: not the file that is known: sha256 d9298a10"):
        file_sha256(tmp_path / "other", SAMPLES["mark"].sha256)
    with pytest.raises(DataError, match="no such file"):
        file_sha256(tmp_path / "none")
    with pytest.raises(DataError, match="cannot be read"):
        file_sha256(tmp_path)


def test_a_folder_is_known_by_its_files_names_and_contents(tmp_path):
    (tmp_path / "frames").mkdir()
    frame = tmp_path / "frames" / "1.png"
    frame.write_bytes(b"one")
    first = content_sha256(tmp_path)
    frame.write_bytes(b"two")
    second = content_sha256(tmp_path)
    frame.rename(frame.with_name("2.png"))
    third = content_sha256(tmp_path)
    assert len({first, second, third}) == 3
    assert content_sha256(frame.with_name("2.png")) == hashlib.sha256(b"two").hexdigest()


def special_files(folder):
    """What looks like a file to a careless reader, by what it is called."""
    os.mkfifo(folder / "pipe.wav")
    with contextlib.closing(socket.socket(socket.AF_UNIX)) as listener, contextlib.chdir(folder):
        listener.bind("socket.wav")
    (folder / "device.wav").symlink_to("/dev/zero")
    return {"pipe.wav": r"a pipe \(FIFO\)", "socket.wav": "a socket", "device.wav": "a device"}


def test_what_is_neither_file_nor_folder_is_never_opened(tmp_path):
    for name, kind in special_files(tmp_path).items():
        for album in (Tune, Album):
            with pytest.raises(ValidationError, match=f"is {kind}; a tune is a file"):
                album(source=str(tmp_path / name))
        for digest in (file_sha256, content_sha256):
            with pytest.raises(DataError, match=f"{name}: cannot be read: it is {kind}"):
                digest(tmp_path / name)


def test_such_a_thing_among_the_files_of_a_folder_is_named(tmp_path):
    (tmp_path / "inner").mkdir()
    for name, kind in special_files(tmp_path / "inner").items():
        whole = tmp_path / f"with {name}"
        whole.mkdir()
        (whole / "frame.png").touch()
        (tmp_path / "inner" / name).rename(whole / name)
        with pytest.raises(DataError, match=f"{name}: is {kind}; only files and folders are read"):
            content_sha256(whole)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("~nosuchuser/x", "source '~nosuchuser/x': Could not determine home directory"),
        ("a\0b.wav", "null byte"),
        ("a" * 300, r"source 'a{80}\.\.\.': File name too long"),
        ("a/" * 5000, "File name too long"),
    ],
)
def test_names_that_no_file_can_have_are_told_in_one_line(source, message):
    with pytest.raises(ValidationError, match=message) as caught:
        Tune(source=source)
    (error,) = caught.value.errors()
    assert error["type"] == "value_error"
    assert len(error["msg"]) < 200


def test_loops_of_links_are_told(tmp_path):
    (tmp_path / "a.wav").symlink_to("b.wav")
    (tmp_path / "b.wav").symlink_to("a.wav")
    with pytest.raises(ValidationError, match=r"source '.*a\.wav': .*[Ss]ym(link|bolic)"):
        Tune(source=str(tmp_path / "a.wav"))
    with pytest.raises(DataError, match=r"a\.wav: cannot be read: Too many levels of symbolic links"):
        file_sha256(tmp_path / "a.wav")
    with pytest.raises(DataError, match=r"[ab]\.wav: cannot be read: Too many levels of symbolic links"):
        content_sha256(tmp_path)


def test_links_in_a_folder_are_followed_once(tmp_path):
    frames, album = tmp_path / "frames", tmp_path / "album"
    frames.mkdir()
    album.mkdir()
    (frames / "1.png").write_bytes(b"one")
    (album / "linked").symlink_to(frames)
    (album / "itself").symlink_to(album)
    (album / "nowhere").symlink_to("none")
    first = content_sha256(album)
    (frames / "1.png").write_bytes(b"two")
    assert content_sha256(album) != first


def test_a_folder_of_very_many_files_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(sources, "MOST_FILES", 5)
    for number in range(6):
        (tmp_path / f"{number}.png").touch()
    with pytest.raises(DataError, match="holds more than 5 files"):
        content_sha256(tmp_path)


@pytest.fixture
def folder_of_others():
    """A folder that everyone may enter, while this process may not read what belongs to nobody."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    (folder / "inner").mkdir()
    (folder / "mine.wav").write_bytes(b"secret")
    for path in (folder / "mine.wav", folder / "inner"):
        path.chmod(0)
    user = os.geteuid()
    if user == 0:
        os.seteuid(65_534)
    yield folder
    os.seteuid(user)
    (folder / "inner").chmod(0o700)
    shutil.rmtree(folder)


def test_what_may_not_be_read_is_told_before_any_run(folder_of_others):
    for name in ("mine.wav", "inner", "inner/deep.wav"):
        with pytest.raises(ValidationError, match=f"source '.*{name}': Permission denied"):
            Album(source=str(folder_of_others / name))
    for name in ("mine.wav", "inner/deep.wav"):
        with pytest.raises(DataError, match=f"{name}: cannot be read: Permission denied"):
            file_sha256(folder_of_others / name)
    for path in (folder_of_others, folder_of_others / "inner"):
        with pytest.raises(DataError, match="cannot be read: Permission denied"):
            content_sha256(path)


def test_only_pictures_of_a_bounded_size_are_opened(tmp_path):
    Image.new("L", (30, 20)).save(tmp_path / "a.png")
    with open_picture(tmp_path / "a.png", longest=30) as image:
        assert image.size == (30, 20)
    with (
        pytest.raises(DataError, match=r"a\.png: 20 x 30 pixels: at most 29 along a side are read"),
        open_picture(tmp_path / "a.png", longest=29),
    ):
        pass
    Image.new("L", (30, 20)).save(tmp_path / "b.png", format="ICO")
    with (
        pytest.raises(DataError, match=r"b\.png: not a picture that is readable \(png, "),
        open_picture(tmp_path / "b.png"),
    ):
        pass


def test_what_goes_wrong_with_an_open_picture_names_the_file(tmp_path):
    Image.effect_noise((30, 20), 50).save(tmp_path / "a.png")
    (tmp_path / "a.png").write_bytes((tmp_path / "a.png").read_bytes()[:200])
    with pytest.raises(DataError, match=r"a\.png: cannot be read: image file is truncated"):  # noqa: SIM117
        with open_picture(tmp_path / "a.png") as image:
            image.load()
