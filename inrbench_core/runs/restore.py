"""restore: the problem and the trained model of a run that has ended."""

from __future__ import annotations

import torch
from pydantic import ValidationError
from torch import nn

from inrbench_core.api.errors import InrbenchError
from inrbench_core.api.problem import Problem, SeedStreams
from inrbench_core.fit import build_model
from inrbench_core.plugins.catalog import Catalog
from inrbench_core.runs.execute import choose_device, prepare
from inrbench_core.runs.record import RunRecord
from inrbench_core.spec.runspec import RunSpec


def restore(record: RunRecord, catalog: Catalog, device: str = "auto") -> tuple[Problem, nn.Module]:
    """Prepare a run's problem again and load the weights it ended with.

    Args:
        record: the run, read with its arrays.
        catalog: where its components are found.
        device: "auto", "cpu", "cuda" or "cuda:N".

    Returns:
        the problem, and the model in eval mode.

    Raises:
        InrbenchError: if the run has no weights, its plugins or its data are not there any more, or are others.
    """
    if record.spec["baseline"]:
        raise InrbenchError(f"run {record.id} is the baseline {record.spec['baseline']!r}: it has no field")
    if not record.weights:
        raise InrbenchError(f"run {record.id} has no weights: it ended as {record.status}")
    try:
        run = RunSpec.from_data(record.spec, catalog)
    except ValidationError as error:
        raise InrbenchError(f"run {record.id}: {error.errors()[0]['msg']}") from None
    place = choose_device(device)
    problem = prepare(run, place)
    changed = sorted(key for key, value in problem.record.items() if record.data.get(key) != value)
    if changed:
        raise InrbenchError(f"run {record.id}: the task's data are others than then ({', '.join(changed)} changed)")
    assert run.field is not None
    model = build_model(run.field, problem.shapes, seeds=SeedStreams(run.seed), device=place).model
    try:
        model.load_state_dict({name: torch.as_tensor(array) for name, array in record.weights.items()})
    except RuntimeError:
        then, now = record.environment["versions"], run.versions()
        differ = [f"{name} was {then.get(name)}, is {now[name]}" for name in now if then.get(name) != now[name]]
        raise InrbenchError(
            f"run {record.id}: its weights do not fit the model that the installed plugins build"
            + (f" ({', '.join(differ)})" if differ else "")
        ) from None
    return problem, model.eval()
