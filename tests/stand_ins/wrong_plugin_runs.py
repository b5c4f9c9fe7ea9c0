"""What wrong_plugin has of the kinds that take part in runs: each is sound but for what its name says."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable
from typing import Any

import torch
from torch import Tensor, nn

from inrbench_core import Analysis, Executor, ExecutorEvent, Job, Moment, Observation, Problem, UnsupportedError
from inrbench_core.runs.work import work


def descent(spec: Any, groups: Any) -> torch.optim.Optimizer:
    return torch.optim.SGD(groups)


def first_group_only(spec: Any, groups: Any) -> torch.optim.Optimizer:
    return torch.optim.SGD(groups[:1])


def backwards(spec: Any, groups: Any) -> torch.optim.Optimizer:
    return torch.optim.SGD(groups, maximize=True)


class NoClosure(torch.optim.SGD):
    def step(self, closure: Any = None) -> Any:
        return super().step()


def no_closure(spec: Any, groups: Any) -> torch.optim.Optimizer:
    return NoClosure(groups)


class HighestRate(torch.optim.SGD):
    def step(self, closure: Any = None) -> Any:
        rates = [group["lr"] for group in self.param_groups]
        for group in self.param_groups:
            group["lr"] = max(rates)
        result = super().step(closure)
        for group, rate in zip(self.param_groups, rates, strict=True):
            group["lr"] = rate
        return result


def highest_rate(spec: Any, groups: Any) -> torch.optim.Optimizer:
    return HighestRate(groups)


class FirstRate(torch.optim.SGD):
    def __init__(self, groups: Any) -> None:
        super().__init__(groups)
        self.rates = [group["lr"] for group in self.param_groups]

    def step(self, closure: Any = None) -> Any:
        for group, rate in zip(self.param_groups, self.rates, strict=True):
            group["lr"] = rate
        return super().step(closure)


def first_rate(spec: Any, groups: Any) -> torch.optim.Optimizer:
    return FirstRate(groups)


class RandomSteps(torch.optim.SGD):
    def step(self, closure: Any = None) -> Any:
        result = super().step(closure)
        for group in self.param_groups:
            for parameter in group["params"]:
                parameter.data += 1e-3 * group["lr"] * torch.randn(parameter.shape)
        return result


def random_steps(spec: Any, groups: Any) -> torch.optim.Optimizer:
    return RandomSteps(groups)


class TwoGradients(torch.optim.SGD):
    def step(self, closure: Any = None) -> Any:
        closure()
        return super().step(closure)


def two_gradients(spec: Any, groups: Any) -> torch.optim.Optimizer:
    return TwoGradients(groups)


class Size(Analysis):
    """The mean size of the model's values, at the start and at the end."""

    moments = frozenset({"start", "end"})

    def observe(self, model: nn.Module, problem: Problem, moment: Moment) -> Observation:
        part = next(iter(model.values())) if isinstance(model, nn.ModuleDict) else model
        values = part(next(iter(problem.batch(slice(0, 100)).values()))).detach()
        return self.report(values)

    def report(self, values: Tensor) -> Observation:
        return Observation({"size": values.abs().mean().item()}, {"values": values[:, 0].numpy()})


class Undeclared(Size):
    def report(self, values: Tensor) -> Observation:
        return Observation({"size": 1.0, "weight": 2.0})


class Unreported(Size):
    def report(self, values: Tensor) -> Observation:
        return Observation({})


class TensorArray(Size):
    def report(self, values: Tensor) -> Observation:
        return Observation({"size": 1.0}, arrays={"values": values})  # type: ignore[dict-item]


class NoMoment(Size):
    moments = frozenset({"now"})  # type: ignore[assignment]


class ChangesModel(Size):
    def observe(self, model: nn.Module, problem: Problem, moment: Moment) -> Observation:
        with torch.no_grad():
            next(model.parameters()).mul_(1.01)
        return super().observe(model, problem, moment)


class ChangesProblem(Size):
    def observe(self, model: nn.Module, problem: Problem, moment: Moment) -> Observation:
        if moment == "end":
            problem.batch(slice(0, 10))["values"].mul_(1.01)
        return super().observe(model, problem, moment)


class OneFieldOnly(Size):
    def observe(self, model: nn.Module, problem: Problem, moment: Moment) -> Observation:
        if len(problem.shapes) > 1:
            raise UnsupportedError("it analyses one field")
        return super().observe(model, problem, moment)


class Serial(Executor):
    """Does one job after the other in this process, while it is asked for events."""

    def __init__(self, spec: Any, context: Any) -> None:
        super().__init__(spec, context)
        self.queue: deque[Job] = deque()

    def submit(self, job: Job) -> None:
        self.queue.append(job)

    def events(self, timeout_s: float) -> Iterable[ExecutorEvent]:
        if not self.queue:
            return
        job = self.queue[0]
        yield ExecutorEvent(job.id, "started")
        try:
            for run_id, content in work(job):
                yield ExecutorEvent(job.id, "finished", run_id=run_id, content=self.file(content))
            end = ExecutorEvent(job.id, "ended")
        except Exception as error:
            end = self.failed(job, error)
        self.queue.popleft()
        yield end

    def file(self, content: bytes) -> bytes:
        return content

    def failed(self, job: Job, error: Exception) -> ExecutorEvent:
        return ExecutorEvent(job.id, "lost", error=f"{type(error).__name__}: {error}")

    def unfinished(self) -> Collection[str]:
        return [job.id for job in self.queue]

    def cancel(self, job_id: str) -> None:
        self.queue = deque(job for job in self.queue if job.id != job_id)

    def shutdown(self) -> None:
        self.queue.clear()


class EmptyFiles(Serial):
    def file(self, content: bytes) -> bytes:
        return b""


class SaysAllIsWell(Serial):
    def failed(self, job: Job, error: Exception) -> ExecutorEvent:
        return ExecutorEvent(job.id, "ended")


class Forgets(Serial):
    def unfinished(self) -> Collection[str]:
        return []


class DoesCancelledJobs(Serial):
    def cancel(self, job_id: str) -> None:
        self.queue.rotate(-1)

    def unfinished(self) -> Collection[str]:
        return [job.id for job in self.queue if job.id != "job0"]


class HasNoCluster(Serial):
    def __init__(self, spec: Any, context: Any) -> None:
        raise UnsupportedError("there is no cluster here")


def labels(spec: Any, results: Any) -> str:
    return "\n".join(row.label for board in results.boards for row in board.rows)


def prints(spec: Any, results: Any) -> str:
    print(labels(spec, results))
    return labels(spec, results)


def gives_bytes(spec: Any, results: Any) -> Any:
    return labels(spec, results).encode()


def needs_metrics(spec: Any, results: Any) -> str:
    return "\n".join(str(run.metrics["mse"]) for run in results.runs)


def needs_a_table(spec: Any, results: Any) -> str:
    return str(results.boards[0].label)
