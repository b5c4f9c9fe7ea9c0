"""The kit over every component of every installed distribution."""

from __future__ import annotations

from collections import Counter

import pytest

from inrbench_core.plugins.catalog import Catalog
from inrbench_core.plugins.loading import load_catalog
from inrbench_core.testing import CheckResult, iter_checks
from inrbench_core.testing.kit import CHECKS

CATALOG = load_catalog()
ITEMS = [item for item in CATALOG.registered if item.entry.kind != "recipe"]
IDS = [f"{item.entry.kind}-{item.entry.name}" for item in ITEMS]
# They take most of the time; `make test-long` runs them.
SLOW = {"learns", "compiles", "output_not_confined"}
# Options of tasks, where they have them, that make their problems small.
SMALL = {
    "size": 48,
    "frames": 6,
    "duration_s": 0.25,
    "points": 4096,
    "resolution": 24,
    "train_views": 3,
    "test_views": 2,
}
# A cluster of this machine's own, which is there while it is checked.
ON_THIS_MACHINE = {"ray": {"address": "local"}}
# At most these are skipped by a component: what it lacks (nothing trained, nothing drawn), and CUDA.
MOST_SKIPPED = 5


def run(index: int, names: set[str]) -> list[CheckResult]:
    item = ITEMS[index]
    options = ON_THIS_MACHINE.get(item.entry.name, {}) if item.entry.kind == "executor" else {}
    if item.entry.kind == "task":
        options = {name: value for name, value in SMALL.items() if name in item.entry.spec.model_fields}
    return [check.run() for check in iter_checks(item, CATALOG, options) if check.name in names]


def names_of(kind: str) -> set[str]:
    return {function.__name__.removeprefix("check_") for function in CHECKS[kind]}


def assert_sound(results: list[CheckResult], wanted: int) -> None:
    failed = [result for result in results if result.status == "failed"]
    assert [f"{r.name}: {r.reason}" for r in failed] == []
    counts = Counter(result.status for result in results)
    # A green run that ran almost nothing is none.
    assert sum(counts.values()) == wanted
    assert counts["passed"] >= wanted - MOST_SKIPPED
    assert all(result.reason for result in results if result.status == "skipped")


CASES = [
    pytest.param(i, id=name, marks=[pytest.mark.ray, pytest.mark.slow] if name == "executor-ray" else [])
    for i, name in enumerate(IDS)
]


@pytest.mark.parametrize("index", CASES)
def test_a_component_conforms(index: int) -> None:
    names = names_of(ITEMS[index].entry.kind) - SLOW
    assert_sound(run(index, names), len(names))


@pytest.mark.long
@pytest.mark.parametrize(
    "index", [i for i, item in enumerate(ITEMS) if SLOW & names_of(item.entry.kind)], ids=lambda i: IDS[i]
)
def test_a_component_compiles_and_learns(index: int) -> None:
    names = names_of(ITEMS[index].entry.kind) & SLOW
    results = run(index, names)
    assert_sound(results, len(names))
    assert {result.name: result.status for result in results}["learns"] == "passed"


def test_every_recipe_stands_for_something_that_can_be_built() -> None:
    results = [check.run() for item in CATALOG.of_kind("recipe") for check in iter_checks(item, CATALOG)]
    assert len(results) == 2 * len(CATALOG.of_kind("recipe")) > 0
    assert [result for result in results if result.status == "failed"] == []
    # A recipe whose components are not installed is skipped; most must not be.
    assert Counter(result.status for result in results)["passed"] > 0.75 * len(results)


def test_every_official_component_is_checked(catalog: Catalog) -> None:
    counts = Counter(item.entry.kind for item in ITEMS)
    assert counts == Counter(item.entry.kind for item in catalog.registered if item.entry.kind != "recipe")
    assert counts["encoding"] >= 4
    assert counts["activation"] >= 14
    assert counts["basis"] >= 22
    assert counts["field"] >= 2
    assert counts["task"] >= 6
