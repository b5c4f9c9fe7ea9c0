"""The analysis: its figures against the kernel written out, and its predictions against what happens."""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from inrbench_analysis_ntk.plugin import inrbench_analyses
from torch import Tensor, nn

from inrbench_core import FieldShape, FitState, Problem, SeedStreams
from inrbench_core.fit import fit
from inrbench_core.plugins.loading import load_catalog
from inrbench_core.testing import parametrize_with_checks
from inrbench_core.testing.small_runs import make_training

# Tests are imported by their files, so what they share is no package.
sys.path.append(str(Path(__file__).parent))
from regression import Regression, line, mean_kernel, network, picture

(ENTRY,) = inrbench_analyses()
CATALOG = load_catalog()
SIZES = (8, 6)


def observed(problem: Problem, model: nn.Module, moment: str = "start", **options: Any) -> Any:
    analysis = ENTRY.load()(ENTRY.spec(preview=False, **options))
    return analysis.observe(model.eval(), problem, moment)


def trained_rows(problem: Regression) -> np.ndarray[Any, Any]:
    return problem.trained.numpy()


def test_figures_of_the_spectrum_are_those_of_the_kernel_among_the_points_trained_on() -> None:
    problem, model = picture(), network()
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
    problem, model = picture(), network()
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


def run_fit(problem: Problem, model: nn.Module, options: Any = None, **training: Any) -> Any:
    analysis = ENTRY.load()(ENTRY.spec(**{"preview": False, **(options or {})}))
    chosen = make_training(CATALOG, **{"steps": 30, "evaluate_every": 10, "batch": "full", "lr": 1e-2, **training})
    result = fit(problem, model, chosen, seeds=SeedStreams(0), analyses={"ntk": analysis}).analyses["ntk"]
    assert result.error == ""
    return result


def test_kernels_are_computed_at_the_moments_asked_for_and_errors_measured_at_all() -> None:
    result = run_fit(picture(), network(), {"moments": ("start", "end")})
    assert result.steps == [0, 10, 20, 30]
    assert ["eigenvalues" in seen.curves for seen in result.observations] == [True, False, False, True]
    assert ["adam_eigenvalues" in seen.curves for seen in result.observations] == [False, False, False, True]
    assert all("ring_error" in seen.curves for seen in result.observations)
    errors = [seen.metrics["fit_error"] for seen in result.observations]
    assert errors == sorted(errors, reverse=True)
    assert [math.isnan(seen.metrics["participation_ratio"]) for seen in result.observations] == [0, 1, 1, 0]
    late = run_fit(picture(), network(), {"moments": ("evaluation",)}).observations
    assert ["eigenvalues" in seen.curves for seen in late] == [False, True, True, False]
    # The last evaluation is the end, which was not asked for; the figures of a table are those seen last.
    assert late[-1].metrics["participation_ratio"] == late[-2].metrics["participation_ratio"]
    assert "adam_linearised_fit" in late[1].curves


def test_predicted_steps_do_not_depend_on_how_channels_are_taken_together() -> None:
    options = {"optimizer": {"name": "sgd", "momentum": 0}, "lr": 0.05}
    found = {
        channels: run_fit(picture(), network(), {"channels": channels}, **options).observations[0].curves
        for channels in ("mean", "full")
    }
    for curves in found.values():
        # ln 10 steps at the rate 2 lr / C of half of the mean square.
        np.testing.assert_allclose(
            curves["predicted_steps"], math.log(10) / (2 * 0.05 / 2 * curves["response"]), rtol=1e-6
        )


def test_adams_kernel_predicts_steps_only_where_some_are_left() -> None:
    *_, last = run_fit(picture(), network(), {"moments": ("start", "evaluation", "end")}).observations
    assert "adam_response" in last.curves
    assert "adam_predicted_steps" not in last.curves
    second = run_fit(picture(), network(), {"moments": ("evaluation",)}).observations[1]
    assert "adam_predicted_steps" in second.curves


def test_what_leading_pairs_do_not_tell_is_not_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("inrbench_analysis_ntk.kernel.DENSE_ROWS", 10)
    seen = observed(picture(), network(), top=2)
    for name in ("silent_share", "linearised_error", "target_energy_10", "target_energy_100"):
        assert math.isnan(seen.metrics[name]), name
    assert seen.metrics["target_energy_1"] >= 0.0


class Wide(nn.Module):
    """Two layers in the scaling in which a wide network stays close to its linearisation."""

    def __init__(self, outputs: int, width: int = 16_384) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first, self.last = nn.Linear(1, width), nn.Linear(width, outputs, bias=False)
        nn.init.normal_(self.first.weight, 0.0, 3.0)
        nn.init.normal_(self.last.weight)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(torch.tanh(self.first(x))) / math.sqrt(self.last.in_features)


