import math
import os
from pathlib import Path

import pytest

from inrbench_core.spec.yaml_io import SpecError, SpecProblem, load_yaml, parse_value, show_path


def problems(file: Path) -> list[str]:
    with pytest.raises(SpecError) as caught:
        load_yaml(file)
    return str(caught.value).splitlines()


@pytest.mark.parametrize("text", ["1e-3", "1E-3", "1.e-3", "0.1e-2", ".1e-2", "+1e-3"])
def test_floats_are_read_as_people_write_them(write_spec, text):
    assert load_yaml(write_spec(f"lr: {text}")).data["lr"] == pytest.approx(1e-3)


@pytest.mark.parametrize(
    ("text", "value"), [("50_000", 50_000), ("-3", -3), ("0", 0), ("2.", 2.0), ("-.inf", -math.inf)]
)
def test_numbers_keep_their_kind(write_spec, text, value):
    read = load_yaml(write_spec(f"n: {text}")).data["n"]
    assert read == value
    assert type(read) is type(value)


@pytest.mark.parametrize("text", ["e-3", "1e", "12ab", "1e-3x", "010", "1:30", "2026-01-01", "2020-13-45"])
def test_words_that_look_like_numbers_stay_words(write_spec, text):
    assert load_yaml(write_spec(f"lr: {text}")).data["lr"] == text


def test_lines_are_known_for_keys_items_and_missing_parts(write_spec):
    document = load_yaml(write_spec("a: 1\nb:\n  - c: 2\n  -\n    d: 3\n"))
    assert document.line(("b", 0, "c")) == 3
    assert document.line(("b", 1, "d")) == 5
    assert document.line(("b", 1, "absent")) == 5
    assert document.line(("absent",)) == 1


def test_all_duplicate_keys_are_told_with_both_lines(write_spec):
    file = write_spec("a: 1\nb: {c: 1, c: 2}\na: 2\n")
    assert problems(file) == [
        f"{file}:2: b.c: duplicate key; it is already on line 2",
        f"{file}:3: a: duplicate key; it is already on line 1",
    ]


def test_merge_keys_are_not_taken_for_duplicates(write_spec):
    assert load_yaml(write_spec("x: &x {a: 1}\ny: {<<: *x, a: 2}\n")).data["y"] == {"a": 2}


def test_a_recursive_alias_is_an_error_and_not_a_recursion(write_spec):
    assert "an alias refers to what encloses it" in problems(write_spec("a: &a [*a]\n"))[0]


def test_what_stands_for_too_much_is_one_line(write_spec):
    levels = [f"l{i + 1}: &l{i + 1} [{', '.join([f'*l{i}'] * 10)}]" for i in range(6)]
    aliases = "\n".join(["l0: &l0 1", *levels])
    many = "it holds more than 100,000 values, with its aliases written out"
    assert problems(write_spec(aliases))[0].endswith(f":1: {many}")
    assert problems(write_spec("a: [" + "1, " * 200_000 + "1]"))[0].endswith(many)
    (line,) = problems(write_spec("a: 1\nb: " + "1" * 4_000_001))
    assert line.endswith("spec.yaml: larger than 4 MB")


@pytest.mark.parametrize("levels", [51, 3000, 300_000])
def test_what_is_nested_too_deeply_is_one_line_and_does_not_end_the_process(write_spec, levels):
    for text in ("a: 1\nb: " + "[" * levels, "a: 1\nb: " + "{a: " * levels, "a: 1\nb:\n" + "- " * levels):
        (line,) = problems(write_spec(text))
        assert "nested more than 50 levels deep" in line
    with pytest.raises(ValueError, match="nested more than 50 levels deep"):
        parse_value("[" * levels)


def test_aliases_that_nest_are_counted_as_what_they_stand_for(write_spec):
    aliases = "\n".join(["a0: &a0 [1]", *(f"a{i + 1}: &a{i + 1} [*a{i}]" for i in range(60))])
    assert "nested more than 50 levels deep" in problems(write_spec(aliases))[0]
    assert load_yaml(write_spec("a: " + "[" * 48 + "1" + "]" * 48)).data


