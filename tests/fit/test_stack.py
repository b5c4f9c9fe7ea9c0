"""Stacked fits: each member gives what it gives alone, and what goes wrong with one costs no other."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from inrbench_core.api.problem import Evaluation, SeedStreams
from inrbench_core.fit import FitResult, build_model
from inrbench_core.fit.loop import FitUnderWay, fit
from inrbench_core.fit.stack import Stack, fit_stack
from inrbench_core.plugins.catalog import Catalog
from inrbench_core.spec.training import TrainingSpec

CPU = torch.device("cpu")
IMAGE = {"name": "image", "size": 24}
AUDIO = {"name": "audio", "duration_s": 0.2, "sample_rate": 8000}
SINE = {"name": "mlp", "width": 24, "depth": 2, "activation": "sine"}
# Behind rff steeper activations let rounding grow by up to ten each step, in single fits as well.
MLPS = [
    SINE,
    {**SINE, "activation": "relu"},
    {**SINE, "activation": "gaussian"},
    {**SINE, "encoding": "rff", "activation": "relu"},
]
KANS = [{"name": "kan", "basis": basis, "width": 8, "depth": 1} for basis in ("chebyshev", "bspline", "dog", "fcn")]
# Their data depend on the seed.
SEEDED = [AUDIO, *({"name": name, "size": 24} for name in ("denoising", "inpainting", "superresolution"))]
PAIRS = [
    *(pytest.param(IMAGE, field, id="+".join(map(str, field.values()))) for field in (*MLPS, *KANS)),
    *(pytest.param(task, SINE, id=str(task["name"])) for task in SEEDED),
]


@pytest.fixture
def stacked(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The number of members of each stack that took a step, in order."""
    seen: list[int] = []
    step = Stack.step

    def noted(self: Stack, number: int) -> list[Any]:
        seen.append(len(self.steppers))
        return step(self, number)

    monkeypatch.setattr(Stack, "step", noted)
    return seen


Make = Callable[[int, TrainingSpec], FitUnderWay]


def outcomes(fits: list[FitUnderWay]) -> list[FitResult | Exception]:
    found = dict(fit_stack(fits))
    assert sorted(found) == list(range(len(fits)))
    return [found[place] for place in range(len(fits))]


def assert_alike(fits: list[FitUnderWay], alone: list[FitUnderWay], tolerance: float = 1e-5) -> None:
    for one, other in zip(fits, alone, strict=True):
        assert (one.result.status, one.result.step) == (other.result.status, other.result.step)
        losses = [[point.loss for point in under_way.result.curve] for under_way in (one, other)]
        assert losses[0] == pytest.approx(losses[1], rel=tolerance)
        for name, wanted in other.model.state_dict().items():
            found = one.model.state_dict()[name]
            assert float((found - wanted).norm()) <= tolerance * float(wanted.norm()), name


def finish_alone(fits: list[FitUnderWay]) -> list[FitUnderWay]:
    for one in fits:
        one.result = fit(one.problem, one.model, one.training, seeds=one.seeds)
    return fits


def official(catalog: Catalog, task: dict[str, Any], field: dict[str, Any]) -> Make:
    def make(seed: int, training: TrainingSpec) -> FitUnderWay:
        seeds = SeedStreams(seed)
        problem = catalog.resolve("task", task).build(device=CPU, seeds=seeds)
        built = build_model(catalog.resolve("field", field), problem.shapes, seeds=seeds, device=CPU)
        return FitUnderWay(problem, built.model, training, seeds, {}, lambda progress: None)

    return make


def training_of(catalog: Catalog, **options: Any) -> TrainingSpec:
    options = {"steps": 100, "batch": 128, "evaluate_every": 50, "compile": "off", "lr": 1e-3, **options}
    return TrainingSpec.model_validate(options, context={"catalog": catalog})


@pytest.mark.parametrize(("task", "field"), PAIRS)
def test_members_give_what_they_give_alone(
    catalog: Catalog, stacked: list[int], task: dict[str, Any], field: dict[str, Any]
) -> None:
    make = official(catalog, task, field)
    training = training_of(catalog)
    fits, alone = ([make(seed, training) for seed in range(4)] for _ in range(2))
    outcomes(fits)
    assert stacked == [4] * 100
    assert_alike(fits, finish_alone(alone))


@pytest.mark.parametrize("batch", [128, "full"])
def test_rates_schedules_and_options_of_optimisers_may_differ(
    catalog: Catalog, stacked: list[int], batch: int | str
) -> None:
    make = official(catalog, IMAGE, SINE)
    options = [
        {"lr": 1e-4},
        {"lr": 1e-3, "schedule": "constant"},
        {"optimizer": {"name": "adam", "betas": [0.8, 0.9]}, "final_lr": 0.5},
        {"optimizer": {"name": "adamw", "weight_decay": 0.1}},
        {"optimizer": "sgd", "lr": 1e-2},
    ]
    trainings = [training_of(catalog, batch=batch, **each) for each in options]
    fits, alone = ([make(0, training) for training in trainings] for _ in range(2))
    outcomes(fits)
    assert stacked == [5] * 100
    assert_alike(fits, finish_alone(alone))
    assert len({one.result.curve[-1].loss for one in fits}) == 5


