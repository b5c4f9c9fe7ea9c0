"""What makes a run the same run: settings, code and the kind of device; not labels, paths or the order of keys."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from runs_support import TINY, MakePlan

from inrbench_core.plugins.catalog import Catalog
from inrbench_core.runs.identity import digest, group_of, id_of, run_id, settings_of
from inrbench_core.runs.run import BaselineRun, FitRun, run_from_data

Data = dict[str, Any]


@pytest.fixture
def data(plan: MakePlan) -> Data:
    """A run of a field, as plain data that has been through JSON."""
    (run,) = (run for run in plan().runs.values() if isinstance(run, FitRun))
    return json.loads(json.dumps(run.to_data()))  # type: ignore[no-any-return]


def identities(data: Data) -> tuple[str, str, str]:
    """Group, settings and id."""
    group = group_of(data)
    settings = settings_of(group, data)
    return group, settings, id_of(settings, data)


def put(*path: str | int, value: Any) -> Callable[[Data], None]:
    def change(data: Data) -> None:
        inner: Any = data
        for key in path[:-1]:
            inner = inner[key]
        inner[path[-1]] = value

    return change


SIGNAL = "source"
# What is changed, and which of group, settings and id change with it.
CHANGES: dict[str, tuple[Callable[[Data], None], tuple[bool, bool, bool]]] = {
    "seed": (put("seed", value=1), (False, True, True)),
    "data seed": (put("data_seed", value=1), (True, True, True)),
    "signal": (put("task", SIGNAL, value="other"), (False, True, True)),
    "option of the task": (put("task", "samples", value=65), (True, True, True)),
    "task": (put("task", "name", value="other"), (True, True, True)),
    "option of the field": (put("field", "width", value=17), (True, True, True)),
    "option of a part": (put("field", "activation", "omega", value=4.0), (True, True, True)),
    "training": (put("training", "steps", value=4), (True, True, True)),
    "option of the optimiser": (put("training", "optimizer", "eps", value=1e-7), (True, True, True)),
    "analyses": (put("analyses", value=[{"name": "spectrum"}]), (True, True, True)),
    "baseline": (put("baseline", value="zero"), (True, True, True)),
    "code": (put("code", "inrbench", value="edited"), (False, False, True)),
    "target": (put("targets", 0, value="elsewhere:Thing"), (False, False, True)),
    "kind of device": (put("device", value="cuda"), (False, False, True)),
    "label": (put("label", value="other"), (False, False, False)),
    "label of the task": (put("task_label", value="other"), (False, False, False)),
    "label of the signal": (put("signal_label", value="other"), (False, False, False)),
}


@pytest.mark.parametrize("name", CHANGES)
def test_what_counts_for_group_settings_and_id(data: Data, name: str) -> None:
    change, expected = CHANGES[name]
    changed = copy.deepcopy(data)
    change(changed)
    assert changed != data
    found = tuple(one != two for one, two in zip(identities(data), identities(changed), strict=True))
    assert found == expected


def test_the_number_of_the_gpu_does_not_count(data: Data) -> None:
    assert (
        run_id({**data, "device": "cuda:0"})
        == run_id({**data, "device": "cuda:1"})
        == run_id({**data, "device": "cuda"})
    )


def test_the_order_of_keys_does_not_count(data: Data) -> None:
    def reverse(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: reverse(value[key]) for key in reversed(value)}
        return value

    assert list(reverse(data)) != list(data)
    assert identities(reverse(data)) == identities(data)
    assert digest({"a": 1, "b": [1, 2]}) == digest({"b": [1, 2], "a": 1}) != digest({"b": [2, 1], "a": 1})


def test_a_file_counts_by_its_content_and_not_by_its_path(data: Data) -> None:
    def with_file(path: str, content: str) -> Data:
        changed = copy.deepcopy(data)
        changed["task"][SIGNAL] = path
        changed["files"] = {path: f"sha256:{content}.wav"}
        return changed

    here = identities(with_file("/home/one/a.wav", "aa"))
    assert identities(with_file("D:/b.wav", "aa")) == here
    other = identities(with_file("/home/one/a.wav", "bb"))
    assert other[0] == here[0]
    assert other[1] != here[1]
    # A name that happens to read like the hash is no file.
    named = copy.deepcopy(data)
    named["task"][SIGNAL] = "sha256:aa.wav"
    assert identities(named)[1] != here[1]


def test_a_run_comes_back_from_its_data(plan: MakePlan, catalog: Catalog) -> None:
    made = plan(task={"name": "line", "samples": 10}, fields=["shallow", "swell"], training={**TINY, "lr": 0.01})
    for run in made.runs.values():
        again = run_from_data(json.loads(json.dumps(run.to_data())), catalog)
        assert again == run
        assert run_id(run.to_data()) == run.id


@pytest.mark.parametrize(
    "key", ["task", "field", "baseline", "training", "analyses", "seed", "data_seed", "code", "targets", "device"]
)
def test_data_of_no_run_is_told_by_an_exception_that_readers_catch(data: Data, key: str) -> None:
    with pytest.raises((KeyError, TypeError, AttributeError)):
        run_id({name: value for name, value in data.items() if name != key})
    if key in ("task", "device"):
        with pytest.raises((KeyError, TypeError, AttributeError)):
            run_id({**data, key: 3})


def test_the_ids_of_a_plan(plan: MakePlan, tmp_path: Path) -> None:
    """Rows, signals and seeds each count once; the order is task, seed, signal, row."""
    for name, text in (("a", "2"), ("b", "4")):
        (tmp_path / name).write_text(text)
    task = {"name": "trouble", "signals": ["3", str(tmp_path / "a"), str(tmp_path / "b")]}
    made = plan(task=task, fields=["shallow", "swell"], seeds=2)
    runs = list(made.runs.values())
    assert len(runs) == 3 + 2 * 2 * 3
    assert [(run.seed, run.signal, run.label) for run in runs[:4]] == [
        (0, "3", "zero"),
        (0, "3", "wave"),
        (0, "3", "swell"),
        (0, "a", "zero"),
    ]
    assert [run.seed for run in runs] == [0] * 9 + [1] * 6
    assert len({run.group for run in runs}) == 3
    assert len({run.settings for run in runs}) == len(runs)
    assert {type(run) for run in runs if run.label == "zero"} == {BaselineRun}
    assert all(run.is_baseline == (run.label == "zero") for run in runs)