@pytest.mark.parametrize("digits", [19, 400, 5000])
def test_whole_numbers_of_many_digits_are_one_line(write_spec, digits):
    file = write_spec(f"a: 1\nb: [{'9' * digits}]\n")
    assert problems(file) == [f"{file}:2: b[0]: a whole number has at most 18 digits"]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("!!binary aGk=", "values tagged !!binary are not supported; write text or numbers"),
        ("!!timestamp 2026-01-01", "values tagged !!timestamp are not supported; write text or numbers"),
        ("!!set {a}", "values tagged !!set are not supported; write text or numbers"),
        ("!own x", "values tagged !own are not supported; write text or numbers"),
        ("!!python/object:os.system x", "values tagged !!python/object:os.system are not supported"),
        ("!!int ''", "'' is not readable as !!int"),
        ("!!int x", "'x' is not readable as !!int"),
        ("!!float ''", "'' is not readable as !!float"),
        ("!!bool maybe", "'maybe' is not readable as !!bool"),
    ],
)
def test_tags_are_one_line_each(write_spec, value, message):
    file = write_spec(f"a: 1\nname: {value}\n")
    (line,) = problems(file)
    assert line.startswith(f"{file}:2: name: {message}")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1: 2", "a key has to be text: write '1' in quotes"),
        ("null: 2", "a key has to be text: write 'null' in quotes"),
        ("true: 2", "a key has to be text: write 'true' in quotes"),
        ("[a]: 2", "a key has to be text"),
        ("{a: 1}: 2", "a key has to be text"),
        ("? !!binary aGk=\n: 2", "a key has to be text: write 'aGk=' in quotes"),
        ("=: 2", "a key has to be text: write '=' in quotes"),
    ],
)
def test_keys_are_text(write_spec, text, expected):
    (line,) = problems(write_spec(text))
    assert line.partition(":1: ")[2] == expected


def test_missing_empty_tabbed_and_broken_files_are_one_line_each(write_spec, tmp_path):
    missing = tmp_path / "absent.yaml"
    assert problems(missing) == [f"{missing}: no such file"]
    assert "the file is empty" in problems(write_spec(""))[0]
    assert "the file is empty" in problems(write_spec("# only a comment\n"))[0]
    assert "spec.yaml:2: a tab indents this line" in problems(write_spec("a:\n\tb: 1\n"))[0]
    assert "spec.yaml:2: not valid YAML" in problems(write_spec("a: [1\n"))[0]
    assert "spec.yaml:1: not valid YAML" in problems(write_spec("a: \x00\n"))[0]
    assert problems(tmp_path) == [f"{tmp_path}: a folder, not a file"]


def test_what_is_no_file_is_one_line_and_nothing_is_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "latin").write_bytes("größe: 1".encode("latin-1"))
    assert problems(tmp_path / "pipe") == [f"{tmp_path}/pipe: not a file"]
    assert problems(Path("/dev/zero")) == ["/dev/zero: not a file"]
    for name, reason in (
        ("loop", "Too many levels of symbolic links"),
        ("a" * 300, "File name too long"),
        ("a\x00b", "embedded null byte"),
        ("latin", "codec can't decode byte"),
    ):
        (line,) = problems(tmp_path / name)
        assert ": not readable: " in line
        assert reason in line


def test_paths_are_shown_as_people_write_them():
    assert show_path(("fields", 0, "encoding", "frequencies")) == "fields[0].encoding.frequencies"


def test_each_problem_is_one_printable_line_of_bounded_length():
    error = SpecError(Path("a\nb.yaml"), [SpecProblem(1, "key\x1b[2J", "two\nlines"), SpecProblem(2, "", "x" * 9999)])
    first, second = str(error).splitlines()
    assert first == "a b.yaml:1: key\\x1b[2J: two lines"
    assert len(second) <= 1003
