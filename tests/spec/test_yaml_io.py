import math
from pathlib import Path

import pytest

from inrbench_core.spec.yaml_io import SpecError, load_yaml, show_path


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
    assert problems(write_spec("\n".join(["l0: &l0 1", *levels])))[0].endswith(
        "it holds more than 100,000 values, with its aliases written out"
    )
    assert problems(write_spec("a: " + "[" * 3000 + "]" * 3000))[0].endswith("it is nested too deeply")
    assert "a value cannot be read" in problems(write_spec("a: " + "9" * 5000))[0]


def test_missing_empty_tabbed_and_broken_files_are_one_line_each(write_spec, tmp_path):
    missing = tmp_path / "absent.yaml"
    assert problems(missing) == [f"{missing}: no such file"]
    assert "the file is empty" in problems(write_spec(""))[0]
    assert "the file is empty" in problems(write_spec("# only a comment\n"))[0]
    assert "spec.yaml:2: a tab indents this line" in problems(write_spec("a:\n\tb: 1\n"))[0]
    assert "spec.yaml:2: not valid YAML" in problems(write_spec("a: [1\n"))[0]
    assert "cannot be read" in problems(tmp_path)[0]


def test_paths_are_shown_as_people_write_them():
    assert show_path(("fields", 0, "encoding", "frequencies")) == "fields[0].encoding.frequencies"
