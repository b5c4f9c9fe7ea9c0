"""In what an experiment differs from the published setting that it was made from. Imports no torch."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from inrbench_core.api.errors import InrbenchError
from inrbench_core.spec.choosing import row_data
from inrbench_core.spec.experiment import Experiment, TaskBoard
from inrbench_core.spec.variants import flatten
from inrbench_published.settings import Setting


def check_comparable(setting: Setting, experiment: Experiment) -> None:
    """Raises InrbenchError unless the experiment has one table, with the metric that was published."""
    metric = setting.published.metric
    how = f"for another experiment: inrbench reproduce {setting.name} --write FILE, then inrbench eval"
    if len(experiment.boards) != 1:
        raise InrbenchError(
            f"--set makes {len(experiment.boards)} tables of {setting.name}, which has figures for one; {how}"
        )
    entry = experiment.boards[0].entry
    if metric not in {each.name for each in entry.metrics}:
        raise InrbenchError(f"the figures of {setting.name} are {metric}, which task {entry.name} does not have; {how}")


def what_changed(published: Experiment, changed: Experiment) -> tuple[dict[str, list[str]], bool]:
    """What is not as published, and whether the signals are.

    Args:
        published: the setting as it is; of one table.
        changed: the setting with the user's changes; of one table.

    Returns:
        "dotted.key=value" of all that differs in the task, the seeds, and the row's field and training, by the label of
        the row or of the task's baseline; and whether the signals are the same.
    """
    (old,), (new,) = published.boards, changed.boards
    shared = _differing(_shared(published, old), _shared(changed, new))
    rows = {row.label: flatten(row_data(row)) for row in old.rows}
    # A row that the setting does not have has no published figure either.
    own = {row.label: _differing(rows.get(row.label, {}), flatten(row_data(row))) for row in new.rows}
    labels = [*new.entry.baselines, *own]
    return {label: [*shared, *own.get(label, [])] for label in labels}, _signals(old) == _signals(new)


def _shared(experiment: Experiment, board: TaskBoard) -> dict[str, Any]:
    """What all rows have in common: seeds, and the task without its signal."""
    task = {key: value for key, value in board.signals[0].task.to_data().items() if key != board.entry.signal_option}
    return flatten({"seeds": list(experiment.seeds), "data_seed": experiment.data_seed, "task": task})


def _signals(board: TaskBoard) -> set[Any]:
    return {getattr(signal.task.spec, board.entry.signal_option, None) for signal in board.signals}


def _differing(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    found = {key: value for key, value in new.items() if key not in old or old[key] != value}
    return [f"{key}={value if isinstance(value, str) else json.dumps(value)}" for key, value in found.items()]
