"""Specs that are mappings of Python, as `evaluate` takes them."""

from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
import yaml

from inrbench_core.spec.builder import build_experiment
from inrbench_core.spec.plain_data import plain_data
from inrbench_core.spec.yaml_io import SpecError, document_of


def problems(data):
    with pytest.raises(SpecError) as caught:
        document_of(data)
    return str(caught.value).splitlines()


def itself():
    data = {"fields": []}
    data["fields"] += [data] * 9
    return data


def test_numpy_tuples_and_paths_become_plain_data(catalog, tmp_path):
    (tmp_path / "a.txt").write_text("a")
    data = {
        "task": {"name": "curve", "source": tmp_path / "a.txt", "samples": np.int64(9)},
        "fields": ("shallow", {"name": "shallow", "width": np.int32(3), "label": np.str_("narrow")}),
        "sweep": {"training.lr": np.array([0.25, 0.5]), "training.steps": [np.float32(8.0)]},
    }
    document = document_of(data)
    assert document.data == {
        "task": {"name": "curve", "source": str(tmp_path / "a.txt"), "samples": 9},
        "fields": ["shallow", {"name": "shallow", "width": 3, "label": "narrow"}],
        "sweep": {"training.lr": [0.25, 0.5], "training.steps": [8.0]},
    }
    assert yaml.safe_load(document.text) == document.data
    (board,) = build_experiment(document, catalog).boards
    assert {(row.field.spec.width, row.training.lr, row.training.steps) for row in board.rows} == {
        (width, lr, 8) for width in (16, 3) for lr in (0.25, 0.5)
    }


def test_the_callers_data_is_not_changed():
    inner = {"steps": 3}
    data = {"training": inner, "again": inner}
    copy = plain_data(data, lambda path, message: pytest.fail(message))
    copy["training"]["steps"] = 4
    assert data == {"training": {"steps": 3}, "again": {"steps": 3}}
    assert copy["again"] == {"steps": 3}


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (b"bytes", "expected text, a number, a list or a mapping, got bytes"),
        ({1, 2}, "expected text, a number, a list or a mapping, got set"),
        (3 + 4j, "expected text, a number, a list or a mapping, got complex"),
        (Decimal(1), "expected text, a number, a list or a mapping, got Decimal"),
        (object(), "expected text, a number, a list or a mapping, got object"),
        (np.datetime64("2026-01-01"), "expected text, a number, a list or a mapping, got date"),
        (10**18, "a whole number has at most 18 digits"),
        pytest.param(-(10**5000), "a whole number has at most 18 digits", id="5000 digits"),
        ({3: 4}, "a key has to be text, got int"),
        ({None: 4}, "a key has to be text, got NoneType"),
    ],
)
def test_what_is_no_plain_data_is_one_line_with_its_place(value, message):
    assert problems({"fields": [1, {"a": value}]}) == [f"spec: fields[1].a: {message}"]


def test_all_that_is_no_plain_data_is_told_at_once():
    assert len(problems({"fields": [b"a", {2: 3}], "name": object()})) == 3


def test_what_encloses_itself_or_has_no_end_is_one_line(catalog):
    (line,) = problems(itself())
    assert line.endswith("nested more than 50 levels deep")
    wide = [1]
    for _ in range(9):
        wide = [wide] * 9
    for many in (list(range(100_000)), wide):
        assert problems({"a": many}) == ["spec: it holds more than 100,000 values"]
    deep = 1
    for _ in range(5000):
        deep = [deep]
    (line,) = problems({"a": deep})
    assert line.endswith("nested more than 50 levels deep")


def test_problems_of_a_mapping_are_told_by_their_paths(catalog):
    with pytest.raises(SpecError) as caught:
        build_experiment(document_of({"task": "line", "fields": [{"name": "shallow", "width": 0}]}), catalog)
    assert str(caught.value) == "spec: fields[0].width: Input should be greater than 0, got 0"


def test_paths_of_a_mapping_are_relative_to_the_current_folder(catalog, tmp_path, monkeypatch):
    (tmp_path / "a.txt").write_text("a")
    monkeypatch.chdir(tmp_path)
    (board,) = build_experiment(
        document_of({"task": {"name": "curve", "source": "a.txt"}, "fields": "swell"}), catalog
    ).boards
    assert list(board.signals[0].files) == [str(Path(tmp_path, "a.txt"))]
