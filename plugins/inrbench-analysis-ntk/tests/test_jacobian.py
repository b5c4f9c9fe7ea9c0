"""The Jacobian in parts, against torch.func and closed forms, for modules that know nothing of it."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from curvlinops import JacobianLinearOperator
from inrbench_analysis_ntk.jacobian import Jacobian
from inrbench_analysis_ntk.parts import LinearPart, LocalPart
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.func import functional_call, jacrev

from inrbench_core import UnsupportedError, grid_coords

POINTS = 20


def points(dimensions: int = 2, count: int = POINTS) -> Tensor:
    return 2.0 * torch.rand(count, dimensions, dtype=torch.float64, generator=torch.Generator().manual_seed(1)) - 1.0


def jacobian_rows(model: nn.Module, coords: Tensor) -> Tensor:
    """(N C, P), the batch as a whole differentiated by torch.func, without vmap."""
    parameters = {name: p.detach() for name, p in model.named_parameters() if p.requires_grad}
    found = jacrev(lambda parameters: functional_call(model, parameters, (coords,)))(parameters)
    return torch.cat([j.reshape(j.shape[0] * j.shape[1], -1) for j in found.values()], dim=1)


def exact(model: nn.Module, coords: Tensor) -> Tensor:
    rows = jacobian_rows(model, coords)
    return rows @ rows.T


class Sine(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.sin(3.0 * x)


class Scaled(nn.Module):
    """A trained number that the output is not linear in."""

    def __init__(self) -> None:
        super().__init__()
        self.rate = nn.Parameter(torch.tensor([0.7]))

    def forward(self, x: Tensor) -> Tensor:
        return torch.tanh(self.rate * x)


class Shared(nn.Module):
    """The same layer twice."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.layer, self.last = nn.Linear(2, 8), nn.Linear(8, 8), nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(torch.tanh(self.layer(torch.tanh(self.layer(self.first(x))))))


class Tied(nn.Module):
    """One layer's weight is another's transpose, read without a call of its module."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(2, 8), nn.Linear(8, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(torch.tanh(self.first(x))) + torch.sin(x @ self.last.weight) @ self.first.weight


class Cube(torch.autograd.Function):
    """Old style, without rules for vmap and forward mode."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x**3

    @staticmethod
    @once_differentiable
    def backward(ctx, grad):
        (x,) = ctx.saved_tensors
        return 3 * x**2 * grad


class Cubed(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.linspace(0.5, 1.5, 8))

    def forward(self, x: Tensor) -> Tensor:
        return Cube.apply(self.weight * x)


