"""Probes that compute again: the problem from its task, outputs and metrics from the stored weights."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from pydantic import ValidationError
from torch import nn

from inrbench_core.api.errors import InrbenchError
from inrbench_core.api.problem import Evaluation, Problem, SeedStreams
from inrbench_core.fit import build_model
from inrbench_core.fit.hooks import set_progress
from inrbench_core.plugins.failures import one_line
from inrbench_core.plugins.fingerprints import Fingerprints
from inrbench_core.results.field import solved_width
from inrbench_core.results.results import ResultRun
from inrbench_core.results.verify.losses import last_loss
from inrbench_core.results.verify.own_figures import check_own_figures, is_best_so_far, other_data, unit_of
from inrbench_core.results.verify.report import FIT_AGAIN, Finding, Remark, Unchecked, finding, title
from inrbench_core.results.verify.subject import Subject, record_of
from inrbench_core.results.verify.tolerance import Array, agree, outputs_differ
from inrbench_core.runs.execute import check_files, prepare
from inrbench_core.runs.identity import group_of, settings_of
from inrbench_core.runs.record import RunRecord
from inrbench_core.runs.run import AnyRun, BaselineRun, FitRun, run_from_data

# Of runs whose weights are not theirs, so many are compared with each other.
MOST_COMPARED = 50


class Unusable(InrbenchError):
    """A run that cannot be computed again here; the text says why."""


class Recomputation:
    """Computes the runs of a folder again, one after the other.

    Args:
        subject: the folder.
        tell: is told each run before it is computed.

    Attributes:
        done: how many runs were computed.
    """

    def __init__(self, subject: Subject, tell: Callable[[ResultRun], None]) -> None:
        self.subject = subject
        self.tell = tell
        self.done = 0
        self.fingerprints = Fingerprints(subject.catalog)
        self._problem: tuple[tuple[str, torch.device], Problem] | None = None
        self._exchanged: list[tuple[ResultRun, Mapping[str, Array], Mapping[str, Array], Finding]] = []

    def remarks(self) -> Iterator[Remark]:
        """What there is to say of each run, those with the same data one after the other."""
        subject = self.subject
        runs = {run.id: run for board in subject.results.boards for run in subject.board_runs(board)}
        for run in sorted(runs.values(), key=lambda run: (run.task, run.signal, run.seed)):
            if run.status == "ok":
                self.tell(run)
                try:
                    yield from self._check(run)
                    self.done += 1
                except (Exception, SystemExit) as error:
                    yield unchecked(run, error)
        yield from self._exchanged_weights()

    def planned(self, run: ResultRun) -> AnyRun:
        """The run as this installation would carry it out; of one known from elsewhere, with the files that are here.

        Raises:
            Unusable: if it cannot be carried out here.
        """
        data = record_of(run).run
        if run.origin and data["files"]:
            data = self._with_files(data)
        try:
            return run_from_data(data, self.subject.catalog, lambda components: data["code"])
        except ValidationError as error:
            raise Unusable(error.errors()[0]["msg"]) from None

    def _with_files(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """Plain data of a run of an exported table, which names the user's files by their content, with their paths."""
        settings, plan = settings_of(group_of(data), data), self.subject.plan
        like = next((run for run in plan.runs.values() if run.settings == settings), None) if plan is not None else None
        if like is None:
            raise Unusable("it needs files of a user, which the stored spec does not name")
        return {**data, "task": like.task.to_data(), "files": dict(like.files)}

    def _check(self, run: ResultRun) -> Iterator[Remark]:
        record, planned = record_of(run), self.planned(run)
        with recorded_threads(record):
            problem = self._prepared(planned)
            advice = self._advice(planned)
            if what := other_data(record, problem):
                probe = "stale-baseline" if isinstance(planned, BaselineRun) else "data"
                yield finding(probe, [run], f"{what} is not that of the signal", advice)
            elif isinstance(planned, BaselineRun):
                yield from self._compare(run, problem.baseline(planned.name), advice)
            else:
                yield from self._check_fit(run, planned, problem, advice)

    def _check_fit(self, run: ResultRun, planned: FitRun, problem: Problem, advice: str) -> Iterator[Remark]:
        record = record_of(run)
        field = planned.field
        if record.width is not None:
            field = field.with_spec(**solved_width(field.spec, record.width))
        built = build_model(field, problem.shapes, seeds=SeedStreams(run.seed), device=_device(record))
        if built.parameters != record.parameters:
            what, count = "not the number of its parameters", built.parameters
            yield finding("budget", [run], what, advice, stored=record.parameters, found=count)
        if not _load(built.model, problem, record):
            yield finding("weights", [run], "the stored weights do not fit the model of its settings", advice)
            return
        evaluation = evaluate(problem, built.model)
        exchanged = len(self._exchanged)
        found = list(self._compare(run, evaluation, advice))
        yield from found
        # Of wrong weights the loss says nothing more.
        if not found and len(self._exchanged) == exchanged and planned.training.steps:
            yield from _check_last_loss(run, planned, problem, built.model, advice)

    def _compare(self, run: ResultRun, evaluation: Evaluation, advice: str) -> Iterator[Remark]:
        """The outputs and metrics of a run with those that were computed now."""
        record = record_of(run)
        stored = record.arrays.outputs
        differing = outputs_differ(stored, evaluation.outputs)
        metrics = [
            (name, record.metrics[name], evaluation.metrics[name])
            for name in evaluation.metrics
            if name in record.metrics
            and not agree(record.metrics[name], evaluation.metrics[name], unit_of(record, name))
            and not is_best_so_far(record.arrays.curve, name)
        ]
        # A mesh may have another number of corners for a rounding error; then the metrics decide.
        if differing is not None and (math.isfinite(differing[1]) or metrics):
            name, share = differing
            if record.run["field"] is None:
                what = f"the baseline gives another {name} than the stored one"
                yield finding("stale-baseline", [run], what, advice)
                return
            size = "another shape" if math.isinf(share) else f"{share:.2g} of its largest value"
            what = f"they give another {name} than the stored one (by {size})"
            self._note_exchange(run, evaluation.outputs, finding("weights", [run], what, advice))
        else:
            for name, value, again in metrics:
                yield finding("metrics", [run], name, advice, stored=value, found=again)
            yield from check_own_figures(run)

    def _note_exchange(self, run: ResultRun, outputs: Mapping[str, Array], found: Finding) -> None:
        kept = (dict(record_of(run).arrays.outputs), outputs) if len(self._exchanged) < MOST_COMPARED else ({}, {})
        self._exchanged.append((run, *kept, found))

    def _exchanged_weights(self) -> Iterator[Remark]:
        """Findings about weights; each names the run whose outputs the weights give, if that has other weights, too."""
        for run, _, outputs, found in self._exchanged:
            owner = next(
                (
                    other
                    for other, stored, _, _ in self._exchanged
                    if other.id != run.id and _give_one_of(outputs, stored)
                ),
                None,
            )
            if owner is None:
                yield found
            else:
                what = f"the stored weights are those of {title(owner)}"
                yield finding("weights", [run, owner], what, found.advice)

    def _prepared(self, planned: AnyRun) -> Problem:
        """The run's problem, kept for the next run of the same data. Raises DataError, or what the task raises."""
        device = _device_of(planned.device)
        key = planned.data_key, device
        if self._problem is None or self._problem[0] != key:
            # Both together may not fit into memory.
            self._problem = None
            check_files(planned)
            self._problem = (key, prepare(planned, device))
        problem = self._problem[1]
        if problem.parameters():
            self._problem = None
        return problem

    def _advice(self, planned: AnyRun) -> str:
        """What to do about a run's finding: other code may explain it."""
        now = self.fingerprints.of(planned.components)
        edited = sorted(name for name, code in now.items() if planned.code.get(name) != code)
        if edited:
            return f"it was made by other code of {', '.join(edited)}: install that, or {FIT_AGAIN}"
        return FIT_AGAIN


