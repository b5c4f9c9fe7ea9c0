"""Learning rates at the ends and in the middle."""

from __future__ import annotations

import itertools
import math

import pytest

from inrbench_core.fit.schedule import learning_rate


@pytest.mark.parametrize(
    ("schedule", "middle", "end"),
    [
        ("constant", 0.1, 0.1),
        ("cosine", (0.1 + 0.0009) / 2, 0.0009),
        ("exponential", math.sqrt(0.1 * 0.0009), 0.0009),
    ],
)
def test_ends_and_middle(stand_ins, schedule: str, middle: float, end: float) -> None:
    training = stand_ins.training(steps=101, final_lr=0.009, schedule=schedule)
    assert learning_rate(training, 0, 0.1) == pytest.approx(0.1, rel=1e-12)
    assert learning_rate(training, 50, 0.1) == pytest.approx(middle, rel=1e-12)
    assert learning_rate(training, 100, 0.1) == pytest.approx(end, rel=1e-12)


@pytest.mark.parametrize("schedule", ["constant", "cosine", "exponential"])
def test_it_never_rises(stand_ins, schedule: str) -> None:
    training = stand_ins.training(steps=20, schedule=schedule)
    rates = [learning_rate(training, step, 1e-3) for step in range(20)]
    assert all(later <= earlier for earlier, later in itertools.pairwise(rates))


def test_a_single_step_has_the_first_rate(stand_ins) -> None:
    assert learning_rate(stand_ins.training(steps=1), 0, 0.1) == 0.1
