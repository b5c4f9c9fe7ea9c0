"""What a process keeps between runs of one problem."""

from __future__ import annotations

import numpy as np
import torch

from inrbench_core.runs import execute as execute_module
from inrbench_core.runs.execute import execute, prepare
from inrbench_core.runs.run import FitRun


def test_the_truth_is_drawn_once_for_runs_of_one_problem(plan, monkeypatch):
    fields = ["shallow", {"name": "shallow", "width": 3}]
    first, second = (run for run in plan(fields=fields, seeds=[0]).runs.values() if isinstance(run, FitRun))
    same_data, other_data = (
        next(run for run in plan(seeds=[1], **keys).runs.values() if isinstance(run, FitRun))
        for keys in ({}, {"data_seed": "seed"})
    )
    # Another test in this process may have left the same problem, with its picture drawn.
    monkeypatch.setattr(execute_module, "_prepared", execute_module._Prepared())
    drawn = []
    problem_type = type(prepare(first, torch.device("cpu")))
    draw = problem_type.truth
    monkeypatch.setattr(problem_type, "truth", lambda problem: drawn.append(problem) or draw(problem))
    pictures = [execute(run).read_arrays().truth for run in (first, second, same_data, other_data)]
    assert len(drawn) == 2
    assert drawn[0] is not drawn[1]
    for picture in pictures:
        np.testing.assert_array_equal(picture, draw(drawn[0]))
