"""Optional methods of modules, and parameters of the problem."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from inrbench_core.api.problem import SeedStreams
from inrbench_core.fit import fit, set_progress
from inrbench_core.fit.hooks import parameter_groups

SEEDS = SeedStreams(0)


class OwnRate(nn.Linear):
    """Its weight learns at ten times the run's rate and decays; its bias goes with the rest."""

    def parameter_groups(self, lr: float) -> list[dict[str, Any]]:
        return [{"params": self.weight, "lr": 10 * lr, "weight_decay": 0.5}]


def small_net(dtype: torch.dtype = torch.float64) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(OwnRate(1, 8), nn.Tanh(), nn.Linear(8, 1)).to(dtype)


def descend(
    loss: Callable[[], Tensor], rates: dict[nn.Parameter, list[float]], decay: dict[nn.Parameter, float]
) -> None:
    """Plain gradient descent, written out."""
    for step in range(len(next(iter(rates.values())))):
        gradients = torch.autograd.grad(loss(), list(rates))
        with torch.no_grad():
            for parameter, gradient in zip(rates, gradients, strict=True):
                parameter -= rates[parameter][step] * (gradient + decay.get(parameter, 0.0) * parameter)


def test_groups_have_rates_of_their_own_which_the_schedule_scales_alike(stand_ins) -> None:
    problem, model = stand_ins.Wave(dtype=torch.float64), small_net()
    reference = copy.deepcopy(model)
    rates = {
        parameter: [(0.1 if parameter is reference[0].weight else 0.01) * 0.04 ** (step / 4) for step in range(5)]
        for parameter in reference.parameters()
    }
    descend(lambda: (reference(problem.points) - problem.values).square().mean(), rates, {reference[0].weight: 0.5})
    training = stand_ins.training(
        steps=5, lr=0.01, schedule="exponential", final_lr=0.04, optimizer={"name": "sgd", "momentum": 0}
    )
    fit(problem, model, training, seeds=SEEDS)
    for ours, theirs in zip(model.parameters(), reference.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-13)


def test_groups_hold_each_parameter_once_and_no_frozen_one(stand_ins) -> None:
    model = small_net()
    model[2].bias.requires_grad_(False)
    rest, own = parameter_groups(model, stand_ins.Wave(), 0.1)
    assert own == {"params": [model[0].weight], "lr": 1.0, "weight_decay": 0.5}
    assert rest["lr"] == 0.1
    assert [id(parameter) for parameter in rest["params"]] == [id(model[0].bias), id(model[2].weight)]


