"""In what an experiment differs from the setting that it was made from."""

from __future__ import annotations

import pytest
from inrbench_published.changes import what_changed

from inrbench_core.plugins.loading import load_catalog
from inrbench_core.spec.builder import load_experiment

CATALOG = load_catalog()
SPEC = """
name: tiny
task: {name: denoising, signals: [camera, coins], size: 16}
fields:
  - {name: mlp, label: sine, activation: sine, width: 8, depth: 1}
  - {name: mlp, label: relu, activation: relu, width: 8, depth: 1}
training: {steps: 2, lr: 1e-3, compile: off}
seeds: [0, 1]
"""


@pytest.fixture
def changes_of(tmp_path):
    (tmp_path / "tiny.yaml").write_text(SPEC)
    (tmp_path / "mine.png").write_bytes(b"not read")

    def of(*settings):
        published, changed = (load_experiment(tmp_path / "tiny.yaml", CATALOG, given) for given in ([], settings))
        return what_changed(published, changed)

    return of


@pytest.mark.parametrize(
    "settings",
    [
        (),
        ("executor={name: local, jobs: 1}", "stack=off", "name=other", "device=cpu", "timeout_s=60"),
        ("training.steps=2", "seeds=2", "task.size=16", "fields.0.activation=sine"),
        ("task.signals=[coins, camera]",),
    ],
)
def test_how_runs_are_carried_out_and_what_says_the_same_are_no_changes(changes_of, settings):
    changed, same_signals = changes_of(*settings)
    assert {text for texts in changed.values() for text in texts} == set()
    assert same_signals


@pytest.mark.parametrize(
    ("settings", "sine", "relu"),
    [
        (["training.steps=5"], ["training.steps=5"], ["training.steps=5"]),
        (["fields.1.training={lr: 0.01}"], [], ["training.lr=0.01"]),
        (["fields.0.activation={name: sine, omega: 5}"], ["field.activation.omega=5.0"], []),
        (["fields.1.activation=tanh"], [], ["field.activation.name=tanh"]),
    ],
)
def test_changes_are_those_of_a_row(changes_of, settings, sine, relu):
    changed, same_signals = changes_of(*settings)
    assert (changed["sine"], changed["relu"]) == (sine, relu)
    assert changed["constant"] == []
    assert same_signals


@pytest.mark.parametrize(
    ("setting", "expected"),
    [("seeds=[3]", "seeds=[3]"), ("data_seed=1", "data_seed=1"), ("task.level=0.2", "task.level=0.2")],
)
def test_a_change_of_seeds_or_of_the_task_is_one_of_every_row_and_baseline(changes_of, setting, expected):
    changed, same_signals = changes_of(setting)
    assert {"sine", "relu"} < set(changed)
    assert {tuple(texts) for texts in changed.values()} == {(expected,)}
    assert same_signals


@pytest.mark.parametrize("signals", ["[camera]", "[camera, coins, chelsea]", "[camera, mine.png]"])
def test_other_signals_are_told_apart_from_changes_of_the_setting(changes_of, signals):
    changed, same_signals = changes_of(f"task.signals={signals}")
    assert {text for texts in changed.values() for text in texts} == set()
    assert not same_signals
