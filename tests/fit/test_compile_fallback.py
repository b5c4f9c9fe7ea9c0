"""When torch.compile is tried, and what happens where it does not work."""

from __future__ import annotations

import copy
import functools
import warnings

import pytest
import torch
from torch import Tensor, nn

from inrbench_core.api.problem import SeedStreams
from inrbench_core.fit import compiling, fit
from inrbench_core.fit.chunks import Footprint
from inrbench_core.fit.compiling import wants_compile

SEEDS = SeedStreams(0)


@pytest.fixture
def on(stand_ins):
    """With the compiler on."""
    return stand_ins.training(steps=6, lr=1e-2, evaluate_every=3, compile="on")


@pytest.fixture
def quick_compiler(monkeypatch):
    """Dynamo and AOT autograd as always, but no code generation, which takes seconds."""
    monkeypatch.setattr(torch, "compile", functools.partial(torch.compile, backend="aot_eager"))


def test_auto_goes_by_the_planned_work(stand_ins) -> None:
    """The net's 32 sines multiply first: 32 writes that compiled code spares, at 1.2 ns: 38 ns a point."""
    problem, net = stand_ins.Wave(), stand_ins.make_net()

    def decide(steps: int, points: int = 65_536, **options: object) -> bool:
        return wants_compile(stand_ins.training(steps=steps, **options), problem, net, points, 4_096, "cpu")

    assert not decide(1_000)  # 2.5 s, less than the import of the compiler takes
    assert decide(3_000)
    assert not decide(3_000, points=10_000)
    assert not decide(100_000, compile="off")
    assert decide(1, points=1, compile="on")
    assert not decide(0, compile="on")


def test_auto_leaves_alone_what_cannot_be_compiled(stand_ins) -> None:
    class Staged(nn.Module):
        """Would be compiled anew for each share of progress."""

        def set_progress(self, share: float) -> None:
            pass

    def decide(model: nn.Module, **options: object) -> bool:
        training = stand_ins.training(steps=100_000, **options)
        return wants_compile(training, problem, model, 65_536, 4_096, "cpu")

    problem, net = stand_ins.Wave(), stand_ins.make_net()
    assert decide(net)
    net.phase = nn.Parameter(torch.zeros(1, dtype=torch.complex64))
    assert not decide(net)
    staged = nn.Sequential(stand_ins.make_net(), Staged())
    assert not decide(staged)
    assert decide(staged, compile="on")
    problem.differentiates = True
    assert not decide(stand_ins.make_net())


def test_auto_does_not_compile_what_it_cannot_count(stand_ins, monkeypatch) -> None:
    def fails(*_: object) -> None:
        raise RuntimeError("no dispatch mode here")

    monkeypatch.setattr(compiling, "predict_saving", fails)
    assert not wants_compile(stand_ins.training(steps=10**9), stand_ins.Wave(), stand_ins.make_net(), 50, 50, "cpu")


@pytest.mark.parametrize("when", ["at once", "at the first call", "in the backward pass"])
def test_a_failing_compiler_means_one_warning_and_the_same_numbers(stand_ins, on, monkeypatch, when: str) -> None:
    def model() -> nn.Module:
        net = stand_ins.make_net()
        return nn.Sequential(*net[:2], nn.BatchNorm1d(16), nn.Dropout(0.1), *net[2:])

    def fails(module: nn.Module, **_: object) -> nn.Module:
        if when == "at once":
            raise RuntimeError("no compiler found\nand a long explanation")

        class Fails(nn.Module):
            def forward(self, x: Tensor) -> Tensor:
                y: Tensor = module(x)
                if when == "at the first call":
                    raise RuntimeError("no compiler found\nand a long explanation")
                y.register_hook(self.no_gradient)
                return y

            def no_gradient(self, gradient: Tensor) -> Tensor:
                raise RuntimeError("no compiler found\nand a long explanation")

        return Fails()

    eager, fallen_back = model(), model()
    expected = fit(stand_ins.Wave(), eager, on.model_copy(update={"compile": "off"}), seeds=SEEDS)
    monkeypatch.setattr(torch, "compile", fails)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        result = fit(stand_ins.Wave(), fallen_back, on, seeds=SEEDS)
    ours = [str(warning.message) for warning in caught if "torch.compile" in str(warning.message)]
    assert ours == ["torch.compile does not work here, so this fit is not compiled: no compiler found"]
    assert result.status == "ok"
    assert not result.compiled
    assert result.compile_s > 0
    assert [point.loss for point in result.curve] == [point.loss for point in expected.curve]
    for name, tensor in eager.state_dict().items():
        assert torch.equal(tensor, fallen_back.state_dict()[name]), name


