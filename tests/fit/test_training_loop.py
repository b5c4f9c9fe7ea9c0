"""The training loop: exact steps, determinism, evaluation, divergence."""

from __future__ import annotations

import copy
import itertools
import math

import pytest
import torch
from torch import Tensor, nn

from inrbench_core.api.problem import Evaluation, SeedStreams
from inrbench_core.fit import fit, loop

SEEDS = SeedStreams(0)


@pytest.mark.parametrize("chunk", [1, 7, 25, 50])
def test_chunked_steps_are_those_of_the_whole_batch(stand_ins, chunks_of, chunk: int) -> None:
    problem, model = stand_ins.Wave(dtype=torch.float64), stand_ins.make_net(dtype=torch.float64)
    reference = copy.deepcopy(model)
    optimizer = torch.optim.SGD(reference.parameters(), lr=1e-2, momentum=0.9)
    for _ in range(5):
        optimizer.zero_grad()
        nn.functional.mse_loss(reference(problem.points), problem.values).backward()
        optimizer.step()
    chunks_of(chunk)
    result = fit(problem, model, stand_ins.short(steps=5, optimizer="sgd"), seeds=SEEDS)
    assert result.status == "ok"
    assert math.ceil(50 / result.chunk) == math.ceil(50 / chunk)
    for ours, theirs in zip(model.parameters(), reference.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize(("optimizer", "kind"), [("adam", torch.optim.Adam), ("adamw", torch.optim.AdamW)])
def test_minibatch_steps_are_those_of_a_plain_loop(stand_ins, chunks_of, optimizer: str, kind: type) -> None:
    problem, model = stand_ins.Wave(dtype=torch.float64), stand_ins.make_net(dtype=torch.float64)
    reference = copy.deepcopy(model)
    plain = kind(reference.parameters(), lr=1e-2)
    order = torch.randperm(50, generator=SEEDS.generator("sampling"))
    for index in order.split(10):
        plain.zero_grad()
        nn.functional.mse_loss(reference(problem.points[index]), problem.values[index]).backward()
        plain.step()
    chunks_of(4)
    fit(problem, model, stand_ins.short(steps=5, batch=10, optimizer=optimizer), seeds=SEEDS)
    for ours, theirs in zip(model.parameters(), reference.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-8, atol=1e-11)


@pytest.mark.parametrize("batch", ["full", 16])
def test_two_fits_are_bitwise_equal_whatever_came_before(stand_ins, batch: object) -> None:
    def run() -> tuple[list[Tensor], list[float]]:
        net = stand_ins.make_net()
        model = nn.Sequential(*net[:2], nn.Dropout(0.2), *net[2:])
        torch.rand(torch.randint(1, 9, ()).item())
        torch.seed()
        result = fit(stand_ins.Wave(), model, stand_ins.short(batch=batch, evaluate_every=5), seeds=SEEDS)
        return [p.detach() for p in model.parameters()], [point.loss for point in result.curve]

    (first, first_losses), (second, second_losses) = run(), run()
    assert first_losses == second_losses
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


def test_a_fit_leaves_the_global_generator_alone(stand_ins) -> None:
    state = torch.get_rng_state()
    fit(stand_ins.Wave(), nn.Sequential(nn.Dropout(), stand_ins.make_net()), stand_ins.short(steps=2), seeds=SEEDS)
    # make_net seeds it, so the state to compare with is the one right before fit.
    torch.set_rng_state(state)
    model = nn.Sequential(nn.Dropout(), nn.Linear(1, 1))
    state = torch.get_rng_state()
    fit(stand_ins.Wave(), model, stand_ins.short(steps=2), seeds=SEEDS)
    assert torch.equal(torch.get_rng_state(), state)


def test_it_learns_and_keeps_a_curve(stand_ins) -> None:
    problem = stand_ins.Wave()
    seen = []
    result = fit(
        problem,
        stand_ins.make_net(),
        stand_ins.short(steps=250, evaluate_every=100),
        seeds=SEEDS,
        on_progress=seen.append,
    )
    assert result.status == "ok"
    assert result.step == 250
    assert [point.step for point in result.curve] == [100, 200, 250]
    assert result.evaluation is not None
    assert result.evaluation.metrics["mse"] < 1e-3
    assert result.evaluation.metrics["costly"] == 1.0
    assert all(set(point.metrics) == {"mse"} for point in result.curve)
    assert result.curve[-1].metrics["mse"] == result.evaluation.metrics["mse"]
    # Always in eval mode, and the full evaluation once, at the end.
    assert problem.evaluated == [(False, False), (False, False), (True, False)]
    seconds = [point.seconds for point in result.curve]
    assert 0 < seconds[0] < seconds[1] < seconds[2] <= result.train_s
    assert result.evaluate_s > 0
    assert result.compile_s == 0
    assert result.peak_memory_bytes > 1e7
    last = seen[-1]
    assert (last.step, last.steps, dict(last.metrics)) == (250, 250, result.evaluation.metrics)
    assert {100, 200} <= {progress.step for progress in seen}
    assert len(seen) <= 7 + result.train_s / loop.PROGRESS_SECONDS


def test_the_loss_of_a_curve_point_is_the_mean_over_elements(stand_ins) -> None:
    problem, model = stand_ins.Wave(), stand_ins.make_net()
    with torch.no_grad():
        expected = problem.loss(model, problem.batch(slice(None))).mean().item()
    assert fit(problem, model, stand_ins.short(steps=1), seeds=SEEDS).curve[0].loss == pytest.approx(expected, rel=1e-5)


def test_no_steps_is_an_evaluation(stand_ins) -> None:
    model = stand_ins.make_net()
    before = copy.deepcopy(model.state_dict())
    seen = []
    result = fit(stand_ins.Wave(), model, stand_ins.short(steps=0, compile="on"), seeds=SEEDS, on_progress=seen.append)
    assert (result.status, result.step, result.curve, result.compiled) == ("ok", 0, [], False)
    assert result.evaluation is not None
    assert [(progress.step, progress.phase) for progress in seen] == [
        (0, "preparing"),
        (0, "evaluating"),
        (0, "evaluating"),
    ]
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


def test_batch_norm_sees_the_whole_batch(stand_ins, chunks_of) -> None:
    chunks_of(8)
    model = nn.Sequential(nn.Linear(1, 8), nn.BatchNorm1d(8), nn.Linear(8, 1))
    problem = stand_ins.Wave()
    result = fit(problem, model, stand_ins.short(steps=3), seeds=SEEDS)
    assert result.chunk == 50
    assert model[1].num_batches_tracked.item() == 3


def test_several_fields_train_together(stand_ins) -> None:
    model = nn.ModuleDict({"a": stand_ins.make_net(), "b": stand_ins.make_net(width=8)})
    before = copy.deepcopy(model.state_dict())
    assert fit(stand_ins.SumOfFields(), model, stand_ins.short(steps=3), seeds=SEEDS).status == "ok"
    assert all(not torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


def test_complex_parameters_train(stand_ins) -> None:
    class Complex(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.inner = nn.Parameter(torch.randn(1, 16, dtype=torch.complex64))
            self.outer = nn.Linear(16, 1)

        def forward(self, x: Tensor) -> Tensor:
            return self.outer(torch.exp(-(x.to(torch.complex64) @ self.inner).abs().square()))

    problem = stand_ins.Wave(values=0.7)
    for optimizer in ("adam", "adamw", "sgd"):
        result = fit(problem, Complex(), stand_ins.short(steps=60, optimizer=optimizer), seeds=SEEDS)
        assert result.curve[-1].metrics["mse"] < 0.1 * 0.49


def test_a_loss_may_differentiate_by_coordinates(stand_ins) -> None:
    class Slope(stand_ins.Wave):
        """Fits the derivative of sin(3x)."""

        differentiates = True

        def loss(self, model: nn.Module, batch: dict[str, Tensor]) -> Tensor:
            x = batch["coords"].detach().requires_grad_()
            (slope,) = torch.autograd.grad(model(x).sum(), x, create_graph=True)
            return (slope - 3 * torch.cos(3 * x)).square().mean(1)

    result = fit(Slope(), stand_ins.make_net(), stand_ins.short(steps=300, evaluate_every=100), seeds=SEEDS)
    assert result.status == "ok"
    assert result.curve[-1].loss < 0.05


@pytest.mark.parametrize("activation", [nn.ReLU, nn.Tanh])
def test_an_absurd_learning_rate_diverges(stand_ins, activation: type[nn.Module]) -> None:
    """With ReLU the loss overflows; with a bounded activation it only becomes absurd."""
    seen = []
    model = stand_ins.make_net(width=64, activation=activation)
    result = fit(stand_ins.Wave(), model, stand_ins.short(lr=1e6), seeds=SEEDS, on_progress=seen.append)
    assert result.status == "diverged"
    assert 2 <= result.step <= 5
    assert result.reason.endswith(f"at step {result.step}")
    assert result.evaluation is None


def test_targets_that_are_not_numbers_diverge_at_once(stand_ins) -> None:
    result = fit(stand_ins.Wave(values=math.nan), stand_ins.make_net(), stand_ins.short(), seeds=SEEDS)
    assert (result.status, result.step, result.reason) == ("diverged", 1, "the loss is not finite at step 1")


def test_losses_read_in_batches_name_the_true_step(stand_ins, monkeypatch) -> None:
    """As on a GPU, where a loss is looked at only now and then."""

    class TurnsBad(stand_ins.Wave):
        calls = 0

        def loss(self, model: nn.Module, batch: dict[str, Tensor]) -> Tensor:
            self.calls += len(batch["coords"]) == self.elements  # Probes before the first step see fewer.
            return super().loss(model, batch) * (math.inf if self.calls == 7 else 1.0)

    monkeypatch.setattr(loop.FitUnderWay, "start", _checking_every(5, loop.FitUnderWay.start))
    result = fit(TurnsBad(), stand_ins.make_net(), stand_ins.short(), seeds=SEEDS)
    assert (result.status, result.step) == ("diverged", 7)


def _checking_every(steps: int, start):
    def wrapped(self) -> None:
        self.check_every = steps
        start(self)

    return wrapped


def test_a_parameter_that_overflows_in_the_last_step_is_seen(stand_ins) -> None:
    """The loss of a step is taken before its update, so the last update needs a look of its own."""
    model = stand_ins.make_net()
    model[0].weight.register_hook(lambda gradient: gradient * math.inf)
    result = fit(stand_ins.Wave(), model, stand_ins.short(steps=1), seeds=SEEDS)
    assert (result.status, result.step) == ("diverged", 1)
    assert "parameter" in result.reason
    assert result.evaluation is None


@pytest.mark.parametrize(("later", "status"), [([0.5, math.nan], "diverged"), ([math.nan, math.nan], "ok")])
def test_a_metric_may_be_undefined_but_not_become_so(stand_ins, later: list[float], status: str) -> None:
    class Scripted(stand_ins.Wave):
        def evaluate(self, model: nn.Module, *, full: bool = True) -> Evaluation:
            return Evaluation({"score": later.pop(0), "perfect": math.inf})

    result = fit(Scripted(), stand_ins.make_net(), stand_ins.short(evaluate_every=10), seeds=SEEDS)
    assert result.status == status
    assert result.step == 20
    assert (result.evaluation is None) == (status == "diverged")


def test_other_errors_are_not_swallowed(stand_ins) -> None:
    class Broken(stand_ins.Wave):
        def evaluate(self, model: nn.Module, *, full: bool = True) -> Evaluation:
            raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        fit(Broken(), stand_ins.make_net(), stand_ins.short(steps=1), seeds=SEEDS)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("batch", ["full", 16])
def test_cuda_agrees_with_the_cpu(stand_ins, batch: object) -> None:
    losses = {}
    for device in ("cpu", "cuda"):
        problem = stand_ins.Wave()
        problem.points, problem.values = problem.points.to(device), problem.values.to(device)
        result = fit(problem, stand_ins.make_net().to(device), stand_ins.short(steps=25, batch=batch), seeds=SEEDS)
        assert result.peak_memory_bytes > 0
        losses[device] = result.curve[-1].loss
    assert losses["cuda"] == pytest.approx(losses["cpu"], rel=1e-3)


@pytest.mark.parametrize("compiles", [False, True])
def test_phases_are_told_as_they_begin(stand_ins, monkeypatch, compiles: bool) -> None:
    seen: list[str] = []
    told_before = {}

    def compile_stand_in(model: nn.Module, **_: object) -> nn.Module:
        told_before["compile"] = seen[-1]
        return model

    class Tells(stand_ins.Wave):
        def evaluate(self, model: nn.Module, *, full: bool = True) -> Evaluation:
            told_before["full evaluation" if full else "evaluation"] = seen[-1]
            return super().evaluate(model, full=full)

        def loss(self, model: nn.Module, batch: dict[str, Tensor]) -> Tensor:
            told_before.setdefault(f"loss of {len(batch['coords'])}", seen[-1])
            return super().loss(model, batch)

    monkeypatch.setattr(torch, "compile", compile_stand_in)
    options = {"evaluate_every": 10, "compile": "on" if compiles else "off"}
    fit(
        Tells(),
        stand_ins.make_net(),
        stand_ins.short(**options),
        seeds=SEEDS,
        on_progress=lambda progress: seen.append(progress.phase),
    )
    phases = [phase for before, phase in itertools.pairwise(["", *seen]) if phase != before]
    assert phases == ["preparing", *(["compiling"] if compiles else []), "training", "evaluating"]
    assert told_before == {
        "loss of 8": "preparing",
        "loss of 16": "preparing",
        "loss of 50": "compiling" if compiles else "training",
        "evaluation": "training",
        "full evaluation": "evaluating",
        **({"compile": "compiling"} if compiles else {}),
    }
