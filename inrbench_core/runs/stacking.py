"""Which runs of a plan may train together: like fits of small batches. Imports no torch."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Hashable, Sequence

from inrbench_core.api.entries import OptimizerEntry
from inrbench_core.runs.run import AnyRun, FitRun
from inrbench_core.spec.training import LEAST_MEMBERS, MOST_MEMBERS

# On a CPU larger batches gain nothing, whatever the model; `fit.stack`, which knows it, has the last word.
MOST_ELEMENTS_CPU = 2_048
# What members of a stack have in common beside task, signal, field and analyses; the rest may differ.
SHARED_TRAINING = ("steps", "batch", "evaluate_every", "compile", "precision")


def stacks(runs: Sequence[AnyRun], workers: int) -> list[list[AnyRun]]:
    """Runs in jobs, in the order of the first run of each: those of one job may train together.

    Args:
        runs: in the order in which they are to be carried out.
        workers: how many jobs are carried out at a time; groups are split so that each has work.
    """
    groups: dict[Hashable, list[AnyRun]] = {}
    for run in runs:
        key = _key(run)
        groups.setdefault(run.id if key is None else key, []).append(run)
    # Baselines take no time.
    fits = sum(isinstance(group[0], FitRun) for group in groups.values())
    parts = math.ceil(workers / max(1, fits))
    jobs = [job for group in groups.values() for job in _split(group, parts)]
    place = {run.id: number for number, run in enumerate(runs)}
    return sorted(jobs, key=lambda job: place[job[0].id])


def _split(group: list[AnyRun], parts: int) -> list[list[AnyRun]]:
    """A group in at least `parts` jobs of equal sizes; in single runs where those would be too small for stacks."""
    count = max(parts, math.ceil(len(group) / MOST_MEMBERS))
    if len(group) < count * LEAST_MEMBERS:
        return [[run] for run in group]
    return equal_parts(group, count)


def equal_parts(runs: Sequence[AnyRun], count: int) -> list[list[AnyRun]]:
    """The runs in so many parts, in their order, whose sizes differ by at most one."""
    bounds = [len(runs) * part // count for part in range(count + 1)]
    return [list(runs[start:stop]) for start, stop in itertools.pairwise(bounds)]


def _key(run: AnyRun) -> Hashable:
    """What the runs of one stack have in common; None: it is not stacked."""
    if not isinstance(run, FitRun):
        return None
    training = run.training
    entry = training.optimizer.entry
    assert isinstance(entry, OptimizerEntry)
    small = isinstance(training.batch, int) and (run.device.startswith("cuda") or training.batch <= MOST_ELEMENTS_CPU)
    if not small or not entry.one_gradient or training.compile == "on":
        return None
    data = run.to_data()
    shared = {name: data[name] for name in ("task", "signal_option", "files", "field", "analyses", "device", "code")}
    return json.dumps([shared, {name: data["training"][name] for name in SHARED_TRAINING}], sort_keys=True)