class TwoInputs(nn.Module):
    """A module that is called with two tensors, so that it is no unit by itself."""

    class Blend(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.share = nn.Parameter(torch.tensor(0.3))

        def forward(self, a: Tensor, b: Tensor) -> Tensor:
            return torch.sin(self.share * a) + self.share * b

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.blend = nn.Linear(2, 3), nn.Linear(2, 3), self.Blend()

    def forward(self, x: Tensor) -> Tensor:
        return self.blend(self.a(x), self.b(x))


class Bilinear(nn.Linear):
    """A subclass of nn.Linear that is not linear in its weight."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x).square()


def weight_norm() -> nn.Module:
    return nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Linear(2, 8)), Sine(), nn.Linear(8, 3))


def frozen() -> nn.Module:
    model = nn.Sequential(nn.Linear(2, 8), Sine(), nn.Linear(8, 3))
    model[0].weight.requires_grad_(False)
    return model


MODELS = {
    "plain": lambda: nn.Sequential(nn.Linear(2, 16), Sine(), nn.Linear(16, 16, bias=False), Sine(), nn.Linear(16, 3)),
    "trained number": lambda: nn.Sequential(nn.Linear(2, 8), Scaled(), nn.Linear(8, 3)),
    "layer norm": lambda: nn.Sequential(nn.Linear(2, 8), nn.LayerNorm(8), nn.Tanh(), nn.Linear(8, 3)),
    "inactive units": lambda: nn.Sequential(nn.Linear(2, 8), nn.ReLU(), nn.Linear(8, 1)),
    "the same layer twice": Shared,
    "tied weights": Tied,
    "two inputs": TwoInputs,
    "not linear after all": lambda: nn.Sequential(Bilinear(2, 8), nn.Linear(8, 2)),
    "parametrized weight": weight_norm,
    "frozen weight": frozen,
    "batch norm in eval mode": lambda: nn.Sequential(nn.Linear(2, 8), nn.BatchNorm1d(8), nn.Tanh(), nn.Linear(8, 2)),
    "one parameter": lambda: nn.Linear(2, 1, bias=False),
}


def made(name: str) -> nn.Module:
    torch.manual_seed(0)
    return MODELS[name]().double().eval()


@pytest.mark.parametrize("name", MODELS)
def test_every_product_is_that_of_torch_func(name: str) -> None:
    model, coords = made(name), points()
    jacobian, rows = Jacobian(model, coords), jacobian_rows(model, coords)
    outputs = rows.shape[0] // POINTS
    full = rows @ rows.T
    mean = full.reshape(POINTS, outputs, POINTS, outputs).diagonal(dim1=1, dim2=3).mean(dim=2)
    torch.testing.assert_close(jacobian.values, model(coords).detach())
    torch.testing.assert_close(jacobian.gram("full"), full)
    torch.testing.assert_close(jacobian.gram(), mean)
    torch.testing.assert_close(jacobian.diagonal(), mean.diagonal())
    vectors = torch.randn(POINTS, 3, dtype=torch.float64)
    torch.testing.assert_close(jacobian.product(vectors), mean @ vectors)
    torch.testing.assert_close(jacobian.energies(vectors), (vectors * (mean @ vectors)).sum(0))
    vectors = torch.randn(POINTS * outputs, 2, dtype=torch.float64)
    torch.testing.assert_close(jacobian.product(vectors, "full"), full @ vectors)


@pytest.mark.parametrize("name", ["plain", "trained number", "tied weights", "parametrized weight"])
def test_a_scale_of_the_parameters_is_that_of_the_columns(name: str) -> None:
    model, coords = made(name), points()
    jacobian, rows = Jacobian(model, coords), jacobian_rows(model, coords)
    scale = {n: torch.rand(p.shape, dtype=torch.float64) for n, p in model.named_parameters()}
    columns = torch.cat([scale[n].reshape(-1) for n, _ in model.named_parameters()])
    outputs = rows.shape[0] // POINTS
    full = (rows * columns) @ rows.T
    mean = full.reshape(POINTS, outputs, POINTS, outputs).diagonal(dim1=1, dim2=3).mean(dim=2)
    vectors = torch.randn(POINTS, 3, dtype=torch.float64)
    torch.testing.assert_close(jacobian.gram(scale=scale), mean)
    torch.testing.assert_close(jacobian.product(vectors, scale=scale), mean @ vectors)
    torch.testing.assert_close(jacobian.energies(vectors, scale), (vectors * (mean @ vectors)).sum(0))


def test_what_has_no_rule_for_vmap_and_forward_mode_is_differentiated_point_by_point() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(2, 8), Cubed(), nn.Linear(8, 2)).double()
    coords = points()
    rows = torch.stack(
        [
            torch.cat([g.reshape(-1) for g in torch.autograd.grad(value, list(model.parameters()), retain_graph=True)])
            for value in model(coords).reshape(-1)
        ]
    )
    jacobian = Jacobian(model, coords)
    (part,) = [part for part in jacobian.parts if "1.weight" in part.shapes]
    assert isinstance(part, LocalPart)
    assert not part.batched
    torch.testing.assert_close(jacobian.gram("full"), rows @ rows.T)


def test_layers_are_kept_as_layers_and_the_rest_near_to_its_parameters() -> None:
    jacobian = Jacobian(made("trained number"), points())
    assert [(type(part), sorted(part.shapes)) for part in jacobian.parts] == [
        (LinearPart, ["0.bias", "0.weight"]),
        (LocalPart, ["1.rate"]),
        (LinearPart, ["2.bias", "2.weight"]),
    ]
    tied = Jacobian(made("tied weights"), points())
    assert {name for part in tied.parts if isinstance(part, LocalPart) for name in part.shapes} == {
        "first.weight",
        "last.weight",
    }


@pytest.mark.parametrize("block", [1 << 5, 1 << 8])
def test_small_blocks_give_the_same(monkeypatch: pytest.MonkeyPatch, block: int) -> None:
    for name in ("plain", "tied weights"):
        model, coords = made(name), points()
        whole = Jacobian(model, coords)
        vectors = torch.randn(POINTS, 3, dtype=torch.float64)
        wanted = [whole.gram(), whole.product(vectors), whole.energies(vectors), whole.diagonal()]
        with monkeypatch.context() as patch:
            patch.setattr("inrbench_analysis_ntk.parts.BLOCK", block)
            patch.setattr("inrbench_analysis_ntk.parts.PRODUCTS_BLOCK", block)
            patch.setattr("inrbench_analysis_ntk.parts.GRADIENTS_BLOCK", block)
            patch.setattr("inrbench_analysis_ntk.parts.POINTS", 7)
            patch.setattr("inrbench_analysis_ntk.jacobian.POINTS", 7)
            parts = Jacobian(model, coords)
            found = [parts.gram(), parts.product(vectors), parts.energies(vectors), parts.diagonal()]
        for one, other in zip(found, wanted, strict=True):
            torch.testing.assert_close(one, other)


class Centred(nn.Module):
    """Takes the mean over the batch away."""

    def forward(self, x: Tensor) -> Tensor:
        return x - x.mean(dim=0)


def test_a_model_whose_points_depend_on_each_other_is_refused() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(2, 8), nn.Tanh(), Centred(), nn.Linear(8, 1)).double()
    with pytest.raises(UnsupportedError, match="depends on other points"):
        Jacobian(model, points())


class SecondWay(nn.Module):
    """A layer's weight that counts a second time wherever the last coordinate is not -1."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(2, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x) + (x[:, 1:] + 1.0) * torch.sin(3.0 * self.layer.weight.sum())


@pytest.mark.parametrize("size", [24, 48])
def test_probes_do_not_all_lie_on_a_line_of_a_grid(size: int) -> None:
    torch.manual_seed(0)
    model, coords = SecondWay().double(), grid_coords((size, size)).double()
    torch.testing.assert_close(Jacobian(model, coords).gram(), exact(model, coords))


def test_values_that_are_not_finite_are_told() -> None:
    model = nn.Linear(2, 1)
    with torch.no_grad():
        model.weight.fill_(math.nan)
    with pytest.raises(UnsupportedError, match="not finite"):
        Jacobian(model, points().float())


def test_a_model_without_trainable_parameters_is_refused() -> None:
    with pytest.raises(UnsupportedError, match="no trainable parameters"):
        Jacobian(nn.Linear(2, 1).requires_grad_(False), points().float())


def test_the_model_is_left_as_it_was() -> None:
    model, coords = made("batch norm in eval mode"), points()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    Jacobian(model, coords).gram()
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())
    assert not any(part._forward_hooks for part in model.modules())


