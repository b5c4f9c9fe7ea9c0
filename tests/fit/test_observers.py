"""Analyses during a fit."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from inrbench_core.api.analysis import Analysis, Observation
from inrbench_core.api.problem import SeedStreams
from inrbench_core.api.spec import ComponentSpec
from inrbench_core.fit import fit

SEEDS = SeedStreams(0)
DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA"))]


class Sees(Analysis):
    """Observes by a function, and notes at which moments it was called."""

    def __init__(self, *moments: str, look: Callable[[nn.Module, Any], Any] = lambda model, problem: Observation()):
        super().__init__(ComponentSpec())
        self.moments = frozenset(moments)  # type: ignore[assignment,misc]
        self.look = look
        self.called: list[str] = []

    def observe(self, model: nn.Module, problem: Any, moment: str) -> Any:
        self.called.append(moment)
        return self.look(model, problem)


ALL = ("start", "evaluation", "end")


@pytest.mark.parametrize(
    ("moments", "called", "steps"),
    [
        (("start",), ["start"], [0]),
        (("evaluation",), ["evaluation"] * 3, [8, 16, 20]),
        (("end",), ["end"], [20]),
        (("start", "end"), ["start", "end"], [0, 20]),
        (ALL, ["start", "evaluation", "evaluation", "end"], [0, 8, 16, 20]),
    ],
)
def test_it_observes_at_the_moments_it_declares(stand_ins, moments: Any, called: Any, steps: list[int]) -> None:
    analysis = Sees(*moments, look=lambda model, problem: Observation({"n": len(analysis.called)}))
    training = stand_ins.short(evaluate_every=8)
    result = fit(stand_ins.Wave(), stand_ins.make_net(), training, seeds=SEEDS, analyses={"own": analysis})
    assert analysis.called == called
    assert result.analyses["own"].steps == steps
    assert [dict(seen.metrics) for seen in result.analyses["own"].observations] == [
        {"n": count + 1} for count in range(len(steps))
    ]
    assert result.analyses["own"].error == ""


def test_no_steps_is_an_analysis_of_the_start(stand_ins) -> None:
    analyses = {"a": Sees(*ALL), "b": Sees("evaluation"), "c": Sees("end")}
    result = fit(stand_ins.Wave(), stand_ins.make_net(), stand_ins.short(steps=0), seeds=SEEDS, analyses=analyses)
    assert [analysis.called for analysis in analyses.values()] == [["start", "end"], ["evaluation"], ["end"]]
    assert [seen.steps for seen in result.analyses.values()] == [[0, 0], [0], [0]]


def test_it_sees_the_model_in_eval_mode_with_gradients_and_the_weights_of_the_moment(stand_ins) -> None:
    def look(model: nn.Module, problem: Any) -> Observation:
        assert not any(part.training for part in model.modules())
        assert torch.is_grad_enabled()
        loss = (model(problem.points) - problem.values).square().mean()
        loss.backward()
        return Observation({"mse": loss.item(), "slope": model[0].weight.grad.abs().sum().item()})

    analysis = Sees("evaluation", look=look)
    training = stand_ins.short(evaluate_every=5)
    result = fit(stand_ins.Wave(), stand_ins.make_net(), training, seeds=SEEDS, analyses={"own": analysis})
    seen = result.analyses["own"].observations
    assert [point.metrics["mse"] for point in seen] == pytest.approx([p.metrics["mse"] for p in result.curve], rel=1e-5)
    assert all(point.metrics["slope"] > 0 for point in seen)


def test_it_sees_the_model_with_all_progress_done(stand_ins) -> None:
    class Staged(nn.Linear):
        share = 0.0

        def set_progress(self, share: float) -> None:
            self.share = share

    analysis = Sees(*ALL, look=lambda model, problem: Observation({"share": model.share}))
    for steps in (0, 4):
        training = stand_ins.short(steps=steps, evaluate_every=2)
        result = fit(stand_ins.Wave(), Staged(1, 1), training, seeds=SEEDS, analyses={"own": analysis})
        assert {seen.metrics["share"] for seen in result.analyses["own"].observations} == {1.0}


def meddle(model: nn.Module, problem: Any) -> Observation:
    """Everything that an analysis may do, and leaves behind."""
    torch.manual_seed(torch.randint(1 << 30, ()).item())
    model.train()
    for _ in range(2):
        problem.loss(model, problem.batch(slice(0, 20))).sum().backward()
    torch.rand(5, device=problem.points.device)
    return Observation()


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("batch", ["full", 16])
@pytest.mark.parametrize("name", ["adam", "sgd"])
def test_a_fit_is_bitwise_the_same_with_and_without_analyses(stand_ins, device: str, batch: Any, name: str) -> None:
    def run(analyses: dict[str, Analysis]) -> tuple[list[Any], dict[str, Tensor]]:
        net, problem = stand_ins.make_net(), stand_ins.Wave()
        problem.points, problem.values = problem.points.to(device), problem.values.to(device)
        model = nn.Sequential(*net[:2], nn.BatchNorm1d(16), nn.Dropout(0.2), *net[2:]).to(device)
        training = stand_ins.short(batch=batch, evaluate_every=3, optimizer=name)
        result = fit(problem, model, training, seeds=SEEDS, analyses=analyses)
        assert not model.training
        return [(point.loss, point.metrics) for point in result.curve], model.state_dict()

    analysis = Sees(*ALL, look=meddle)
    (bare, bare_state), (seen, seen_state) = run({}), run({"own": analysis})
    assert len(analysis.called) == 8
    assert bare == seen
    assert all(torch.equal(tensor, seen_state[key]) for key, tensor in bare_state.items())


def test_gradients_are_none_afterwards(stand_ins) -> None:
    model = stand_ins.make_net()
    fit(stand_ins.Wave(), model, stand_ins.short(), seeds=SEEDS, analyses={"own": Sees("end", look=meddle)})
    assert all(parameter.grad is None for parameter in model.parameters())


def raising(error: BaseException) -> Callable[[nn.Module, Any], Any]:
    def look(model: nn.Module, problem: Any) -> Any:
        raise error

    return look


@pytest.mark.parametrize(
    ("look", "message"),
    [
        (raising(RuntimeError("no\nluck")), "RuntimeError: no luck"),
        (raising(SystemExit(0)), "SystemExit: 0"),
        (lambda *_: {"mse": 1.0}, "TypeError: observe() returned a dict, not an Observation"),
        (lambda *_: Observation({"mse": "good"}), "ValueError: could not convert string to float: 'good'"),
        (lambda *_: Observation(curves={"c": np.zeros((2, 2))}), "ValueError: the curve 'c' has 2 dimensions, not one"),
        (
            lambda *_: Observation(arrays={"a": np.array([None])}),
            "TypeError: 'a' is an array of object, not of numbers",
        ),
        (
            lambda *_: Observation(preview=np.zeros((4, 4, 3))),
            "ValueError: the preview is float64, (4, 4, 3); it has to be uint8, (height, width, 3)",
        ),
    ],
)
def test_one_that_fails_ends_alone(stand_ins, look: Any, message: str) -> None:
    bad, good = Sees(*ALL, look=look), Sees(*ALL)
    training = stand_ins.short(evaluate_every=5)
    result = fit(stand_ins.Wave(), stand_ins.make_net(), training, seeds=SEEDS, analyses={"bad": bad, "good": good})
    assert result.status == "ok"
    assert result.evaluation is not None
    assert result.analyses["bad"].error == message
    assert (bad.called, result.analyses["bad"].steps) == (["start"], [])
    assert result.analyses["good"].steps == [0, 5, 10, 15, 20]


def test_what_was_seen_before_a_failure_is_kept(stand_ins) -> None:
    def look(model: nn.Module, problem: Any) -> Observation:
        if len(analysis.called) == 3:
            raise ValueError("enough")
        return Observation()

    analysis = Sees("evaluation", look=look)
    training = stand_ins.short(evaluate_every=5)
    result = fit(stand_ins.Wave(), stand_ins.make_net(), training, seeds=SEEDS, analyses={"own": analysis})
    seen = result.analyses["own"]
    assert (seen.steps, len(seen.observations), seen.error) == ([5, 10], 2, "ValueError: enough")


def test_interruption_is_not_swallowed(stand_ins) -> None:
    analyses = {"own": Sees("start", look=raising(KeyboardInterrupt()))}
    with pytest.raises(KeyboardInterrupt):
        fit(stand_ins.Wave(), stand_ins.make_net(), stand_ins.short(), seeds=SEEDS, analyses=analyses)


def test_observations_are_copies(stand_ins) -> None:
    spectrum = np.zeros(3)

    def look(model: nn.Module, problem: Any) -> Observation:
        spectrum[:] += 1
        return Observation(curves={"s": spectrum})

    training = stand_ins.short(evaluate_every=10)
    analyses = {"own": Sees("evaluation", look=look)}
    result = fit(stand_ins.Wave(), stand_ins.make_net(), training, seeds=SEEDS, analyses=analyses)
    assert [seen.curves["s"].tolist() for seen in result.analyses["own"].observations] == [[1.0] * 3, [2.0] * 3]


def test_its_time_counts_for_itself(stand_ins) -> None:
    def look(model: nn.Module, problem: Any) -> Observation:
        time.sleep(0.1)
        return Observation()

    training = stand_ins.short(evaluate_every=5)
    analyses = {"own": Sees(*ALL, look=look)}
    result = fit(stand_ins.Wave(), stand_ins.make_net(), training, seeds=SEEDS, analyses=analyses)
    assert result.analyse_s >= 0.5
    assert result.train_s + result.evaluate_s < 0.4
    assert fit(stand_ins.Wave(), stand_ins.make_net(), stand_ins.short(), seeds=SEEDS).analyse_s == 0


def test_a_fit_that_diverges_has_no_end(stand_ins) -> None:
    analysis = Sees(*ALL)
    training = stand_ins.short(lr=1e6, evaluate_every=1)
    net = stand_ins.make_net(width=64, activation=nn.ReLU)
    result = fit(stand_ins.Wave(), net, training, seeds=SEEDS, analyses={"own": analysis})
    assert result.status == "diverged"
    assert analysis.called[0] == "start"
    assert "end" not in analysis.called
    assert result.analyses["own"].steps == list(range(len(analysis.called)))