def small(stand_ins: SimpleNamespace, count: int = 5, **options: Any) -> list[FitUnderWay]:
    """Fits of a wave by networks with initial weights of their own."""
    fits = []
    for seed in range(count):
        training = stand_ins.short(steps=60, batch=20, evaluate_every=20, **options)
        torch.manual_seed(seed)
        model = nn.Sequential(nn.Linear(1, 16), nn.Tanh(), nn.Linear(16, 1))
        fits.append(FitUnderWay(stand_ins.Wave(), model, training, SeedStreams(seed), {}, lambda progress: None))
    return fits


def test_a_member_that_diverges_ends_alone(stand_ins: SimpleNamespace, stacked: list[int]) -> None:
    fits, alone = (small(stand_ins, count=6) for _ in range(2))
    for one in (fits[2], alone[2]):
        one.training = stand_ins.short(steps=60, batch=20, evaluate_every=20, lr=1e9, optimizer="sgd")
    outcomes(fits)
    assert fits[2].result.status == "diverged"
    assert fits[2].result.step < 60
    assert stacked == [6] * fits[2].result.step + [5] * (60 - fits[2].result.step)
    finish_alone(alone)
    for one, other in zip(fits, alone, strict=True):
        assert (one.result.status, one.result.step, one.result.reason) == (
            other.result.status,
            other.result.step,
            other.result.reason,
        )
    assert_alike(fits[:2] + fits[3:], alone[:2] + alone[3:])


def test_members_that_are_left_go_on_one_by_one(stand_ins: SimpleNamespace, stacked: list[int]) -> None:
    fits, alone = (small(stand_ins, count=4) for _ in range(2))
    for one in (fits[0], alone[0]):
        one.training = stand_ins.short(steps=60, batch=20, evaluate_every=20, lr=1e9, optimizer="sgd")
    outcomes(fits)
    assert stacked == [4] * fits[0].result.step
    assert_alike(fits[1:], finish_alone(alone)[1:])


@pytest.mark.parametrize("when", ["start", "evaluation", "optimizer"])
def test_a_member_that_raises_costs_no_other(stand_ins: SimpleNamespace, stacked: list[int], when: str) -> None:
    def fail(*arguments: Any, **keys: Any) -> Any:
        raise RuntimeError("trouble was asked for")

    fits = small(stand_ins)
    if when == "start":
        fits[1]._prepare = fail  # type: ignore[method-assign]
    elif when == "evaluation":
        fits[1].problem.evaluate = fail  # type: ignore[method-assign]
    else:

        class Fails(torch.optim.SGD):
            def step(self, closure: Any = None) -> Any:
                fail()

        training = stand_ins.short(steps=60, batch=20, evaluate_every=20)
        own = stand_ins.optimizer(lambda spec, groups: Fails(groups))
        fits[1].training = training.model_copy(update={"optimizer": own})
    found = outcomes(fits)
    assert isinstance(found[1], RuntimeError)
    assert str(found[1]) == "trouble was asked for"
    assert all(isinstance(result, FitResult) and result.status == "ok" for result in found[:1] + found[2:])
    assert set(stacked) <= {4, 5}
    assert len(stacked) == 60


class Tuned(nn.Module):
    """A layer with a number that is neither a parameter nor a buffer."""

    def __init__(self, omega: float) -> None:
        super().__init__()
        self.omega = omega

    def forward(self, x: Tensor) -> Tensor:
        return torch.sin(self.omega * x)


class Counting(nn.Module):
    """A layer that changes a buffer at each call in training."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1.0
        return x * (1 + 1e-3 * self.calls)


class Replacing(nn.Module):
    """A layer that gives a buffer another tensor at each call in training."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        self.calls = self.calls + 1.0
        return x * (1 + 1e-3 * self.calls)