def test_one_point() -> None:
    model = made("plain")
    torch.testing.assert_close(Jacobian(model, points(count=1)).gram("full"), exact(model, points(count=1)))


# Known answers.


def test_of_a_linear_model_it_is_the_gram_matrix_of_the_points() -> None:
    coords = points(5)
    kernel = Jacobian(nn.Linear(5, 3, bias=False).double(), coords).gram()
    torch.testing.assert_close(kernel, coords @ coords.T, rtol=1e-14, atol=1e-14)


class TwoLayers(nn.Module):
    """sqrt(2 / m) sum v_j relu(w_j . x), all weights N(0, 1)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(3, width, bias=False), nn.Linear(width, 1, bias=False)
        for layer in (self.first, self.last):
            nn.init.normal_(layer.weight)
        self.factor = math.sqrt(2.0 / width)

    def forward(self, x: Tensor) -> Tensor:
        return self.factor * self.last(torch.relu(self.first(x)))


def arc_cosine(x: np.ndarray) -> np.ndarray:
    """|x| |x'| (c k0 + k1), the limit of infinite width (Cho and Saul 2009)."""
    norms = np.linalg.norm(x, axis=1)
    cosine = np.clip(x @ x.T / np.outer(norms, norms), -1.0, 1.0)
    angle = np.arccos(cosine)
    k0 = (np.pi - angle) / np.pi
    k1 = (np.sin(angle) + (np.pi - angle) * cosine) / np.pi
    return np.outer(norms, norms) * (cosine * k0 + k1)


def test_wide_relu_layers_approach_the_arc_cosine_kernel_as_one_over_the_root_of_the_width() -> None:
    coords = torch.cat([points(2, 40), torch.ones(40, 1, dtype=torch.float64)], dim=1)
    limit = arc_cosine(coords.numpy())
    widths = [64, 256, 1_024, 4_096, 16_384]
    errors = []
    for width in widths:
        distances = []
        for seed in range(8):
            torch.manual_seed(seed)
            kernel = Jacobian(TwoLayers(width).double(), coords).gram().numpy()
            distances.append(np.linalg.norm(kernel - limit) / np.linalg.norm(limit))
        errors.append(np.mean(distances))
    slope = np.polyfit(np.log(widths), np.log(errors), 1)[0]
    assert slope == pytest.approx(-0.5, abs=0.08)
    assert errors[-1] < 0.02


@pytest.mark.parametrize("name", ["plain", "trained number", "layer norm", "inactive units", "two inputs"])
def test_kernel_is_that_of_curvlinops(name: str) -> None:
    model, coords = made(name), points()
    data = [(coords, torch.zeros(POINTS, dtype=torch.float64))]
    operator = JacobianLinearOperator(model, list(model.parameters()), data)
    rows = operator @ torch.eye(operator.shape[1], dtype=torch.float64)
    torch.testing.assert_close(Jacobian(model, coords).gram("full"), rows @ rows.T)