@pytest.mark.parametrize(("outputs", "channels"), [(1, "mean"), (2, "full")])
@pytest.mark.parametrize("schedule", ["constant", "cosine"])
def test_full_batch_gradient_descent_follows_the_linearised_curve(outputs: int, channels: str, schedule: str) -> None:
    problem, model = line(outputs), Wide(outputs)
    largest = np.linalg.eigvalsh(mean_kernel(model, problem.points[problem.trained]))[-1]
    # A fifth of the largest stable rate; the engine's loss is the mean square, of which a rate counts double.
    lr = 0.2 * problem.elements * outputs / (2.0 * largest)
    training = make_training(
        CATALOG,
        optimizer={"name": "sgd", "momentum": 0},
        lr=lr,
        steps=40,
        batch="full",
        schedule=schedule,
        evaluate_every=1,
    )
    options = {"name": "ntk", "points": 40, "channels": channels, "preview": False}
    analysis = CATALOG.resolve("analysis", options).build()
    result = fit(problem, model, training, seeds=SeedStreams(0), analyses={"ntk": analysis}).analyses["ntk"]
    assert result.error == ""
    start, *_, end = result.observations
    assert end.metrics["drift"] < 1e-3
    measured = {step: seen.metrics for step, seen in zip(result.steps, result.observations, strict=True)}
    for name, metric in (("linearised_fit", "fit_error"), ("linearised_held_out", "held_out_error")):
        for step, predicted in zip(start.curves["linearised_steps"], start.curves[name], strict=True):
            assert measured[int(step)][metric] == pytest.approx(predicted, rel=0.01)
    assert measured[40]["fit_error"] < 0.9 * measured[0]["fit_error"]
    assert end.metrics["linearised_error"] == pytest.approx(measured[40]["fit_error"], rel=0.01)


def test_measured_errors_are_fractions_of_the_variance() -> None:
    problem, model = picture(), network()
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
    assert observed(picture(), model).metrics["output_share"] < 1e-6
    assert observed(picture(), network()).metrics["output_share"] > 1e-3


def test_a_linear_model_does_not_drift() -> None:
    class Features(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.last = nn.Linear(3, 1)

        def forward(self, x: Tensor) -> Tensor:
            return self.last(torch.cat([torch.sin(x), x[:, :1] * x[:, 1:]], dim=1))

    torch.manual_seed(0)
    (*_, end) = run_fit(picture(1), Features()).observations
    assert end.metrics["drift"] == pytest.approx(0.0, abs=1e-12)
    assert run_fit(picture(1), network(1)).observations[-1].metrics["drift"] > 1e-4


def test_with_momentum_the_prediction_is_that_of_the_largest_stable_rate() -> None:
    problem, model = picture(1), network(1)
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
        start, *_, end = run_fit(picture(1), network(1), optimizer=optimizer, lr=1e-3).observations
        assert start.curves["linearised_fit"][-1] == pytest.approx(wanted, rel=1e-3)
        assert end.metrics["linearised_error"] == pytest.approx(wanted, rel=1e-3)


def test_without_steps_the_start_is_all_there_is() -> None:
    start, end = run_fit(picture(), network(), steps=0).observations
    assert end.metrics["participation_ratio"] == start.metrics["participation_ratio"]
    assert math.isnan(end.metrics["drift"])
    assert "measured_steps" not in end.curves
    assert start.curves["linearised_steps"][-1] == 1_000


def test_where_nothing_says_what_is_trained_on_there_is_a_kernel_and_no_prediction() -> None:
    seen = observed(picture(regression=False), network())
    assert math.isnan(seen.metrics["linearised_error"])
    assert math.isnan(seen.metrics["fit_error"])
    assert not math.isnan(seen.metrics["target_energy_10"])
    assert len(seen.curves["eigenvalues"]) == math.prod(SIZES)
    unknown = observed(picture(known=False), network())
    assert math.isnan(unknown.metrics["target_energy_10"])
    assert unknown.metrics["participation_ratio"] >= 1.0
    scattered = observed(picture(on_grid=False), network(), points=30)
    assert "response" not in scattered.curves
    assert scattered.arrays["diagonal"].shape == (30,)


class Two(Regression):
    """Two fields of which only the second has a known truth."""

    def __init__(self) -> None:
        like = picture()
        super().__init__(like.values.reshape(*SIZES, 2), 3)
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
    alone = observed(picture(regression=True), network(), points=48)
    np.testing.assert_allclose(seen.curves["shown.eigenvalues"], alone.curves["eigenvalues"])
    # Of a linear field x and 1 span the kernel.
    assert (seen.curves["hidden.eigenvalues"] > 1e-6).sum() == 3
    assert seen.metrics["hidden.participation_ratio"] == seen.metrics["participation_ratio"]
    assert seen.metrics["shown.target_energy_10"] == alone.metrics["target_energy_10"]


@pytest.mark.parametrize("sizes", [(1, 1), (1, 5), (2, 1)])
def test_tiny_pictures(sizes: tuple[int, int]) -> None:
    result = run_fit(picture(sizes=sizes), network(), {"preview": True})
    assert result.observations[-1].preview.shape[2] == 3


def test_the_preview_is_a_picture_of_the_end() -> None:
    *early, end = run_fit(picture(), network(), {"preview": True}).observations
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