class Elsewhere(Tuned):
    """A layer whose number acts on a part of the signal only."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.where(x > 1e3, self.omega * x, x)


@pytest.mark.parametrize("kind", ["number", "elsewhere", "buffer", "replaced", "dropout"])
def test_models_that_differ_in_more_than_weights_are_fitted_one_by_one(
    stand_ins: SimpleNamespace, stacked: list[int], kind: str
) -> None:
    makers = {
        "number": Tuned,
        "elsewhere": Elsewhere,
        "buffer": lambda omega: Counting(),
        "replaced": lambda omega: Replacing(),
        "dropout": lambda omega: nn.Dropout(0.1),
    }
    fits, alone = (small(stand_ins) for _ in range(2))
    for number in range(5):
        fits[number].model.insert(1, makers[kind](1.0 + number)).train()
        alone[number].model.insert(1, makers[kind](1.0 + number)).train()
    outcomes(fits)
    assert stacked == []
    assert_alike(fits, finish_alone(alone), tolerance=0.0)


def test_batches_that_draw_at_random_are_not_stacked(stand_ins: SimpleNamespace, stacked: list[int]) -> None:
    class Noisy(stand_ins.Wave):
        def batch(self, index: Any) -> dict[str, Tensor]:
            batch = super().batch(index)
            return {**batch, "values": batch["values"] + 0.1 * torch.randn(batch["values"].shape)}

    fits, alone = (small(stand_ins) for _ in range(2))
    for one in (*fits, *alone):
        one.problem = Noisy()
    outcomes(fits)
    assert stacked == []
    assert_alike(fits, finish_alone(alone), tolerance=0.0)


@pytest.mark.parametrize("where", ["batch", "loss"])
def test_a_member_that_raises_in_a_later_step_costs_no_other(
    stand_ins: SimpleNamespace, stacked: list[int], where: str
) -> None:
    class Fails(stand_ins.Wave):
        steps = 0

        def batch(self, index: Any) -> dict[str, Tensor]:
            self.steps += len(index) == 20 if isinstance(index, Tensor) else 0
            if self.steps > 30 and where == "batch":
                raise OSError("bad sector")
            return super().batch(index)

        def loss(self, model: nn.Module, batch: Any) -> Tensor:
            if self.steps > 30 and where == "loss":
                raise OSError("bad sector")
            return super().loss(model, batch)

    fits, alone = (small(stand_ins) for _ in range(2))
    # The first, whose loss is that of all.
    fits[0].problem = Fails()
    found = outcomes(fits)
    assert isinstance(found[0], OSError)
    assert 20 < len(stacked) < 40
    assert_alike(fits[1:], finish_alone(alone)[1:])


@pytest.mark.parametrize("what", ["optimizer", "evaluation"])
def test_parameters_that_get_other_memory_go_on_from_there(
    stand_ins: SimpleNamespace, stacked: list[int], what: str
) -> None:
    class Rebinding(torch.optim.SGD):
        def step(self, closure: Any = None) -> Any:
            loss = super().step(closure)
            for group in self.param_groups:
                for parameter in group["params"]:
                    parameter.data = 0.99 * parameter.data
            return loss

    class Moving(stand_ins.Wave):
        def evaluate(self, model: nn.Module, *, full: bool = True) -> Evaluation:
            model.double()
            model.float()
            return super().evaluate(model, full=full)

    fits, alone = (small(stand_ins) for _ in range(2))
    for one in (*fits, *alone):
        if what == "optimizer":
            own = stand_ins.optimizer(lambda spec, groups: Rebinding(groups))
            one.training = one.training.model_copy(update={"optimizer": own})
        else:
            one.problem = Moving()
    outcomes(fits)
    assert stacked == [5] * 60
    assert_alike(fits, finish_alone(alone))


def test_what_evaluations_draw_at_random_is_what_they_draw_alone(
    stand_ins: SimpleNamespace, stacked: list[int]
) -> None:
    class Random(stand_ins.Wave):
        def evaluate(self, model: nn.Module, *, full: bool = True) -> Evaluation:
            return Evaluation({"drawn": float(torch.rand(()))})

    fits, alone = (small(stand_ins) for _ in range(2))
    for one in (*fits, *alone):
        one.problem = Random()
    before = torch.get_rng_state()
    outcomes(fits)
    assert torch.equal(torch.get_rng_state(), before)
    assert len(stacked) == 60
    finish_alone(alone)
    drawn = [[[point.metrics["drawn"] for point in one.result.curve] for one in each] for each in (fits, alone)]
    assert drawn[0] == drawn[1]
    assert len({tuple(row) for row in drawn[0]}) == 5


def test_an_optimiser_that_evaluates_the_loss_twice_is_told(stand_ins: SimpleNamespace) -> None:
    class Twice(torch.optim.SGD):
        def step(self, closure: Any = None) -> Any:
            closure()
            return super().step(closure)

    fits = small(stand_ins)
    own = stand_ins.optimizer(lambda spec, groups: Twice(groups))
    fits[3].training = stand_ins.short(steps=60, batch=20).model_copy(update={"optimizer": own})
    found = outcomes(fits)
    assert isinstance(found[3], ValueError)
    assert str(found[3]) == "optimizer own: its step() calls the closure 2 times; it says once"


def test_a_parameter_without_a_gradient_stays_as_it_is(stand_ins: SimpleNamespace, stacked: list[int]) -> None:
    """Decay would change one whose gradient is zero and not missing."""
    fits = small(stand_ins, optimizer={"name": "adamw", "weight_decay": 0.5})
    for one in fits:
        one.model.register_parameter("unused", nn.Parameter(torch.ones(3)))
        one.model.register_parameter("frozen", nn.Parameter(torch.ones(3), requires_grad=False))
    outcomes(fits)
    assert len(stacked) == 60
    for one in fits:
        assert torch.equal(one.model.get_parameter("unused").data, torch.ones(3))
        assert torch.equal(one.model.get_parameter("frozen").data, torch.ones(3))
