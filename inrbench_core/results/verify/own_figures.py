"""What the record of a run says, beside its own arrays and beside the problem that was prepared again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from inrbench_core.api.problem import Problem
from inrbench_core.results.results import ResultRun
from inrbench_core.results.verify.report import FIT_AGAIN, Remark, finding
from inrbench_core.results.verify.tolerance import Array, agree, outputs_differ
from inrbench_core.runs.record import RunRecord

# Facts about data are means and scales, which another version of a library may round otherwise.
DATA_ROUNDING = 1e-5


def check_own_figures(run: ResultRun) -> Iterator[Remark]:
    """The last point of the curve and of each analysis has the step and the metrics of the record."""
    record = run.record
    assert record is not None
    curve = record.arrays.curve
    if not len(curve.get("step", ())):
        return
    last = {name: float(values[-1]) for name, values in curve.items() if name not in ("step", "seconds", "loss")}
    for name, analysis in record.arrays.analyses.items():
        found = {key.removeprefix("metrics/"): values for key, values in analysis.items() if key.startswith("metrics/")}
        last |= {f"{name}.{key}": float(values[-1]) for key, values in found.items() if len(values)}
    if int(curve["step"][-1]) != record.step:
        what, end = "the curve ends at another step", int(curve["step"][-1])
        yield finding("steps", [run], what, FIT_AGAIN, stored=record.step, found=end)
    for name, value in last.items():
        if name in record.metrics and not agree(record.metrics[name], value, unit_of(record, name)):
            what = f"{name} at the end of its curve"
            yield finding("metrics", [run], what, FIT_AGAIN, stored=record.metrics[name], found=value)


def is_best_so_far(curve: Mapping[str, Array], name: str) -> bool:
    """Whether a metric is by definition the best that another one was along the curve, which the end does not tell.

    Or the distance to it. Points where it is not yet defined are left out.
    """
    own = curve.get(name)
    if own is None or len(own) < 2 or np.isnan(own[-1]):
        return False
    known = ~np.isnan(own)
    if known.sum() < 2:
        return False
    others = [values for other, values in curve.items() if other not in (name, "step", "seconds", "loss")]
    bests = [(best.accumulate(values), values) for values in others for best in (np.maximum, np.minimum)]
    return any(np.array_equal(own[known], form[known]) for best, values in bests for form in (best, best - values))


def other_data(record: RunRecord, problem: Problem) -> str:
    """What of the record's data is not that of the problem, or ""."""
    if not _alike(record.data, dict(problem.record)):
        differing = sorted(
            name
            for name in {*record.data, *problem.record}
            if not _alike(record.data.get(name), problem.record.get(name))
        )
        return f"data: {', '.join(differing)}"
    if not _alike(record.frame, problem.frame.to_data()):
        return "its frame"
    stored = record.arrays.truth
    if stored is not None and outputs_differ({"truth": stored}, {"truth": problem.truth()}):
        return "its picture of the truth"
    return ""


def _alike(stored: Any, found: Any) -> bool:
    """Whether plain data are equal but for the rounding of numbers, and for lists that JSON has for tuples."""
    if isinstance(stored, Mapping) and isinstance(found, Mapping):
        return stored.keys() == found.keys() and all(_alike(stored[key], found[key]) for key in stored)
    if isinstance(stored, list | tuple) and isinstance(found, list | tuple):
        return len(stored) == len(found) and all(map(_alike, stored, found))
    if isinstance(stored, float) or isinstance(found, float):
        both = isinstance(stored, int | float) and isinstance(found, int | float)
        return both and bool(np.isclose(stored, found, rtol=DATA_ROUNDING, atol=0.0, equal_nan=True))
    return bool(stored == found)


def unit_of(record: RunRecord, name: str) -> str:
    """The unit of a metric of a record."""
    return next((str(metric["unit"]) for metric in record.declared if metric["name"] == name), "")
