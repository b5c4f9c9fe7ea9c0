"""Which checks each kind of entry gets, and running them."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch

from inrbench_core.plugins.catalog import Catalog, Registered
from inrbench_core.plugins.failures import one_line
from inrbench_core.testing import (
    analysis_checks,
    entry_checks,
    executor_checks,
    fit_checks,
    frame_checks,
    hook_checks,
    optimizer_checks,
    reporter_checks,
    shape_checks,
    state_checks,
    task_checks,
    value_checks,
)
from inrbench_core.testing.hook_checks import PluginHooks, plugin_hooks
from inrbench_core.testing.outcome import CheckResult, Skipped, Status
from inrbench_core.testing.subject import Subject

CheckFunction = Callable[[Any], None]

OF_EVERY_SPEC: tuple[CheckFunction, ...] = (
    entry_checks.check_spec_defaults,
    entry_checks.check_spec_round_trip,
    entry_checks.check_documented,
    entry_checks.check_training_defaults,
    entry_checks.check_plugin_without_torch,
    entry_checks.check_target_loads,
)
OF_EVERY_MODULE: tuple[CheckFunction, ...] = (
    shape_checks.check_out_features,
    shape_checks.check_batch_sizes,
    shape_checks.check_dtypes,
    value_checks.check_finite_values,
    value_checks.check_finite_gradients,
    value_checks.check_finite_second_derivatives,
    value_checks.check_no_dead_parameters,
    value_checks.check_coordinates_matter,
    state_checks.check_same_seed_same_weights,
    state_checks.check_other_seed_other_weights,
    state_checks.check_state_dict_round_trip,
    state_checks.check_deterministic,
    state_checks.check_chunked_equals_whole,
    state_checks.check_parameter_count,
    state_checks.check_optional_methods,
    fit_checks.check_compiles,
    fit_checks.check_learns,
    fit_checks.check_cuda,
)
CHECKS: Mapping[str, tuple[CheckFunction, ...]] = {
    "encoding": (*OF_EVERY_SPEC, *OF_EVERY_MODULE),
    "activation": (
        *OF_EVERY_SPEC,
        shape_checks.check_elementwise,
        *OF_EVERY_MODULE,
        value_checks.check_first_batch_statistics,
        fit_checks.check_output_not_confined,
    ),
    "basis": (
        *OF_EVERY_SPEC,
        *OF_EVERY_MODULE,
        value_checks.check_first_batch_statistics,
        fit_checks.check_output_not_confined,
    ),
    "field": (
        *OF_EVERY_SPEC,
        *OF_EVERY_MODULE,
        state_checks.check_width_budget,
        fit_checks.check_output_not_confined,
    ),
    "task": (
        *OF_EVERY_SPEC,
        task_checks.check_prepares,
        task_checks.check_batches,
        task_checks.check_loss,
        task_checks.check_loss_adds_over_chunks,
        task_checks.check_evaluates,
        task_checks.check_evaluates_along_the_curve,
        task_checks.check_baselines,
        task_checks.check_same_seed_same_data,
        task_checks.check_fits_leave_it_alone,
        entry_checks.check_signal_option,
        frame_checks.check_frame,
        frame_checks.check_coords,
        frame_checks.check_target,
        frame_checks.check_renders,
    ),
    "optimizer": (
        *OF_EVERY_SPEC,
        optimizer_checks.check_optimizer_is_built,
        optimizer_checks.check_minimises,
        optimizer_checks.check_group_rates,
        optimizer_checks.check_schedule,
        optimizer_checks.check_same_steps,
        optimizer_checks.check_one_gradient,
    ),
    "analysis": (
        *OF_EVERY_SPEC,
        analysis_checks.check_observes,
        analysis_checks.check_observes_other_problems,
        analysis_checks.check_leaves_the_fit_alone,
        analysis_checks.check_leaves_the_model_alone,
    ),
    "executor": (*OF_EVERY_SPEC, executor_checks.check_carries_out_jobs, executor_checks.check_cancels),
    "reporter": (*OF_EVERY_SPEC, reporter_checks.check_reports, reporter_checks.check_reports_no_results),
    "recipe": (entry_checks.check_recipe_resolves, entry_checks.check_training_defaults),
    # Not a kind of entry: the hooks of a plugin that return none.
    "hooks": (hook_checks.check_plugin_without_torch, hook_checks.check_events, hook_checks.check_commands),
}


@dataclass(frozen=True)
class Check:
    """One check of one entry, or of the hooks of one plugin.

    Args:
        function: the check.
        subject: what it looks at.
    """

    function: CheckFunction
    subject: Subject | PluginHooks

    @property
    def name(self) -> str:
        """What the check is called, such as `state_dict_round_trip`."""
        return self.function.__name__.removeprefix("check_")

    @property
    def id(self) -> str:
        """The entry and the check, as in the id of a test."""
        return f"{self.subject.kind}-{self.subject.name}-{self.name}"

    def __call__(self) -> None:
        """Run it. Raises AssertionError where it fails, Skipped where it says nothing, or what the code raised."""
        with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.manual_seed(0)
            self.function(self.subject)

    def run(self) -> CheckResult:
        """Run it and tell how it ended; whatever the component raises is a failure."""
        started = time.perf_counter()
        status: Status = "passed"
        reason = ""
        try:
            self()
        except Skipped as skipped:
            status, reason = "skipped", str(skipped)
        except AssertionError as failed:
            status, reason = "failed", str(failed) or "an assertion failed"
        except (Exception, SystemExit) as error:
            status, reason = "failed", one_line(error)
        of, seconds = self.subject, time.perf_counter() - started
        return CheckResult(self.name, status, reason, of.kind, of.name, of.distribution, seconds)


def iter_checks(item: Registered, catalog: Catalog, options: Mapping[str, Any] | None = None) -> Iterator[Check]:
    """The checks of an entry, not yet run.

    Args:
        item: the entry, from a catalog.
        catalog: where the components that it needs are looked up.
        options: values for its spec in place of the defaults, such as a small size for a task.
    """
    subject = Subject(item, catalog, dict(options or {}))
    for function in CHECKS[item.entry.kind]:
        yield Check(function, subject)


def iter_hook_checks(catalog: Catalog) -> Iterator[Check]:
    """The checks of what plugins implement beside their entries: life-cycle hooks and commands."""
    for hooks in plugin_hooks(catalog):
        for function in CHECKS[hooks.kind]:
            yield Check(function, hooks)


def run_checks(item: Registered, catalog: Catalog, options: Mapping[str, Any] | None = None) -> list[CheckResult]:
    """Run all checks of an entry; arguments as in `iter_checks`."""
    return [check.run() for check in iter_checks(item, catalog, options)]