def unchecked(run: ResultRun, error: BaseException) -> Unchecked:
    """What to say of a run of which something raised: a plugin may raise anything, and the others can be checked."""
    return Unchecked((title(run),), str(error) if isinstance(error, InrbenchError) else f"it raised {one_line(error)}")


def evaluate(problem: Problem, model: nn.Module) -> Evaluation:
    """The full evaluation of a model with trained weights."""
    set_progress(model, 1.0)
    model.eval()
    with torch.no_grad():
        return problem.evaluate(model)


@contextmanager
def recorded_threads(record: RunRecord) -> Iterator[None]:
    """Within it torch uses as many threads as the run did, so that sums are taken in the same order."""
    before = torch.get_num_threads()
    wanted = record.environment.get("threads", before)
    torch.set_num_threads(max(1, int(wanted)))
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _check_last_loss(
    run: ResultRun, planned: FitRun, problem: Problem, model: nn.Module, advice: str
) -> Iterator[Remark]:
    curve = record_of(run).arrays.curve
    if not len(curve.get("loss", ())):
        return
    stored = float(curve["loss"][-1])
    loss = last_loss(problem, model, planned.training, SeedStreams(run.seed), stored)
    if loss.is_leaked:
        what = "its last loss is that over all samples, not over those that are not held out"
        yield finding("held-out", [run], what, advice, stored=stored, found=loss.trained)
    elif loss.is_of_other_samples:
        what = "its last loss is not that of its training samples"
        yield finding("data", [run], what, advice, stored=stored, found=loss.trained)
    elif not math.isnan(loss.everything) and not loss.small:
        reason = "held-out: after a last step at a large rate the loss does not show what was trained on; use --refit"
        yield Unchecked((title(run),), reason)


def _load(model: nn.Module, problem: Problem, record: RunRecord) -> bool:
    """Load what was trained; False if it does not fit."""
    try:
        model.load_state_dict({name: torch.as_tensor(array) for name, array in record.arrays.weights.items()})
        with torch.no_grad():
            for name, parameter in problem.parameters().items():
                parameter.copy_(torch.as_tensor(record.arrays.parameters[name]))
    except (RuntimeError, KeyError):
        return False
    return True


def _give_one_of(found: Mapping[str, Array], stored: Mapping[str, Array]) -> bool:
    """Whether one of the outputs is that of another run."""
    return any(
        stored[name].size and outputs_differ({name: stored[name]}, {name: found[name]}) is None
        for name in stored.keys() & found.keys()
    )


def _device_of(name: str) -> torch.device:
    """The run's device, or the CPU where there is none of its kind."""
    return torch.device("cuda" if name.startswith("cuda") and torch.cuda.is_available() else "cpu")


def _device(record: RunRecord) -> torch.device:
    return _device_of(record.run["device"])