class Takes(nn.Module):
    """Puts what `chosen` picks into groups."""

    def __init__(self, chosen: Callable[[Takes], Any]) -> None:
        super().__init__()
        self.inner = OwnRate(1, 1)
        self.chosen = chosen

    def parameter_groups(self, lr: float) -> Any:
        return self.chosen(self)


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        (
            lambda own: [{"params": own.inner.parameters(), "lr": 1.0}],
            r"OwnRate.parameter_groups \(at 0.inner\): 0.inner.weight is in a group of Takes.parameter_groups \(at 0\)",
        ),
        (
            lambda own: [{"params": [own.inner.bias], "lr": 1.0}, {"params": [own.inner.bias], "lr": 2.0}],
            r"Takes.parameter_groups \(at 0\): 0.inner.bias is in a group of Takes",
        ),
        (lambda own: [{"params": [nn.Parameter(torch.zeros(1))], "lr": 1.0}], "no parameter of the module"),
        (lambda own: [{"params": [own.inner.bias]}], "'params' and 'lr'"),
        (lambda own: [own.inner.bias], "'params' and 'lr'"),
    ],
    ids=["in two modules", "twice in one", "foreign", "without a rate", "no mapping"],
)
def test_wrong_groups_name_the_module(stand_ins, chosen: Callable[[Takes], Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        fit(stand_ins.Wave(), _Through(Takes(chosen)), stand_ins.short(), seeds=SEEDS)


class _Through(nn.Sequential):
    def forward(self, x: Tensor) -> Tensor:
        return self[0].inner(x)


def test_nothing_to_train_is_an_error_but_can_be_evaluated(stand_ins) -> None:
    model = nn.Linear(1, 1).requires_grad_(False)
    with pytest.raises(ValueError, match="no parameters to train"):
        fit(stand_ins.Wave(), model, stand_ins.short(), seeds=SEEDS)
    assert fit(stand_ins.Wave(), model, stand_ins.short(steps=0), seeds=SEEDS).evaluation is not None


@pytest.mark.parametrize("chunk", [50, 7])
def test_regularisation_is_added_once_a_step(stand_ins, chunks_of, chunk: int) -> None:
    class Decays(nn.Linear):
        def regularisation(self) -> Tensor:
            return self.weight.abs().sum()

    torch.manual_seed(0)
    model = nn.Sequential(Decays(1, 8), nn.Tanh(), Decays(8, 1)).double()
    reference, problem = copy.deepcopy(model), stand_ins.Wave(dtype=torch.float64)

    def loss() -> Tensor:
        terms = reference[0].weight.abs().sum() + reference[2].weight.abs().sum()
        return (reference(problem.points) - problem.values).square().mean() + terms

    descend(loss, {parameter: [0.01] * 5 for parameter in reference.parameters()}, {})
    chunks_of(chunk)
    fit(problem, model, stand_ins.short(steps=5, optimizer={"name": "sgd", "momentum": 0}), seeds=SEEDS)
    for ours, theirs in zip(model.parameters(), reference.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-13)


class Staged(nn.Linear):
    """Notes the progress that it is told, and under which each forward pass was made."""

    def __init__(self) -> None:
        super().__init__(1, 1)
        self.share = math.nan
        self.used: list[tuple[bool, float]] = []

    def set_progress(self, share: float) -> None:
        self.share = share

    def forward(self, x: Tensor) -> Tensor:
        self.used.append((self.training, self.share))
        return super().forward(x)


def test_progress_goes_from_0_towards_1_and_is_1_for_evaluations(stand_ins) -> None:
    model = nn.Sequential(Staged())
    fit(stand_ins.Wave(), model, stand_ins.short(steps=4, evaluate_every=2), seeds=SEEDS)
    used = model[0].used
    measured = [share for training, share in used[:2]]
    assert measured == [1.0, 1.0], "chunks are sized for a model in full"
    assert used[2:] == [(True, 0.0), (True, 0.25), (False, 1.0), (True, 0.5), (True, 0.75), (False, 1.0)]
    set_progress(model, 0.5)
    assert model[0].share == 0.5


def scaled_wave(stand_ins: Any, dtype: torch.dtype = torch.float64) -> Any:
    class ScaledWave(stand_ins.Wave):
        """The model times an amplitude that is not known."""

        def __init__(self) -> None:
            super().__init__(dtype=dtype)
            self.amplitude = nn.Parameter(torch.ones((), dtype=dtype))

        def parameters(self) -> dict[str, nn.Parameter]:
            return {"amplitude": self.amplitude}

        def loss(self, model: nn.Module, batch: Any) -> Tensor:
            return (self.amplitude * model(batch["coords"]) - batch["values"]).square().mean(dim=1)

    return ScaledWave()


def test_parameters_of_the_problem_train_beside_the_model_at_its_rate(stand_ins, chunks_of) -> None:
    chunks_of(20)
    problem, model = scaled_wave(stand_ins), small_net()
    reference, amplitude = copy.deepcopy(model), nn.Parameter(torch.ones((), dtype=torch.float64))
    rates = {parameter: [0.01] * 5 for parameter in [*reference.parameters(), amplitude]}
    rates[reference[0].weight] = [0.1] * 5
    descend(
        lambda: (amplitude * reference(problem.points) - problem.values).square().mean(),
        rates,
        {reference[0].weight: 0.5},
    )
    fit(problem, model, stand_ins.short(steps=5, optimizer={"name": "sgd", "momentum": 0}), seeds=SEEDS)
    assert amplitude.item() != 1.0
    for ours, theirs in zip([*model.parameters(), problem.amplitude], rates, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-13)


def test_a_parameter_of_the_problem_that_overflows_is_seen(stand_ins) -> None:
    problem = scaled_wave(stand_ins)
    problem.amplitude.register_hook(lambda gradient: gradient * math.inf)
    result = fit(problem, small_net(), stand_ins.short(steps=1), seeds=SEEDS)
    assert (result.status, result.step) == ("diverged", 1)
    assert "parameter" in result.reason
