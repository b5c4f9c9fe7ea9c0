"""The figures of a table by rows, signals and seeds."""

import math

import numpy as np

from inrbench_core.api.entries import Metric
from inrbench_core.results.samples import samples_of, seeds_of

PSNR = Metric("psnr", "dB")


def of(*figures):
    return [{"psnr": figure} for figure in figures]


def test_the_one_answer_of_a_baseline_to_shared_data_is_its_figure_for_every_seed(make_row):
    answer = make_row("linear", of(20.0), baseline=True, baseline_name="linear")
    field = make_row("a", of(30.0, 31.0))
    samples = samples_of([answer, field], PSNR)
    assert samples.seeds == (0, 1)
    np.testing.assert_array_equal(samples.values[:, 0], [[20.0, 20.0], [30.0, 31.0]])


def test_a_baseline_of_another_data_seed_adds_no_seed(make_row):
    answer = make_row("linear", of(20.0), baseline=True, baseline_name="linear", data_seed=7, first_seed=7)
    field = make_row("a", of(30.0, 31.0), data_seed=7)
    samples = samples_of([answer, field], PSNR)
    assert samples.seeds == (0, 1)
    assert not np.isnan(samples.values).any()
    assert seeds_of(answer.runs) == (7,)


def test_a_baseline_on_data_of_each_seed_has_a_figure_for_each(make_row):
    answer = make_row("linear", of(20.0, 21.0), baseline=True, baseline_name="linear", data_seed="seed")
    field = make_row("a", of(30.0, 31.0, 32.0), data_seed="seed")
    values = samples_of([answer, field], PSNR).values[:, 0]
    assert values[0, :2].tolist() == [20.0, 21.0]
    assert math.isnan(values[0, 2])
