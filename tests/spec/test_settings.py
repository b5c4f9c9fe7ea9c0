"""Changes of a spec by `--set KEY=VALUE`."""

import pytest


def test_set_changes_the_spec(rows):
    text = "{task: line, fields: [{name: shallow}], training: {steps: 10}}"
    (row,) = rows(text, "training.steps=20", "fields.0.width=5", "fields.0.training.lr=1e-2")
    assert (row.training.steps, row.field.spec.width, row.training.lr) == (20, 5, 0.01)
    assert row.sources["lr"] == "own training"
    swept = rows(
        "{task: line, fields: [shallow], sweep: {training.lr: [1]}}",
        "fields.0=swell",
        "sweep={training.lr: [1e-3, 2e-3]}",
    )
    assert {row.training.lr for row in swept} == {1e-3, 2e-3}


def test_what_is_empty_or_missing_becomes_a_mapping(rows):
    (row,) = rows("task: line\nfields: [shallow]\ntraining:\n", "training.steps=7")
    assert row.training.steps == 7
    (row,) = rows("{task: line, fields: [shallow]}", "training.optimizer.name=sgd")
    assert row.training.optimizer.name == "sgd"


def test_what_an_alias_stands_for_is_changed_in_one_place_only(rows):
    fields = "[{name: shallow, label: a, training: &x {steps: 3}}, {name: shallow, label: b, training: *x}]"
    first, second = rows(f"{{task: line, fields: {fields}}}", "fields.0.training.steps=5")
    assert (first.training.steps, second.training.steps) == (5, 3)
    first, second = rows("{task: line, fields: []}", f"fields={fields}", "fields.1.training.steps=5")
    assert (first.training.steps, second.training.steps) == (3, 5)


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        ("steps", "--set steps: expected key=value"),
        ("=3", "--set =3: expected key=value"),
        ("training.lr=[1", "--set training.lr=[1: not valid YAML: '[1'"),
        ("training.lr=!!int x", "--set training.lr=!!int x: 'x' is not readable as !!int"),
        ("training.lr=!!timestamp 2026-01-01", "--set training.lr=!!timestamp 2026-01-01: values tagged !!timestamp"),
        ("name={1: 2}", "--set name={1: 2}: a key has to be text: write '1' in quotes"),
        ("name={a: 1, a: 2}", "--set name={a: 1, a: 2}: duplicate key; it is already on line 1"),
        ("fields.7.width=1", "--set fields.7.width=1: the spec has nothing at 'fields.7.width' to set"),
        ("fields.x.width=1", "--set fields.x.width=1: the spec has nothing at 'fields.x.width' to set"),
        ("task.samples=1", "--set task.samples=1: the spec has nothing at 'task.samples' to set"),
        ("training.steps=" + "9" * 400, "--set training.steps=999"),
        ("training.steps=" + "[" * 100_000, "--set training.steps=[[["),
        ("a" + ".a" * 5000 + "=1", "--set a.a.a.a"),
    ],
)
def test_a_setting_that_cannot_be_used_is_one_line(errors, setting, expected):
    (line,) = errors("{task: line, fields: [shallow], training: {steps: 1}}", setting)
    assert line.partition("spec.yaml: ")[2].startswith(expected) or line.startswith(f"1: {expected}")
    assert len(line) < 1200


def test_a_few_aliases_that_stand_for_billions_are_refused(errors):
    levels = ", ".join(f"l{i + 1}: &l{i + 1} [{', '.join([f'*l{i}'] * 10)}]" for i in range(9))
    (line,) = errors("{task: line, fields: [shallow]}", f"name={{l0: &l0 [1], {levels}}}")
    assert line.startswith("1: --set name={l0: ")
