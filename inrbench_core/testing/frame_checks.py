"""Checks of what a problem tells of its domain, its truth and the user's units, and of its renderer."""

from __future__ import annotations

import json
import math
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from inrbench_core.api.components import FieldShape
from inrbench_core.api.entries import Metric, TaskEntry, load_object
from inrbench_core.api.errors import UnsupportedError
from inrbench_core.api.frame import FieldFrame, Frame
from inrbench_core.api.problem import Evaluation, Problem, Renderer, SeedStreams
from inrbench_core.testing.outcome import Skipped, require
from inrbench_core.testing.subject import Subject
from inrbench_core.testing.task_checks import baselines_at_hand, stand_in

COUNTS = (1, 100, 2000)
RENDERED_SIZE = 8
# What a perfect field comes to at least where its metric is a ratio in dB, and what share of an error it has.
LEAST_DB, SMALL_ERROR = 60.0, 1e-3


def check_frame(subject: Subject) -> None:
    """It has a frame for each field, with a quantity for each coordinate and value, and JSON keeps it."""
    problem = subject.problem
    frame = problem.frame
    fields, shapes = sorted(frame.fields), sorted(problem.shapes)
    require(fields == shapes, f"the frame has the fields {fields}, and shapes has {shapes}")
    for name, shape in problem.shapes.items():
        _require_fits(f"frame.fields[{name!r}]", frame.fields[name], shape)
    again = _round_trip(frame)
    require(again.fields == frame.fields, "written as JSON and read again, the fields of the frame are others")
    require(again.facts == frame.facts, "written as JSON and read again, the facts of the frame are others")


def check_coords(subject: Subject) -> None:
    """A sample of each field's domain has the right shape, lies in [-1, 1], and depends on the seed alone."""
    problem = subject.problem
    for name, shape in problem.shapes.items():
        for count in COUNTS:
            coords = problem.coords(count, SeedStreams(3), name)
            size = tuple(coords.shape)
            fits = coords.ndim == 2 and 1 <= len(coords) <= count and size[1] == shape.in_features
            require(fits, f"coords({count}) of {name} gives {size}, not (up to {count}, {shape.in_features})")
            require(coords.dtype == torch.float32, f"coords({count}) of {name} gives {coords.dtype}")
            inside = bool(((coords >= -1.0) & (coords <= 1.0)).all())
            require(inside, f"coords({count}) of {name} leaves [-1, 1]")
            torch.manual_seed(count)
            again = problem.coords(count, SeedStreams(3), name)
            require(torch.equal(coords, again), f"coords({count}) of {name} gives other points the second time")
    first = next(iter(problem.shapes))
    require(
        torch.equal(problem.coords(100, SeedStreams(3)), problem.coords(100, SeedStreams(3), first)),
        "coords without a field is not that of the first of shapes",
    )


def check_target(subject: Subject) -> None:
    """Where the truth is known, a field that gives it scores as a perfect one, and no worse than any."""
    problem = subject.problem
    for name, shape in problem.shapes.items():
        coords = problem.coords(100, SeedStreams(3), name)
        target = problem.target(coords, name)
        if target is None:
            raise Skipped(f"it does not know the truth at any point (target of {name} is None)")
        size = tuple(target.shape)
        wanted = (len(coords), shape.out_features)
        require(size == wanted, f"target of {name} gives {size} for {len(coords)} points, not {wanted}")
        require(target.dtype == torch.float32, f"target of {name} gives {target.dtype}")
        require(bool(torch.isfinite(target).all()), f"target of {name} is not finite")
    oracle = _oracle(problem)
    ranking = _ranking(subject).name
    best = problem.evaluate(oracle, full=True).metrics[ranking]
    untrained = problem.evaluate(stand_in(problem).eval(), full=True).metrics[ranking]
    names = baselines_at_hand(_entry(subject))
    baselines = {name: problem.baseline(name).metrics.get(ranking, math.nan) for name in names}
    _require_perfect(_ranking(subject), best, untrained, baselines)
    _require_regression_of_the_truth(problem, oracle)


def check_renders(subject: Subject) -> None:
    """From the frame alone a model is rendered at the default size and at size 8, and written as files."""
    path = _entry(subject).renderer
    if not path:
        raise Skipped("it has no renderer")
    problem = subject.problem
    renderer = load_object(path)(_round_trip(problem.frame), torch.device("cpu"))
    require(isinstance(renderer, Renderer), f"{path} gives a {type(renderer).__name__}, not a Renderer")
    model = stand_in(problem).eval()
    _require_rendered(renderer, renderer.render(model), "at the default size")
    try:
        small = renderer.render(model, RENDERED_SIZE)
    except UnsupportedError as error:
        raise Skipped(f"it renders at the default size only: {error}") from None
    _require_rendered(renderer, small, f"at size {RENDERED_SIZE}")


