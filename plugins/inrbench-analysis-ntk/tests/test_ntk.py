"""The analysis: its figures against the kernel written out, and its predictions against what happens."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from inrbench_analysis_ntk.jacobian import Jacobian
from inrbench_analysis_ntk.kernel import Kernel, Points, adam_scale, response
from inrbench_analysis_ntk.plugin import inrbench_analyses
from inrbench_analysis_spectrum.grid import make_grid
from torch import Tensor, nn
from torch.func import functional_call, jacrev

from inrbench_core import Evaluation, FieldShape, FitState, Problem, SeedStreams, grid_coords
from inrbench_core.fit import fit
from inrbench_core.plugins.loading import load_catalog
from inrbench_core.testing import parametrize_with_checks
from inrbench_core.testing.small_runs import make_training

(ENTRY,) = inrbench_analyses()
CATALOG = load_catalog()
SIZES = (8, 6)


class Picture(Problem):
    """Two values at 8 x 6 samples, every third of which is not trained on."""

    outputs = 2

    def __init__(self, *, known: bool = True, regression: bool = True, on_grid: bool = True) -> None:
        self.known, self.regression = known, regression
        self.points = grid_coords(SIZES)
        x, y = self.points.T
        self.values = torch.stack([torch.sin(3 * x) + y, torch.cos(5 * x * y) - 0.5 * x], dim=1)[:, : self.outputs]
        self.trained = torch.arange(len(self.points)) % 3 != 1
        self.index = torch.nonzero(self.trained).squeeze(1)
        self.shapes = {"field": FieldShape(2, self.outputs, SIZES if on_grid else None)}
        self.elements, self.record = len(self.index), {}

    def _nearest(self, coords: Tensor) -> Tensor:
        row, column = ((coords + 1.0) / 2.0 * (torch.tensor(SIZES) - 1)).round().long().T
        return row * SIZES[1] + column

    def target(self, coords: Tensor, field: str = "") -> Tensor | None:
        return self.values[self._nearest(coords)] if self.known else None

    def is_trained(self, coords: Tensor, field: str = "") -> Tensor | None:
        return self.trained[self._nearest(coords)] if self.regression else None

    def batch(self, index: Any) -> dict[str, Tensor]:
        return {"coords": self.points[self.index[index]], "values": self.values[self.index[index]]}

    def loss(self, model: nn.Module, batch: Any) -> Tensor:
        return (model(batch["coords"]) - batch["values"]).square().mean(dim=1)

    def evaluate(self, model: nn.Module, *, full: bool = True) -> Evaluation:
        return Evaluation({"mse": float(self.loss(model, self.batch(slice(None))).mean())})

    def baseline(self, name: str) -> Evaluation:
        raise NotImplementedError

    def truth(self) -> np.ndarray[Any, Any]:
        raise NotImplementedError


class Grey(Picture):
    outputs = 1


def network(outputs: int = 2, width: int = 24) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(2, width), nn.Tanh(), nn.Linear(width, width), nn.Tanh(), nn.Linear(width, outputs))


def rows_of(model: nn.Module, coords: Tensor) -> np.ndarray[Any, Any]:
    """The Jacobian, float64 (N, C, P), by torch.func."""
    parameters = {name: p.detach().double() for name, p in model.named_parameters()}
    found = jacrev(lambda p: functional_call(model, p, (coords.double(),)))(parameters)
    return torch.cat([j.flatten(2) for j in found.values()], dim=2).numpy()


def mean_kernel(model: nn.Module, coords: Tensor) -> np.ndarray[Any, Any]:
    rows = rows_of(model, coords)
    return np.einsum("ncp,mcp->nm", rows, rows) / rows.shape[1]


def observed(problem: Problem, model: nn.Module, moment: str = "start", **options: Any) -> Any:
    analysis = ENTRY.load()(ENTRY.spec(preview=False, **options))
    return analysis.observe(model.eval(), problem, moment)


def trained_rows(problem: Picture) -> np.ndarray[Any, Any]:
    return problem.trained.numpy()


def test_figures_of_the_spectrum_are_those_of_the_kernel_among_the_points_trained_on() -> None:
    problem, model = Picture(), network()
    seen = observed(problem, model)
    chosen = trained_rows(problem)
    values = np.linalg.eigvalsh(mean_kernel(model, problem.points)[np.ix_(chosen, chosen)])[::-1]
    shares = values / values.sum()
    np.testing.assert_allclose(seen.curves["eigenvalues"], shares, atol=1e-6)
    figures = seen.metrics
    assert figures["participation_ratio"] == pytest.approx(values.sum() ** 2 / np.square(values).sum(), rel=1e-4)
    positive = shares[shares > 0]
    assert figures["entropy_rank"] == pytest.approx(np.exp(-(positive * np.log(positive)).sum()), rel=1e-3)
    assert figures["leading_count"] == (values > 0.1 * values[0]).sum()
    assert figures["eigenvalue_mean"] == pytest.approx(values.mean(), rel=1e-4)
    assert figures["eigenvalue_variance"] == pytest.approx((values / values.mean()).var(), rel=1e-4)
    assert seen.arrays["diagonal"].shape == SIZES
    np.testing.assert_allclose(
        seen.arrays["diagonal"].ravel(), mean_kernel(model, problem.points).diagonal(), rtol=1e-4
    )


def test_shares_of_the_target_are_those_in_the_eigenvectors() -> None:
    problem, model = Picture(), network()
    seen = observed(problem, model)
    chosen = trained_rows(problem)
    kernel = mean_kernel(model, problem.points)
    values, vectors = np.linalg.eigh(kernel[np.ix_(chosen, chosen)])
    target = problem.values.double().numpy()[chosen]
    target = target - target.mean(axis=0)
    parts = np.square(vectors[:, ::-1].T @ target).sum(axis=1) / np.square(target).sum()
    np.testing.assert_allclose(seen.curves["target_energy"][:10], np.cumsum(parts)[:10], atol=1e-3)
    for count in (1, 10):
        assert seen.metrics[f"target_energy_{count}"] == pytest.approx(parts[:count].sum(), abs=1e-3)
    small = values[::-1] <= 1e-3 * values[-1]
    assert seen.metrics["silent_share"] == pytest.approx(parts[small].sum(), abs=1e-3)
    # The eigenvectors at the points held out are v(x) = K(x, trained) v / lambda.
    first = seen.arrays["eigenvectors"][..., 0].ravel()
    extended = kernel[:, chosen] @ vectors[:, -1] / values[-1]
    np.testing.assert_allclose(first * np.sign(first @ extended), extended, atol=1e-4)


@pytest.mark.parametrize("exactly", [True, False])
def test_response_is_the_rayleigh_quotient_of_fourier_modes(exactly: bool) -> None:
    problem, model = Picture(), network()
    grid = make_grid(problem, rings=5, spacing="geometric")
    kernel = mean_kernel(model, problem.points)
    j, k = np.meshgrid(*(np.arange(size) for size in SIZES), indexing="ij")
    wanted = np.zeros(len(grid.frequency))
    count = np.zeros(len(grid.frequency))
    for a in range(SIZES[0]):
        for b in range(SIZES[1]):
            wave = np.exp(2j * np.pi * (a * j / SIZES[0] + b * k / SIZES[1])).ravel()
            wanted[grid.ring[a, b]] += (wave.conj() @ kernel @ wave).real / len(wave) ** 2
            count[grid.ring[a, b]] += 1
    jacobian = Jacobian(model, problem.points)
    if exactly:
        found = response(jacobian, grid, 4, matrix=jacobian.gram())
        np.testing.assert_allclose(found, wanted / count, rtol=1e-4)
    else:
        # All modes of each ring; of a pair k, -k one is drawn, and those that are their own opposite count as much.
        found = response(jacobian, grid, 100)
        halves = [
            np.mean([_quotient(kernel, mode) for mode in grid.modes(ring)]) for ring in range(len(grid.frequency))
        ]
        np.testing.assert_allclose(found, halves, rtol=1e-4)


def _quotient(kernel: np.ndarray[Any, Any], mode: np.ndarray[Any, Any]) -> float:
    j, k = np.meshgrid(*(np.arange(size) for size in SIZES), indexing="ij")
    wave = np.exp(2j * np.pi * (mode[0] * j / SIZES[0] + mode[1] * k / SIZES[1])).ravel()
    return float((wave.conj() @ kernel @ wave).real / len(wave) ** 2)


def test_a_kernel_too_large_for_all_eigenvalues_is_estimated(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    model, coords = network(1, 64), 2.0 * torch.rand(900, 2) - 1.0
    trained = np.arange(900) % 4 != 0
    points = Points(900, 1, trained, "mean")
    exact = Kernel(Jacobian(model, coords), points, top=20, seed=0)
    monkeypatch.setattr("inrbench_analysis_ntk.kernel.DENSE_ROWS", 100)
    found = Kernel(Jacobian(model, coords), points, top=20, seed=0)
    assert exact.exact
    assert found.matrix is None
    assert len(found.eigenvalues) == 20
    np.testing.assert_allclose(found.eigenvalues[:10], exact.eigenvalues[:10], rtol=1e-3)
    for name in ("participation_ratio", "eigenvalue_mean", "leading_count", "entropy_rank"):
        assert found.figures[name] == pytest.approx(exact.figures[name], rel=0.02), name
    assert found.norm == pytest.approx(exact.norm, rel=0.01)
    np.testing.assert_allclose(found.diagonal(), exact.diagonal(), rtol=1e-3)
    vectors = np.random.default_rng(0).normal(size=(900, 2))
    np.testing.assert_allclose(found.product(vectors), exact.product(vectors), rtol=1e-3, atol=1e-2 * exact.norm / 900)


@pytest.mark.parametrize("optimizer", [torch.optim.Adam, torch.optim.AdamW])
def test_adams_first_step_changes_the_values_as_its_kernel_says(optimizer: Any) -> None:
    problem, model = Grey(), network(1).double()
    coords, values = problem.points.double(), problem.values.double()
    start = network(1).double()
    # The bias of the last layer would be moved by a rate of its own, were there no groups.
    groups = [{"params": list(model[:4].parameters())}, {"params": list(model[4:].parameters()), "lr": 2e-9}]
    adam = optimizer(groups, lr=1e-9, weight_decay=0.0, eps=1e-3)
    loss = (model(coords) - values).square().mean()
    loss.backward()
    before = model(coords).detach()
    adam.step()
    # At the first step v / (1 - beta2) is the squared gradient, and Adam's step is S times the gradient.
    scale = adam_scale(adam, model)
    assert scale is not None
    kernel = Jacobian(start.eval(), coords).gram(scale=scale)
    predicted = -1e-9 * 2.0 / len(coords) * kernel @ (before - values)
    torch.testing.assert_close(model(coords).detach() - before, predicted, rtol=1e-5, atol=1e-16)


def test_optimisers_without_second_moments_have_no_such_kernel() -> None:
    model = network()
    assert adam_scale(None, model) is None
    assert adam_scale(torch.optim.SGD(model.parameters(), lr=1.0), model) is None
    assert adam_scale(torch.optim.Adam(model.parameters()), model) is None


def run_fit(problem: Problem, model: nn.Module, options: Any = None, **training: Any) -> Any:
    analysis = ENTRY.load()(ENTRY.spec(**{"preview": False, **(options or {})}))
    chosen = make_training(CATALOG, **{"steps": 30, "evaluate_every": 10, "batch": "full", "lr": 1e-2, **training})
    result = fit(problem, model, chosen, seeds=SeedStreams(0), analyses={"ntk": analysis}).analyses["ntk"]
    assert result.error == ""
    return result


def test_kernels_are_computed_at_the_moments_asked_for_and_errors_measured_at_all() -> None:
    result = run_fit(Picture(), network(), {"moments": ("start", "end")})
    assert result.steps == [0, 10, 20, 30]
    assert ["eigenvalues" in seen.curves for seen in result.observations] == [True, False, False, True]
    assert ["adam_eigenvalues" in seen.curves for seen in result.observations] == [False, False, False, True]
    assert all("ring_error" in seen.curves for seen in result.observations)
    errors = [seen.metrics["fit_error"] for seen in result.observations]
    assert errors == sorted(errors, reverse=True)
    assert [math.isnan(seen.metrics["participation_ratio"]) for seen in result.observations] == [0, 1, 1, 0]
    late = run_fit(Picture(), network(), {"moments": ("evaluation",)}).observations
    assert ["eigenvalues" in seen.curves for seen in late] == [False, True, True, False]
    # The last evaluation is the end, which was not asked for; the figures of a table are those seen last.
    assert late[-1].metrics["participation_ratio"] == late[-2].metrics["participation_ratio"]
    assert "adam_linearised_fit" in late[1].curves


def test_predicted_steps_do_not_depend_on_how_channels_are_taken_together() -> None:
    options = {"optimizer": {"name": "sgd", "momentum": 0}, "lr": 0.05}
    found = {
        channels: run_fit(Picture(), network(), {"channels": channels}, **options).observations[0].curves
        for channels in ("mean", "full")
    }
    for curves in found.values():
        # ln 10 steps at the rate 2 lr / C of half of the mean square.
        np.testing.assert_allclose(
            curves["predicted_steps"], math.log(10) / (2 * 0.05 / 2 * curves["response"]), rtol=1e-6
        )


def test_adams_kernel_predicts_steps_only_where_some_are_left() -> None:
    *_, last = run_fit(Picture(), network(), {"moments": ("start", "evaluation", "end")}).observations
    assert "adam_response" in last.curves
    assert "adam_predicted_steps" not in last.curves
    second = run_fit(Picture(), network(), {"moments": ("evaluation",)}).observations[1]
    assert "adam_predicted_steps" in second.curves


def test_what_leading_pairs_do_not_tell_is_not_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("inrbench_analysis_ntk.kernel.DENSE_ROWS", 10)
    seen = observed(Picture(), network(), top=2)
    for name in ("silent_share", "linearised_error", "target_energy_10", "target_energy_100"):
        assert math.isnan(seen.metrics[name]), name
    assert seen.metrics["target_energy_1"] >= 0.0


def test_a_parameter_without_a_gradient_counts_as_one_that_adam_does_not_move() -> None:
    model = network(1)
    unused = nn.Linear(2, 2)
    both = nn.ModuleDict({"used": model, "unused": unused})
    adam = torch.optim.Adam(both.parameters())
    model(torch.rand(5, 2)).sum().backward()
    adam.step()
    scale = adam_scale(adam, both)
    assert scale is not None
    assert scale["unused.weight"].eq(0).all()
    assert scale["used.4.bias"].gt(0).all()


def test_measured_errors_are_fractions_of_the_variance() -> None:
    problem, model = Picture(), network()
    seen = observed(problem, model)
    values = model(problem.points).detach().double().numpy()
    target = problem.values.double().numpy()
    for name, chosen in (("fit_error", trained_rows(problem)), ("held_out_error", ~trained_rows(problem))):
        total = np.square(target[chosen] - target[chosen].mean(axis=0)).sum()
        assert seen.metrics[name] == pytest.approx(np.square(values - target)[chosen].sum() / total, rel=1e-5)
    assert seen.metrics["fit_error"] == pytest.approx(seen.curves["linearised_fit"][0], rel=1e-4)
    assert seen.metrics["held_out_error"] == pytest.approx(seen.curves["linearised_held_out"][0], rel=1e-4)
    assert seen.curves["ring_error"].sum() == pytest.approx(np.square(values - target).mean(), rel=1e-5)


def test_a_silent_output_is_told() -> None:
    model = network()
    with torch.no_grad():
        model[-1].weight *= 1e-4
    assert observed(Picture(), model).metrics["output_share"] < 1e-6
    assert observed(Picture(), network()).metrics["output_share"] > 1e-3


def test_a_linear_model_does_not_drift() -> None:
    class Features(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.last = nn.Linear(3, 1)

        def forward(self, x: Tensor) -> Tensor:
            return self.last(torch.cat([torch.sin(x), x[:, :1] * x[:, 1:]], dim=1))

    torch.manual_seed(0)
    (*_, end) = run_fit(Grey(), Features()).observations
    assert end.metrics["drift"] == pytest.approx(0.0, abs=1e-12)
    assert run_fit(Grey(), network(1)).observations[-1].metrics["drift"] > 1e-4


def test_with_momentum_the_prediction_is_that_of_the_largest_stable_rate() -> None:
    problem, model = Grey(), network(1)
    chosen = trained_rows(problem)
    kernel = mean_kernel(model, problem.points)[np.ix_(chosen, chosen)]
    residual = (problem.values - model(problem.points).detach()).double().numpy()[chosen, 0]
    target = problem.values.double().numpy()[chosen, 0]
    # Thirty steps of gradient descent on half of the mean square, written out.
    rate = 1.0 / np.linalg.eigvalsh(kernel)[-1]
    for _ in range(30):
        residual = residual - rate * kernel @ residual
    wanted = np.square(residual).sum() / np.square(target - target.mean()).sum()
    for optimizer in ({"name": "sgd", "momentum": 0.9}, "adam"):
        start, *_, end = run_fit(Grey(), network(1), optimizer=optimizer, lr=1e-3).observations
        assert start.curves["linearised_fit"][-1] == pytest.approx(wanted, rel=1e-3)
        assert end.metrics["linearised_error"] == pytest.approx(wanted, rel=1e-3)


def test_without_steps_the_start_is_all_there_is() -> None:
    start, end = run_fit(Picture(), network(), steps=0).observations
    assert end.metrics["participation_ratio"] == start.metrics["participation_ratio"]
    assert math.isnan(end.metrics["drift"])
    assert "measured_steps" not in end.curves
    assert start.curves["linearised_steps"][-1] == 1_000


def test_where_nothing_says_what_is_trained_on_there_is_a_kernel_and_no_prediction() -> None:
    seen = observed(Picture(regression=False), network())
    assert math.isnan(seen.metrics["linearised_error"])
    assert math.isnan(seen.metrics["fit_error"])
    assert not math.isnan(seen.metrics["target_energy_10"])
    assert len(seen.curves["eigenvalues"]) == math.prod(SIZES)
    unknown = observed(Picture(known=False), network())
    assert math.isnan(unknown.metrics["target_energy_10"])
    assert unknown.metrics["participation_ratio"] >= 1.0
    scattered = observed(Picture(on_grid=False), network(), points=30)
    assert "response" not in scattered.curves
    assert scattered.arrays["diagonal"].shape == (30,)


class Two(Picture):
    """Two fields of which only the second has a known truth."""

    def __init__(self) -> None:
        super().__init__()
        (shape,) = self.shapes.values()
        self.shapes = {"hidden": FieldShape(2, 1), "shown": shape}

    def target(self, coords: Tensor, field: str = "") -> Tensor | None:
        return super().target(coords) if field == "shown" else None

    def coords(self, count: int, seeds: SeedStreams, field: str = "") -> Tensor:
        return super().coords(count, seeds, field)


def test_each_field_of_a_problem_has_a_kernel_of_its_own() -> None:
    torch.manual_seed(1)
    hidden = nn.Linear(2, 1)
    seen = observed(Two(), nn.ModuleDict({"hidden": hidden, "shown": network()}), points=48)
    alone = observed(Picture(regression=True), network(), points=48)
    np.testing.assert_allclose(seen.curves["shown.eigenvalues"], alone.curves["eigenvalues"])
    # Of a linear field x and 1 span the kernel.
    assert (seen.curves["hidden.eigenvalues"] > 1e-6).sum() == 3
    assert seen.metrics["hidden.participation_ratio"] == seen.metrics["participation_ratio"]
    assert seen.metrics["shown.target_energy_10"] == alone.metrics["target_energy_10"]


@pytest.mark.parametrize("sizes", [(1, 1), (1, 5), (2, 1)])
def test_tiny_pictures(monkeypatch: pytest.MonkeyPatch, sizes: tuple[int, int]) -> None:
    monkeypatch.setitem(globals(), "SIZES", sizes)
    result = run_fit(Picture(), network(), {"preview": True})
    assert result.observations[-1].preview.shape[2] == 3


def test_the_preview_is_a_picture_of_the_end() -> None:
    *early, end = run_fit(Picture(), network(), {"preview": True}).observations
    assert all(seen.preview is None for seen in early)
    assert end.preview.dtype == np.uint8
    assert end.preview.std() > 10


def test_an_analysis_that_is_asked_outside_a_fit_knows_no_steps() -> None:
    analysis = ENTRY.load()(ENTRY.spec())
    assert isinstance(analysis.fit, FitState)
    assert analysis.fit.steps == 0


@parametrize_with_checks("inrbench-analysis-ntk")
def test_conformance(check: Any) -> None:
    check()
