"""The analysis `ntk`: a field's kernel along a fit, and the learning that it predicts beside what is measured."""

from __future__ import annotations

import inspect
import math
from typing import Any

import numpy as np
import torch
from inrbench_analysis_spectrum.grid import Grid, has_grid, make_grid, ring_energy
from torch import Tensor, nn

from inrbench_analysis_ntk import measures
from inrbench_analysis_ntk.figures import draw_field
from inrbench_analysis_ntk.jacobian import Jacobian
from inrbench_analysis_ntk.kernel import Kernel, Points, adam_scale, response
from inrbench_analysis_ntk.plugin import METRICS, NtkSpec
from inrbench_analysis_ntk.seen import Seen
from inrbench_core import Analysis, FitState, Moment, Observation, Problem, predict

Array = np.ndarray[Any, Any]

# Steps that a prediction reaches where the fit has none.
PLANNED_STEPS = 1_000
CURVE_POINTS = 64
KEPT_VECTORS = 8
NOT_CURVES = ("eigenvectors", "diagonal")
# A ring with less than this share of the target's energy holds nothing but rounding.
NEGLIGIBLE = 1e-10
# Of the residual's energy, outside the eigenvectors that are known, for a prediction all the same.
MOST_UNKNOWN = 0.01
SILENT = 1e-3


class Ntk(Analysis):
    """Each field of a problem by itself; see `FieldWatch`.

    Of a problem with several fields, names have the prefix "FIELD."; metrics without it are those of the first field.
    """

    moments = frozenset({"start", "evaluation", "end"})

    def __init__(self, spec: NtkSpec) -> None:
        super().__init__(spec)
        self.options = spec
        self._watches: dict[str, FieldWatch] = {}

    def observe(self, model: nn.Module, problem: Problem, moment: Moment) -> Observation:
        """The kernel at the moments asked for, and the errors at all. Raises UnsupportedError if there is no kernel."""
        several = len(problem.shapes) > 1
        metrics: dict[str, float] = {}
        curves: dict[str, Array] = {}
        arrays: dict[str, Array] = {}
        for name in problem.shapes:
            if name not in self._watches:
                self._watches[name] = FieldWatch(problem, name, self.options, self.fit)
            watch = self._watches[name]
            seen = watch.observe(model[name] if several else model, moment)  # type: ignore[index]
            prefix = f"{name}." if several else ""
            metrics = {**seen.metrics, **metrics, **{prefix + key: value for key, value in seen.metrics.items()}}
            curves.update({prefix + key: array for key, array in seen.arrays.items() if key not in NOT_CURVES})
            arrays.update({prefix + key: array for key, array in seen.arrays.items() if key in NOT_CURVES})
        preview = None
        if moment == "end" and self.options.preview:
            name, watch = next(iter(self._watches.items()))
            preview = draw_field(watch.seen, name if several else "")
        return Observation(metrics, curves, arrays, preview)


