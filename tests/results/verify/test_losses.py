"""The last loss of honest fits and of fits on all samples, and the tolerances."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from inrbench_core.results.verify.losses import LastLoss
from inrbench_core.results.verify.report import PROBES, Finding, Note, Unchecked, make_report
from inrbench_core.results.verify.tolerance import agree, outputs_differ

PAGE = Path(__file__).parents[3] / "docs" / "verify.md"


def loss(**facts: Any) -> LastLoss:
    honest = {"stored": 0.1001, "trained": 0.1, "change": 2e-4, "everything": 0.103, "gap": 1.0, "small": True}
    return LastLoss(**{**honest, **facts})


def test_what_the_last_loss_tells() -> None:
    assert not loss().is_leaked
    assert not loss().is_of_other_samples
    leaked = loss(stored=0.1031)
    assert leaked.is_leaked
    # Where a step may change as much, all samples have to explain the loss thirty times as closely.
    assert not loss(stored=0.1032, change=0.02).is_leaked
    assert loss(stored=0.10301, change=0.02).is_leaked
    # Held-out errors that are much larger, or a last step at a large rate, speak against it or hide it.
    assert not loss(stored=0.1031, gap=5.0).is_leaked
    assert not loss(stored=0.1031, small=False).is_leaked
    assert not loss(everything=math.nan).is_leaked
    assert loss(stored=0.2).is_of_other_samples
    assert not loss(stored=0.2, change=0.05).is_of_other_samples
    assert not loss(stored=0.2, trained=math.nan).is_of_other_samples


@pytest.mark.parametrize(
    ("stored", "found", "unit", "same"),
    [
        (30.0, 30.009, "dB", True),
        (30.0, 30.02, "dB", False),
        # An error of 1e-4 that changes by 1e-6 is one of 0.086 dB.
        (80.0, 80.08, "dB", True),
        (80.0, 80.2, "dB", False),
        (0.5, 0.5009, "", True),
        (0.5, 0.502, "", False),
        (math.inf, math.inf, "dB", True),
        (math.inf, 90.0, "dB", False),
        (math.nan, math.nan, "", True),
        (math.nan, 1.0, "", False),
    ],
)
def test_tolerance_of_metrics(stored: float, found: float, unit: str, same: bool) -> None:
    assert agree(stored, found, unit) is same


def test_tolerance_of_outputs() -> None:
    values = np.linspace(0.0, 1.0, 1000, dtype=np.float32)
    assert outputs_differ({"a": values}, {"a": values + 5e-4}) is None
    assert outputs_differ({"a": values}, {"a": values + 2e-3}) == ("a", pytest.approx(2e-3, rel=1e-3))
    levels = np.zeros(1000, np.uint8)
    assert outputs_differ({"a": levels}, {"a": levels + 1}) is None
    assert outputs_differ({"a": levels}, {"a": levels + 2}) == ("a", 1.0)
    assert outputs_differ({"a": values}, {"a": values[1:]}) == ("a", math.inf)
    assert outputs_differ({"a": values}, {"b": values}) is None


def test_a_report_is_sorted_and_says_each_thing_once() -> None:
    late, early = (Finding(probe, "what", "advice", ("run",), ("id",), 1.0, 2.0) for probe in ("refit", "files"))
    report = make_report("folder", 3, [late, Note("n"), early, early, Unchecked(("a",), "r"), Unchecked(("b",), "r")])
    assert report.findings == (early, late)
    assert report.unchecked == (Unchecked(("a", "b"), "r"),)
    assert early.line() == "files: run: what: stored 1, found 2; advice"


def test_the_page_has_a_line_for_each_probe() -> None:
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    rows = [line.split("|")[1].strip(" `") for line in lines if line.startswith("| `")]
    assert sorted(rows) == sorted(PROBES)