def _require_fits(where: str, frame: FieldFrame, shape: FieldShape) -> None:
    require(len(frame.coords) == shape.in_features, f"{where} has {len(frame.coords)} coords for {shape.in_features}")
    require(len(frame.values) == shape.out_features, f"{where} has {len(frame.values)} values for {shape.out_features}")
    same = frame.resolution == shape.resolution
    require(same, f"{where} has resolution {frame.resolution}, and its shape has {shape.resolution}")
    for item in (*frame.coords, *frame.values):
        finite = all(math.isfinite(figure) for figure in (item.low, item.high, item.rate, item.limit))
        require(finite and bool(item.name), f"{where}: {item} lacks a name or has figures that are not finite")
    for axis, item in enumerate(frame.coords):
        require(item.transform == "linear", f"{where}: the coordinate {item.name} is {item.transform}, not linear")
        single = shape.resolution is not None and shape.resolution[axis] == 1
        require(item.low != item.high or single, f"{where}: low and high of {item.name} are both {item.low:g}")


def _round_trip(frame: Frame) -> Frame:
    return Frame.from_data(json.loads(json.dumps(frame.to_data())))


class _Oracle(nn.Module):
    """A field that gives a problem's target."""

    def __init__(self, problem: Problem, field: str) -> None:
        super().__init__()
        self.problem, self.field = problem, field

    def forward(self, coords: Tensor) -> Tensor:
        return cast(Tensor, self.problem.target(coords, self.field))


def _oracle(problem: Problem) -> nn.Module:
    fields: dict[str, nn.Module] = {name: _Oracle(problem, name) for name in problem.shapes}
    return next(iter(fields.values())) if len(fields) == 1 else nn.ModuleDict(fields)


def _require_perfect(metric: Metric, best: float, untrained: float, baselines: Mapping[str, float]) -> None:
    require(not math.isnan(best), f"a field that gives the target has a {metric.name} that is not a number")
    for name, value in {**baselines, "an untrained network": untrained}.items():
        worse = best < value if metric.higher_is_better else best > value
        require(not worse, f"a field that gives the target has {metric.name} {best:g}, and {name} has {value:g}")
    if metric.unit == "dB":
        require(best >= LEAST_DB, f"a field that gives the target has {metric.name} {best:g} dB only")
    if not metric.higher_is_better:
        small = best <= SMALL_ERROR * untrained
        require(small, f"a field that gives the target has {metric.name} {best:g}, an untrained one {untrained:g}")


def _require_regression_of_the_truth(problem: Problem, oracle: nn.Module) -> None:
    """Where the loss is the squared error of given values, which may be noisy, the target is nearer than their mean."""
    batch = problem.batch(slice(0, min(1000, problem.elements)))
    if problem.differentiates or set(batch) != {"coords", "values"} or len(problem.shapes) > 1:
        return
    with torch.no_grad():
        model = stand_in(problem)
        answer = model(batch["coords"]) if batch["coords"].ndim == 2 else None
        if answer is None or answer.shape != batch["values"].shape:
            return
        squared = (answer - batch["values"]).square().mean(dim=1)
        if not torch.allclose(problem.loss(model, batch), squared, rtol=1e-4, atol=1e-7):
            return
        left = problem.loss(oracle, batch).mean().item()
        power = (batch["values"] - batch["values"].mean(dim=0)).square().mean().item()
    require(left <= max(power, 1e-10), f"a field that gives the target has a loss of {left:.3g}, its mean {power:.3g}")


def _require_rendered(renderer: Renderer, evaluation: Evaluation, where: str) -> None:
    require(not evaluation.metrics, f"{where}: a rendering has the metrics {sorted(evaluation.metrics)}")
    require(bool(evaluation.outputs) or evaluation.preview is not None, f"{where}: it gives nothing")
    for name, output in evaluation.outputs.items():
        require(isinstance(output, np.ndarray), f"{where}: {name} is a {type(output).__name__}, not a numpy array")
    picture = evaluation.preview
    if picture is not None:
        fits = picture.dtype == np.uint8 and picture.ndim == 3 and picture.shape[2] == 3
        require(fits, f"{where}: the preview is {picture.dtype}, {picture.shape}, not uint8, (height, width, 3)")
    with tempfile.TemporaryDirectory() as folder:
        files = renderer.save(evaluation, Path(folder), "stem")
        require(bool(files), f"{where}: save() says that it wrote nothing")
        for file in files:
            sound = file.is_file() and file.parent == Path(folder) and file.name.startswith("stem")
            require(sound, f"{where}: save() names {file.name}, which is no file it wrote that begins with its stem")


def _ranking(subject: Subject) -> Metric:
    entry = _entry(subject)
    return entry.metric(entry.rank_by) if entry.rank_by else entry.primary


def _entry(subject: Subject) -> TaskEntry:
    return cast(TaskEntry, subject.entry)