class FieldWatch:
    """What is seen of one field along a fit.

    Args:
        problem: its points, its true values, and which of them are trained on.
        field: its name in the problem.
        options: of the analysis.
        fit: the fit under way.

    Attributes:
        seen: what was observed, moment by moment.
    """

    def __init__(self, problem: Problem, field: str, options: NtkSpec, fit: FitState) -> None:
        self.options, self.fit = options, fit
        self.outputs = problem.shapes[field].out_features
        self.grid: Grid | None = None
        self.rings: Grid | None = None
        if has_grid(problem, field):
            self.grid = make_grid(problem, field, rings=options.rings, points=options.points, spacing="geometric")
            self.rings = make_grid(
                problem, field, rings=options.rings, points=options.response_points, spacing="geometric"
            )
        self._ring_target: Array | None = None
        if self.rings is not None and self.rings.target is not None:
            self._ring_target = ring_energy(self.rings.target, self.rings.ring, len(self.rings.frequency))
        self.same_grid = self.grid is not None and self.rings is not None and self.grid.sizes == self.rings.sizes
        self.coords = self.grid.coords if self.grid is not None else problem.coords(options.points, fit.seeds, field)
        target = problem.target(self.coords, field)
        self.target = None if target is None else _numbers(target)
        trained = problem.is_trained(self.coords, field)
        # Whether the loss is the squared error at these points, so that the kernel says how it falls.
        self.is_regression = trained is not None and self.target is not None and bool(trained.any())
        mask = trained.cpu().numpy() if self.is_regression else np.ones(len(self.coords), bool)
        self.points = Points(len(self.coords), self.outputs, mask, options.channels)
        self.seen: list[Seen] = []
        self._arrays: dict[str, Array] = {}
        self._first_kernel: Array | None = None
        self._ring_errors: list[Array] = []
        self._predicted_steps: Array | None = None
        self._predictions: dict[str, float] = {}
        self._known: dict[str, float] = {}

    def observe(self, model: nn.Module, moment: Moment) -> Seen:
        """Look at the field. Raises UnsupportedError if it has no kernel."""
        self._arrays = {}
        found = self._measure(model)
        # With no steps, the end is the start once more.
        again = moment == "end" and not self.fit.step and "start" in self.options.moments and bool(self.seen)
        if again:
            self._arrays = dict(self.seen[-1].arrays)
        elif moment in self.options.moments:
            self._known.update(self._kernel(model, moment))
        found.update(self._known if moment == "end" or moment in self.options.moments else {})
        if moment == "end":
            found.update(self._agreement())
        metrics = {name: float(found.get(name, math.nan)) for name in (metric.name for metric in METRICS)}
        self.seen.append(Seen(self.fit.step, metrics, self._arrays))
        return self.seen[-1]

    def _measure(self, model: nn.Module) -> dict[str, float]:
        """What is left of the residual: in all, and in each ring."""
        values = _numbers(predict(model, self.coords))
        rings = self.rings
        if rings is not None:
            self._arrays["frequency"] = rings.frequency
            if rings.hertz is not None:
                self._arrays["frequency_hz"] = rings.frequency * rings.hertz
            if rings.target is not None and self._ring_target is not None:
                known = values if self.same_grid else _numbers(predict(model, rings.coords))
                residual = known.reshape(rings.target.shape) - rings.target
                self._ring_errors.append(ring_energy(residual, rings.ring, len(rings.frequency)))
                self._arrays.update(ring_error=self._ring_errors[-1], ring_target=self._ring_target)
        if self.target is None:
            return {}
        found = {"output_share": _ratio(values - values.mean(axis=0), self.target)}
        if self.is_regression:
            trained = self.points.trained
            residual = self.target - values
            found["fit_error"] = _ratio(residual[trained], self.target[trained])
            found["held_out_error"] = _ratio(residual[~trained], self.target[~trained])
        return found

    def _agreement(self) -> dict[str, float]:
        """Predicted beside measured steps until a ring is learnt."""
        if self._ring_target is None or not self.fit.step:
            return {}
        steps = [*(seen.step for seen in self.seen), self.fit.step]
        measured = measures.measured_steps(np.array(steps), np.stack(self._ring_errors))
        there = self._ring_target > NEGLIGIBLE * self._ring_target.sum()
        self._arrays["measured_steps"] = np.where(there, measured, math.nan)
        if self._predicted_steps is None:
            return {}
        return {"ring_agreement": measures.spearman(self._predicted_steps[there], measured[there])}

    def _kernel(self, model: nn.Module, moment: Moment) -> dict[str, float]:
        jacobian = Jacobian(model, self.coords)
        kernel = self._made(jacobian)
        figures = dict(kernel.figures)
        self._arrays["eigenvalues"] = kernel.curve / (kernel.curve.sum() or 1.0)
        self._arrays["eigenvectors"] = self._on_grid(kernel.extended_vectors(KEPT_VECTORS))
        self._arrays["diagonal"] = self._on_grid(kernel.diagonal()[:, None])[..., 0]
        sample = kernel.drift_sample()
        if moment == "start":
            self._first_kernel = sample
        elif self._first_kernel is not None:
            figures["drift"] = measures.drift(self._first_kernel, sample)
        if self.target is not None:
            figures.update(self._target_figures(kernel))
        rates = self._descent_rates(kernel)
        if self.is_regression and moment == "start":
            self._predictions = self._linearise(kernel, rates, "linearised")
        figures.update(self._predictions)
        responding = jacobian
        if self.rings is not None:
            if not self.same_grid:
                responding = Jacobian(model, self.rings.coords)
            steps = self._respond(responding, kernel, float(rates[0]), "")
            self._predicted_steps = steps if moment == "start" else self._predicted_steps
        self._with_adam(model, jacobian, responding)
        return figures

    def _with_adam(self, model: nn.Module, jacobian: Jacobian, responding: Jacobian) -> None:
        """The same for the kernel that Adam descends by, J S J^T with S from its second moments."""
        # At the first step the moments are those of a single gradient.
        scale = adam_scale(self.fit.optimizer, model) if self.fit.step and self.options.channels == "mean" else None
        if scale is None:
            return
        kernel = self._made(jacobian, scale)
        self._arrays["adam_eigenvalues"] = kernel.curve / (kernel.curve.sum() or 1.0)
        rates = self._fit_rates(self.fit.step)
        if len(rates) and self.is_regression:
            self._linearise(kernel, rates, "adam_linearised")
        if self.rings is not None:
            # With no steps left there is nothing to predict.
            self._respond(responding, kernel, float(rates.mean()) if len(rates) else None, "adam_")

    def _fit_rates(self, first: int) -> Array:
        """The fit's own rates from a step on, for half of the mean square as loss; its loss is the mean square."""
        values = 1 if self.options.channels == "full" else self.outputs
        return np.array([2.0 * self.fit.learning_rate(step) / values for step in range(first, self.fit.steps)])

    def _descent_rates(self, kernel: Kernel) -> Array:
        """Rates of gradient descent: the fit's own where it is that, else the largest that is stable."""
        optimizer = self.fit.optimizer
        # A subclass may take other steps; core's takes SGD's own, without the wrapper around it.
        own = inspect.unwrap(torch.optim.SGD.step)
        is_sgd = isinstance(optimizer, torch.optim.SGD) and inspect.unwrap(type(optimizer).step) is own
        if is_sgd and not optimizer.param_groups[0]["momentum"]:
            return self._fit_rates(0)
        steps = self.fit.steps or PLANNED_STEPS
        return np.full(steps, measures.largest_stable_rate(kernel.eigenvalues, kernel.size))

    def _made(self, jacobian: Jacobian, scale: dict[str, Tensor] | None = None) -> Kernel:
        seed = self.fit.seeds.derive("ntk") % 2**32
        return Kernel(jacobian, self.points, top=self.options.top, seed=seed, scale=scale)

    def _linearise(self, kernel: Kernel, rates: Array, name: str) -> dict[str, float]:
        """The learning that a kernel that stays as it is predicts, from now on; the figures at its end."""
        assert self.target is not None
        values = _numbers(kernel.jacobian.values)
        residual = self.points.as_rows(self.target - values)
        mask, trained = kernel.mask, self.points.trained
        coefficients = kernel.vectors.T @ residual[mask]
        steps = np.unique(np.geomspace(1, len(rates), CURVE_POINTS).round().astype(np.int64))
        steps = np.concatenate([[0], steps])
        energy = float(np.square(residual[mask]).sum())
        if not kernel.exact and np.square(coefficients).sum() < (1.0 - MOST_UNKNOWN) * energy:
            # What leading eigenvectors leave out would count as not learnt.
            return {}
        left = measures.linearised_fit(
            kernel.eigenvalues, coefficients, steps, rates, points=kernel.size, energy=energy
        )
        self._arrays[f"{name}_steps"] = (self.fit.step + steps).astype(np.float64)
        self._arrays[f"{name}_fit"] = left * energy / _energy(self.target[trained])
        figures = {f"{name}_error": float(self._arrays[f"{name}_fit"][-1])}
        if not mask.all():
            left = measures.linearised_held_out(
                kernel.eigenvalues,
                coefficients,
                kernel.applied()[~mask],
                residual[~mask],
                steps,
                rates,
                points=kernel.size,
            )
            self._arrays[f"{name}_held_out"] = left * np.square(residual[~mask]).sum() / _energy(self.target[~trained])
            figures[f"{name}_held_out_error"] = float(self._arrays[f"{name}_held_out"][-1])
        return figures

    def _respond(self, jacobian: Jacobian, kernel: Kernel, rate: float | None, prefix: str) -> Array | None:
        """The response by frequency and the steps to learn that it predicts at a rate for the kernel's rows."""
        assert self.rings is not None
        known = kernel.matrix if jacobian is kernel.jacobian and self.options.channels == "mean" else None
        found = response(jacobian, self.rings, self.options.modes, matrix=known, scale=kernel.scale)
        self._arrays[f"{prefix}response"] = found
        if rate is None or not self.is_regression:
            return None
        # The response is that of the mean kernel, of one row for each point.
        steps = measures.steps_to_a_tenth(found, rate * self.points.count / self.points.rows)
        self._arrays[f"{prefix}predicted_steps"] = steps
        return steps

    def _on_grid(self, values: Array) -> Array:
        sizes = self.grid.sizes if self.grid is not None else (len(values),)
        return values.reshape(*sizes, -1).astype(np.float32)

    def _target_figures(self, kernel: Kernel) -> dict[str, float]:
        assert self.target is not None
        # A mean is learnt by the last bias: with it, every target would lie in the first eigenvector.
        target = self.target - self.target[self.points.trained].mean(axis=0)
        rows = self.points.as_rows(target)[kernel.mask]
        energy = measures.target_energy(kernel.vectors, rows)
        self._arrays["target_energy"] = energy
        image = kernel.vectors @ (kernel.eigenvalues[:, None] * (kernel.vectors.T @ rows))
        figures = {
            f"target_energy_{count}": float(energy[min(count, len(energy)) - 1])
            for count in (1, 10, 100)
            if kernel.exact or count <= len(energy)
        }
        figures["alignment"] = measures.alignment(rows, image, kernel.norm)
        if kernel.exact or kernel.eigenvalues[-1] <= SILENT * kernel.eigenvalues[0]:
            figures["silent_share"] = measures.silent_share(kernel.eigenvalues, kernel.vectors, rows, SILENT)
        return figures


def _numbers(values: Tensor) -> Array:
    return values.double().cpu().numpy()


def _energy(values: Array) -> float:
    """Of values about their means over the points; NaN where there is none."""
    return float(np.square(values - values.mean(axis=0)).sum()) or math.nan


def _ratio(residual: Array, target: Array) -> float:
    """Fraction of variance unexplained."""
    return float(np.square(residual).sum() / _energy(target)) if len(target) else math.nan
