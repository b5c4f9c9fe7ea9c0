import hashlib
import importlib.metadata
from typing import ClassVar

import pytest
from pydantic import BaseModel, ValidationError, field_validator

from inrbench_core import DataError
from inrbench_core.api.sources import Sample, content_sha256, file_sha256, find_sample, find_source

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
