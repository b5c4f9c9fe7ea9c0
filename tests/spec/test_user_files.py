"""Sources that are no readable files are one line each, at the place where they are written."""

import os

import pytest

# What is told of sources in a list of signals, where it is something else.
OF_LISTS = {"3": "expected a name, a file or a pattern, got int", '"\\e[2J.txt"': "no file matches '\\x1b[2J.txt'"}


@pytest.fixture(autouse=True)
def _files(tmp_path):
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "one").symlink_to("two")
    (tmp_path / "two").symlink_to("one")
    (tmp_path / "nowhere").symlink_to("absent.txt")
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("~nosuchuser/x", "Could not determine home directory"),
        ("loop", "loop"),
        ("one/x.txt", "loop"),
        ("a" * 300, "File name too long"),
        ("a" * 300 + ".png", "File name too long"),
        ("x/" * 5000, "File name too long"),
        ('"a\\0b"', "null"),
        ('"\\e[2J.txt"', "no such file: "),
        ('"a\\nb.txt"', "no such file: "),
        ("absent.txt", "no such file: "),
        ("nowhere", "unknown curve 'nowhere'"),
        ("sqare", "did you mean 'square'?"),
        ("folder", "is a folder; a curve is one file"),
        ("pipe", "is a pipe (FIFO); a curve is a file"),
        ("/dev/null", "is a device; a curve is a file"),
        ("3", "Input should be a valid string, got 3"),
        ("[square, circle]", "Input should be a valid string, got ['square', 'circle']"),
        ("!!binary aGk=", "values tagged !!binary are not supported"),
        ("2026-01-01", "unknown curve '2026-01-01'"),
        ("9" * 400, "a whole number has at most 18 digits"),
    ],
)
@pytest.mark.parametrize("listed", [False, True])
def test_a_source_that_cannot_be_used_is_one_line(errors, source, reason, listed):
    if listed and source == "[square, circle]":
        pytest.skip("a list of two is two signals")
    text = f"signals: [{source}]" if listed else f"source: {source}"
    (line,) = errors(f"task:\n  name: curve\n  {text}\nfields: [shallow]\n")
    place = "3: task.signals[0]: " if listed else "3: task.source: "
    assert line.startswith(place)
    assert (OF_LISTS.get(source, reason) if listed else reason) in line
    assert len(line) < 600