def test_double_backward_falls_back(stand_ins, on, quick_compiler) -> None:
    class Slope(stand_ins.Wave):
        differentiates = True

        def loss(self, model: nn.Module, batch: dict[str, Tensor]) -> Tensor:
            x = batch["coords"].detach().requires_grad_()
            (slope,) = torch.autograd.grad(model(x).sum(), x, create_graph=True)
            return (slope - 1).square().mean(1)

    with pytest.warns(UserWarning, match="so this fit is not compiled"):
        result = fit(Slope(), stand_ins.make_net(), on, seeds=SEEDS)
    assert (result.status, result.compiled) == ("ok", False)


def test_compiled_steps_agree_and_the_odd_rest_compiles_nothing(stand_ins, on, quick_compiler, chunks_of) -> None:
    chunks_of(20)
    compiled, eager = stand_ins.make_net(), stand_ins.make_net()
    problem = stand_ins.Wave()
    fit(problem, eager, on.model_copy(update={"compile": "off"}), seeds=SEEDS)
    torch._dynamo.utils.counters.clear()
    result = fit(problem, compiled, on, seeds=SEEDS)
    assert result.compiled
    assert result.chunk == 16  # 50 = 3 x 16 + 2
    assert result.compile_s > 0
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] == 1
    for ours, theirs in zip(compiled.parameters(), eager.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-6)


def test_fields_by_name_compile(stand_ins, on, quick_compiler) -> None:
    model = nn.ModuleDict({"a": stand_ins.make_net(), "b": stand_ins.make_net(width=8)})
    before = copy.deepcopy(model.state_dict())
    result = fit(stand_ins.SumOfFields(), model, on, seeds=SEEDS)
    assert (result.status, result.compiled) == ("ok", True)
    assert all(not torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


@torch._dynamo.config.patch(recompile_limit=1)
def test_models_before_in_the_same_process_do_not_keep_one_from_compiling(stand_ins, on, quick_compiler) -> None:
    """Dynamo stays eager past a number of versions of one forward, and a warm worker fits many models."""
    for width in (4, 5, 6):
        torch._dynamo.utils.counters.clear()
        fit(stand_ins.Wave(), stand_ins.make_net(width=width), on.model_copy(update={"steps": 1}), seeds=SEEDS)
        assert torch._dynamo.utils.counters["stats"]["unique_graphs"] == 1


@pytest.mark.parametrize(
    ("total", "batch", "chunk", "device_type", "expected"),
    [
        (1_000, 4_096, 4_096, "cuda", True),
        (1_000, 4_096, 4_096, "cpu", False),
        (1_000, 4_096, 2_048, "cuda", False),  # Gradients of two chunks are summed.
        (1_000, 1 << 20, 1 << 20, "cuda", False),  # Kernels take longer than their launches.
    ],
)
def test_small_steps_of_one_chunk_replay_cuda_graphs(
    total: int, batch: int, chunk: int, device_type: str, expected: bool
) -> None:
    footprint = Footprint(largest=64, total=total)
    assert compiling.uses_cuda_graphs(footprint, batch, chunk, device_type) is expected


def test_what_is_recorded_is_replayed_before_training(stand_ins, monkeypatch) -> None:
    """So that a failure of any of the three kinds of call shows in time; gradients are not summed over them."""
    modes: list[str | None] = []

    def take(module: nn.Module, mode: str | None = None, **_: object) -> nn.Module:
        modes.append(mode)
        return module

    monkeypatch.setattr(torch, "compile", take)
    seen: list[bool] = []

    def loss(model: nn.Module) -> Tensor:
        seen.append(all(parameter.grad is None for parameter in model.parameters()))
        return model(torch.ones(3, 1)).sum()

    model = stand_ins.make_net()
    assert compiling.compile_model(model, loss, cuda_graphs=True)[0] is model
    assert compiling.compile_model(model, loss)[0] is model
    assert modes == ["reduce-overhead", None]
    assert seen == [True] * 4
