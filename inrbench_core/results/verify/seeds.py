"""The probe of seeds that share one fit."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping

import numpy as np
import torch

from inrbench_core.api.problem import SeedStreams
from inrbench_core.fit import build_model
from inrbench_core.results.results import ResultRun
from inrbench_core.results.verify.recompute import Recomputation, unchecked
from inrbench_core.results.verify.report import FIT_AGAIN, Remark, finding
from inrbench_core.results.verify.subject import record_of
from inrbench_core.results.verify.tolerance import Array
from inrbench_core.runs.execute import prepare
from inrbench_core.runs.identity import group_of
from inrbench_core.runs.run import FitRun

# Weights of other seeds differ by much more, since training does not forget where it began.
SAME = 1e-3
# Elements at which the data of two seeds are compared.
COMPARED = 1_000


def check_seeds(recomputation: Recomputation) -> Iterator[Remark]:
    """No two seeds of the same settings have the same weights, unless nothing in them is random."""
    for board in recomputation.subject.results.boards:
        alike: dict[tuple[str, str], list[ResultRun]] = defaultdict(list)
        for run in recomputation.subject.board_runs(board):
            data = record_of(run).run
            if run.status == "ok" and data["field"] is not None:
                alike[group_of(data), run.signal].append(run)
        for runs in alike.values():
            yield from _check_signal(recomputation, runs)


def _check_signal(recomputation: Recomputation, runs: list[ResultRun]) -> Iterator[Remark]:
    seen: list[tuple[ResultRun, Mapping[str, Array]]] = []
    for run in runs if len(runs) > 1 else []:
        try:
            weights = record_of(run).arrays.weights
            like = next((other for other, theirs in seen if _same(weights, theirs)), None)
            seen.append((run, weights))
            if like is not None and not _is_fixed(recomputation, like, run):
                yield finding("seed-used-twice", [like, run], "the same weights under two seeds", FIT_AGAIN)
        except (Exception, SystemExit) as error:
            yield unchecked(run, error)


def _same(one: Mapping[str, Array], other: Mapping[str, Array]) -> bool:
    """Whether arrays of the same names are nearly equal."""
    if one.keys() != other.keys() or not one:
        return False
    return all(
        one[name].shape == other[name].shape and np.allclose(one[name], other[name], rtol=SAME, atol=0.0)
        for name in one
    )


def _is_fixed(recomputation: Recomputation, one: ResultRun, other: ResultRun) -> bool:
    """Whether both seeds give the same start, the same data and the same batches: then equal weights are right."""
    starts, data = [], []
    for run in (one, other):
        planned = recomputation.planned(run)
        assert isinstance(planned, FitRun)
        problem = prepare(planned, torch.device("cpu"))
        if planned.training.steps and planned.training.batch != "full" and planned.training.batch < problem.elements:
            return False
        built = build_model(planned.field, problem.shapes, seeds=SeedStreams(run.seed), device=torch.device("cpu"))
        starts.append({name: tensor.numpy() for name, tensor in built.model.state_dict().items()})
        batch = problem.batch(slice(0, min(COMPARED, problem.elements)))
        data.append({name: tensor.cpu().numpy() for name, tensor in batch.items()})
    return _same(*starts) and _same(*data)
