"""Optimisers as components: their options, and steps by a closure."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor, nn

from inrbench_core.api.problem import SeedStreams
from inrbench_core.fit import fit
from inrbench_core.fit.schedule import learning_rate
from inrbench_core.spec.training import TrainingSpec

SEEDS = SeedStreams(0)


@pytest.mark.parametrize(
    ("given", "written"),
    [
        (None, {"name": "adam", "betas": [0.9, 0.999], "eps": 1e-8}),
        ("sgd", {"name": "sgd", "momentum": 0.9}),
        (
            {"name": "adamw", "weight_decay": 0.1},
            {"name": "adamw", "betas": [0.9, 0.999], "eps": 1e-8, "weight_decay": 0.1},
        ),
    ],
)
def test_an_optimiser_is_written_out_in_full_and_read_again(stand_ins, given: Any, written: dict[str, Any]) -> None:
    training = stand_ins.training(**({} if given is None else {"optimizer": given}))
    data = json.loads(json.dumps(training.model_dump(mode="json")))
    assert data["optimizer"] == written
    again = TrainingSpec.model_validate(data, context={"catalog": stand_ins.catalog})
    assert again == training
    assert hash(again) == hash(training)


@pytest.mark.parametrize(
    ("optimizer", "path", "message"),
    [
        ("adamm", ("optimizer",), "did you mean 'adam'"),
        ({"name": "sgd", "beta": 1}, ("optimizer", "beta"), "unknown key"),
        ({"name": "sgd", "momentum": 1}, ("optimizer", "momentum"), "less than 1"),
        (3, ("optimizer",), "expected the name of an optimizer"),
    ],
)
def test_wrong_optimisers_are_told_where(stand_ins, optimizer: Any, path: tuple[str, ...], message: str) -> None:
    with pytest.raises(ValidationError) as caught:
        stand_ins.training(optimizer=optimizer)
    (problem,) = caught.value.errors()
    assert problem["loc"][: len(path)] == path
    assert message in problem["msg"]


@pytest.mark.parametrize(
    ("name", "kind", "changed"),
    [
        ("adam", torch.optim.Adam, {}),
        ("adamw", torch.optim.AdamW, {}),
        ("sgd", torch.optim.SGD, {"momentum": 0.9}),
    ],
)
def test_defaults_are_those_of_torch_but_for_momentum(
    stand_ins, name: str, kind: type, changed: dict[str, Any]
) -> None:
    parameter = nn.Parameter(torch.zeros(3))
    optimizer = stand_ins.catalog.resolve("optimizer", name).build([{"params": [parameter], "lr": 0.5}])
    assert isinstance(optimizer, kind)
    expected = kind([parameter], lr=0.5, fused=True, foreach=False, **changed).param_groups[0]
    assert {**optimizer.param_groups[0], "params": []} == {**expected, "params": []}


def test_options_reach_the_optimiser_and_complex_numbers_are_not_fused(stand_ins) -> None:
    def group_of(dtype: torch.dtype, **options: Any) -> dict[str, Any]:
        component = stand_ins.catalog.resolve("optimizer", options)
        return component.build([{"params": [nn.Parameter(torch.zeros(3, dtype=dtype))], "lr": 1.0}]).param_groups[0]

    adamw = group_of(torch.complex64, name="adamw", betas=[0.5, 0.6], eps=1e-3, weight_decay=0.2)
    assert (adamw["betas"], adamw["eps"], adamw["weight_decay"]) == ((0.5, 0.6), 1e-3, 0.2)
    assert (adamw["fused"], adamw["foreach"]) == (False, True)
    assert group_of(torch.float32, name="sgd", momentum=0.1)["momentum"] == 0.1


class CallsThrice(torch.optim.SGD):
    """Descends by the mean gradient of three calls of the closure, the parameters moved a little for each."""

    def step(self, closure: Any = None) -> Any:
        gradients, losses = [], []
        parameters = [parameter for group in self.param_groups for parameter in group["params"]]
        for _ in range(3):
            losses.append(closure().item())
            gradients.append([parameter.grad.clone() for parameter in parameters])
            with torch.no_grad():
                for parameter in parameters:
                    parameter += 0.01
        with torch.no_grad():
            for parameter, *parts in zip(parameters, *gradients, strict=True):
                parameter -= self.param_groups[0]["lr"] * sum(parts) / 3 + 0.03
        return losses[-1]


@pytest.mark.parametrize(("batch", "chunk"), [("full", 50), ("full", 7), (16, 16), (16, 5)])
def test_a_closure_may_be_called_several_times_a_step(stand_ins, chunks_of, batch: Any, chunk: int) -> None:
    """Each call has the gradients of the same batch, and of nothing else; the curve has the loss of the first."""
    chunks_of(chunk)
    problem, model = stand_ins.Wave(dtype=torch.float64), stand_ins.make_net(dtype=torch.float64)
    reference = copy.deepcopy(model)
    order = torch.cat([torch.randperm(50, generator=g) for g in [SEEDS.generator("sampling")] for _ in range(3)])
    plain = CallsThrice(reference.parameters(), lr=1e-2)
    expected = []
    for step in range(4):
        index = torch.arange(50) if batch == "full" else order[16 * step : 16 * step + 16]
        losses: list[float] = []

        def closure(index: Tensor = index, losses: list[float] = losses) -> Tensor:
            plain.zero_grad()
            loss = nn.functional.mse_loss(reference(problem.points[index]), problem.values[index])
            loss.backward()
            losses.append(loss.item())
            return loss

        plain.step(closure)
        expected.append(losses[0])
    own = stand_ins.optimizer(lambda spec, groups: CallsThrice(groups))
    training = stand_ins.short(steps=4, optimizer=own, batch=batch, evaluate_every=1)
    result = fit(problem, model, training, seeds=SEEDS)
    assert [point.loss for point in result.curve] == pytest.approx(expected, rel=1e-12)
    for ours, theirs in zip(model.parameters(), reference.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-12)


def test_the_closure_returns_the_loss_that_its_gradients_belong_to(stand_ins, chunks_of) -> None:
    """With regularisation: a line search compares these values."""

    class Decays(nn.Linear):
        def regularisation(self) -> Tensor:
            return 3.0 * self.weight.square().sum()

    class Looks(torch.optim.SGD):
        def step(self, closure: Any = None) -> Any:
            seen.append(closure().item())
            assert torch.is_grad_enabled()
            return None

    seen: list[float] = []
    chunks_of(7)
    problem, model = stand_ins.Wave(), Decays(1, 1)
    data = nn.functional.mse_loss(model(problem.points), problem.values).item()
    own = stand_ins.optimizer(lambda spec, groups: Looks(groups))
    result = fit(problem, model, stand_ins.short(steps=1, optimizer=own), seeds=SEEDS)
    assert seen == [pytest.approx(data + 3.0 * model.weight.item() ** 2, rel=1e-5)]
    assert result.curve[0].loss == pytest.approx(data, rel=1e-5)


def test_an_optimiser_that_calls_no_closure_is_an_error(stand_ins) -> None:
    class Idle(torch.optim.SGD):
        def step(self, closure: Any = None) -> Any:
            return None

    own = stand_ins.optimizer(lambda spec, groups: Idle(groups))
    with pytest.raises(ValueError, match=r"optimizer own: its step\(\) does not call the closure"):
        fit(stand_ins.Wave(), stand_ins.make_net(), stand_ins.short(optimizer=own), seeds=SEEDS)


@pytest.mark.parametrize("name", ["adam", "adamw", "sgd"])
def test_steps_are_those_of_torch(stand_ins, name: str) -> None:
    """Bit for bit, at changing rates."""
    ours, theirs = stand_ins.make_net(), stand_ins.make_net()
    built = stand_ins.catalog.resolve("optimizer", name).build([{"params": [*ours.parameters()], "lr": 0.01}])
    kind = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW, "sgd": torch.optim.SGD}[name]
    plain = kind(theirs.parameters(), lr=0.01, fused=True, **({"momentum": 0.9} if name == "sgd" else {}))
    x = torch.linspace(-1, 1, 20).unsqueeze(1)
    for step in range(5):
        for optimizer, model in ((built, ours), (plain, theirs)):

            def closure(model: nn.Module = model) -> Tensor:
                model.zero_grad()
                loss = (model(x) - 1).square().mean()
                loss.backward()
                return loss

            optimizer.param_groups[0]["lr"] = 0.01 / (1 + step)
            optimizer.step(closure)
    start = stand_ins.make_net()
    for found, wanted, before in zip(ours.parameters(), theirs.parameters(), start.parameters(), strict=True):
        assert torch.equal(found, wanted)
        assert not torch.equal(found, before)


class RateAsTensor(torch.optim.Adam):
    """Its rate is a tensor that stays the same object, as on CUDA, where a captured step reads it."""

    def __init__(self, groups: list[dict[str, Any]]) -> None:
        super().__init__([{**group, "lr": torch.tensor(group["lr"])} for group in groups], fused=True)
        self.rates = [group["lr"] for group in self.param_groups]
        self.seen: list[float] = []

    def step(self, closure: Any = None) -> Any:
        assert all(group["lr"] is rate for group, rate in zip(self.param_groups, self.rates, strict=True))
        self.seen.append(self.rates[0].item())
        return super().step(closure)


def test_a_rate_that_is_a_tensor_is_written_in_place_and_gives_the_same_steps(stand_ins) -> None:
    made: list[RateAsTensor] = []

    def target(spec: Any, groups: Any) -> torch.optim.Optimizer:
        made.append(RateAsTensor(groups))
        return made[-1]

    as_tensor, as_number = stand_ins.make_net(), stand_ins.make_net()
    training = stand_ins.short(steps=20, schedule="cosine")
    fit(stand_ins.Wave(), as_number, training, seeds=SEEDS)
    own = training.model_copy(update={"optimizer": stand_ins.optimizer(target)})
    fit(stand_ins.Wave(), as_tensor, own, seeds=SEEDS)
    assert made[0].seen == pytest.approx([learning_rate(training, step, 1e-2) for step in range(20)], rel=1e-6)
    for found, wanted in zip(as_tensor.parameters(), as_number.parameters(), strict=True):
        torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-6)


LAZY = """
import sys
import torch
from inrbench_core.api.problem import SeedStreams
from inrbench_core.fit import fit, flops_per_step
import conftest

for optimizer in ("adam", "adamw", "sgd"):
    for compile in ("off", "auto"):
        training = conftest.short(steps=2, optimizer=optimizer, compile=compile, schedule="cosine", batch=16)
        assert flops_per_step(conftest.Wave(), conftest.make_net(), training) > 0
        assert fit(conftest.Wave(), conftest.make_net(), training, seeds=SeedStreams(0)).status == "ok"
assert "torch._dynamo" not in sys.modules
"""


def test_a_fit_that_is_not_compiled_does_not_import_the_compiler() -> None:
    """It takes a second of each worker."""
    done = subprocess.run([sys.executable, "-c", LAZY], capture_output=True, text=True, cwd=Path(__file__).parent)
    assert done.returncode == 0, done.stderr
