"""Ratios of power in dB."""

import math

import pytest

from inrbench_core import decibels


def test_a_tenth_of_the_power_is_ten_decibels():
    assert decibels(4.0, 0.4) == pytest.approx(10.0)
    assert decibels(1.0, 1.0) == 0.0
    assert decibels(1.0, 100.0) == pytest.approx(-20.0)


@pytest.mark.parametrize("power", [1.0, 4.0, 1e-6])
def test_a_perfect_answer_has_200(power):
    assert decibels(power, 0.0) == 200.0
    assert decibels(power, power * 1e-21) == 200.0
    assert decibels(power, power * 1e-19) == pytest.approx(190.0)


def test_what_overflowed_or_is_not_a_number_stays_so():
    assert decibels(1.0, math.inf) == -math.inf
    assert math.isnan(decibels(1.0, math.nan))
