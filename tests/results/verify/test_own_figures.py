"""Metrics of the whole curve, which the weights at its end do not tell."""

from __future__ import annotations

import numpy as np
import pytest

from inrbench_core.results.verify.own_figures import is_best_so_far

PSNR = np.array([10.0, 14.0, 12.0, 15.0, 13.0])
BEST = np.array([10.0, 14.0, 14.0, 15.0, 15.0])
LATE = np.array([np.nan, np.nan, 1.0, 1.0, 1.0])


@pytest.mark.parametrize("own", [BEST, BEST * LATE, BEST - PSNR, (BEST - PSNR) * LATE])
def test_the_best_of_a_curve_and_the_distance_to_it_are_known(own: np.ndarray) -> None:
    assert is_best_so_far({"step": np.arange(5), "psnr": PSNR, "own": own}, "own")


@pytest.mark.parametrize("own", [PSNR + 1.0, BEST + 1.0, np.full(5, np.nan), BEST * LATE[::-1]])
def test_other_figures_are_not(own: np.ndarray) -> None:
    assert not is_best_so_far({"step": np.arange(5), "psnr": PSNR, "own": own}, "own")
