"""What compiling is said to save, counted from formulas that can be counted by hand."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from inrbench_core.fit.saving import SAVED_S_PER_FLOAT, SAVED_S_PER_OPERATION, predict_saving

RATE = SAVED_S_PER_FLOAT["cpu"]


class Bell(nn.Module):
    """exp(-x^2): three operations, of which a loop over all of them spares two."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.exp(-x.square())


class Declares(Bell):
    """Says itself what compiling saves, with all in it."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = Inner()

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(self.inner(x))

    def compile_saving(self, device_type: str) -> float:
        return {"cpu": 1e-6, "cuda": 2e-9}[device_type]


class Inner(Bell):
    def compile_saving(self, device_type: str) -> float:
        raise AssertionError("only the outermost is asked")


def net(activation: nn.Module) -> nn.Module:
    return nn.Sequential(nn.Linear(1, 10), activation, nn.Linear(10, 1))


@pytest.mark.parametrize(
    ("model", "floats", "operations"),
    [
        (net(nn.ReLU()), 0, 3),  # One operation stays one.
        (net(Bell()), 2 * 10, 5),
        (nn.Sequential(net(Bell()), net(Bell())), 4 * 10, 10),
        (nn.Sequential(Bell(), Bell()), 5, 6),  # No product between them: one loop.
    ],
)
def test_operations_between_products_are_counted(stand_ins, model: nn.Module, floats: int, operations: int) -> None:
    saving = predict_saving(model, stand_ins.Wave(), "cpu")
    assert saving.element_s == pytest.approx(floats * RATE)
    assert saving.operations == operations
    assert saving.call_s == 0


def test_what_a_module_declares_replaces_the_estimate_for_all_in_it(stand_ins) -> None:
    model = nn.Sequential(net(Declares()), net(Bell()))
    assert predict_saving(model, stand_ins.Wave(), "cpu").element_s == pytest.approx(1e-6 + 20 * RATE)
    assert predict_saving(Declares(), stand_ins.Wave(), "cpu").element_s == pytest.approx(1e-6)
    on_cuda = predict_saving(model, stand_ins.Wave(), "cuda")
    assert on_cuda.element_s == pytest.approx(2e-9 + 20 * SAVED_S_PER_FLOAT["cuda"])
    assert on_cuda.call_s == pytest.approx(2 * SAVED_S_PER_OPERATION["cuda"])


def test_an_element_of_several_points_saves_that_of_all(stand_ins) -> None:
    class Rays(stand_ins.Wave):
        points_per_element = 4

        def loss(self, model: nn.Module, batch: dict[str, Tensor]) -> Tensor:
            x = batch["coords"].expand(-1, 4).reshape(-1, 1)
            return model(x).reshape(-1, 4).sum(1).square().exp().neg().sin()  # Is not compiled.

    declared = predict_saving(net(Declares()), Rays(), "cpu").element_s
    assert declared == pytest.approx(4 * 1e-6)
    assert predict_saving(net(Bell()), Rays(), "cpu").element_s == pytest.approx(4 * 20 * RATE)


def test_all_fields_of_a_problem_count(stand_ins) -> None:
    model = nn.ModuleDict({"a": net(Bell()), "b": net(nn.ReLU())})
    assert predict_saving(model, stand_ins.SumOfFields(), "cpu").element_s == pytest.approx(20 * RATE)


def test_few_elements_and_what_does_not_grow_with_them(stand_ins) -> None:
    class Reweighted(nn.Linear):
        def forward(self, x: Tensor) -> Tensor:
            return nn.functional.linear(x, (self.weight * 2 + 1).exp().sin())

    reweighted = nn.Sequential(nn.Linear(1, 10), Reweighted(10, 10), Bell())
    assert predict_saving(reweighted, stand_ins.Wave(), "cpu").element_s == pytest.approx(20 * RATE)
    assert predict_saving(net(Bell()), stand_ins.Wave(elements=4), "cpu").element_s == pytest.approx(20 * RATE)


def test_the_model_stays_as_it_was(stand_ins) -> None:
    model = nn.Sequential(nn.Linear(1, 10), nn.BatchNorm1d(10), Bell(), nn.Linear(10, 1))
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    generator = torch.get_rng_state()
    predict_saving(model, stand_ins.Wave(), "cpu")
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert torch.equal(generator, torch.get_rng_state())
    assert not any(part._forward_hooks or part._forward_pre_hooks for part in model.modules())
