"""A plugin file with components that are wrong in one way each, and a sound one of each kind beside them."""

from __future__ import annotations

from typing import Any

from pydantic import Field, field_serializer

from inrbench_core import (
    ActivationEntry,
    ActivationRef,
    AnalysisEntry,
    BasisEntry,
    ComponentSpec,
    EncodingEntry,
    ExecutorEntry,
    ExpansionSpec,
    FieldEntry,
    Metric,
    OptimizerEntry,
    ReporterEntry,
    TaskEntry,
    TaskSpec,
    Width,
    hookimpl,
)


class PlainSpec(ComponentSpec):
    """A component without options."""


class BareSpec(ComponentSpec):
    """An option without a description."""

    omega: float = Field(3.0, gt=0)


class RoundedSpec(ComponentSpec):
    """An option that is rounded when it is written."""

    omega: float = Field(3.3, gt=0, description="rad per unit")

    @field_serializer("omega")
    def _round(self, omega: float) -> float:
        return round(omega)


class NetworkSpec(ComponentSpec):
    """A network with a width."""

    activation: ActivationRef = Field("sound_activation", description="the activation")  # type: ignore[assignment]
    width: Width = 32


class LineSpec(TaskSpec):
    """A line."""

    samples: int = Field(40, ge=1, description="samples")


ENCODINGS = {
    "sound_encoding": "Waves",
    "wrong_shape": "WrongShape",
    "unseeded": "Unseeded",
    "pinned": "Pinned",
    "not_saved": "NotSaved",
    "nan_value": "NanValue",
    "nan_gradient": "NanGradient",
    "one_coordinate": "OneCoordinate",
    "hidden_parameter": "HiddenParameter",
    "squeezed": "Squeezed",
    "single_precision": "SinglePrecision",
}
ACTIVATIONS = {
    "sound_activation": "Sine",
    "batch_dependent": "BatchDependent",
    "says_batch_dependent": "SaysBatchDependent",
    "unused_parameter": "UnusedParameter",
    "nearly_constant": "NearlyConstant",
    "random_forward": "RandomForward",
    "detached": "Detached",
    "not_compilable": "NotCompilable",
}
BASES = {"sound_basis": "Powers", "dead_function": "DeadFunction", "confined": "Confined"}
TASKS = {
    "sound_task": "Line",
    "mean_loss": "MeanLoss",
    "batch_loss": "BatchLoss",
    "unseeded_data": "UnseededData",
    "missing_metric": "MissingMetric",
    "other_facts": "OtherFacts",
    "one_value_more": "OneValueMore",
    "far_coords": "FarCoords",
    "shifted_target": "ShiftedTarget",
    "growing_values": "GrowingValues",
}
FIELDS = {
    "sound_field": "Network",
    "deaf_to_width": "DeafToWidth",
    "with_methods": "WithMethods",
    "doubled_group": "DoubledGroup",
    "deaf_group": "DeafGroup",
    "vector_regularisation": "VectorRegularisation",
    "bad_progress": "BadProgress",
}
OPTIMIZERS = {
    "sound_optimizer": "descent",
    "first_group_only": "first_group_only",
    "backwards": "backwards",
    "no_closure": "no_closure",
    "highest_rate": "highest_rate",
    "first_rate": "first_rate",
    "random_steps": "random_steps",
    "two_gradients": "two_gradients",
}
ANALYSES = {
    "sound_analysis": "Size",
    "undeclared": "Undeclared",
    "unreported": "Unreported",
    "tensor_array": "TensorArray",
    "no_moment": "NoMoment",
    "changes_model": "ChangesModel",
    "changes_problem": "ChangesProblem",
    "one_field_only": "OneFieldOnly",
}
EXECUTORS = {
    "sound_executor": "Serial",
    "empty_files": "EmptyFiles",
    "says_all_is_well": "SaysAllIsWell",
    "forgets": "Forgets",
    "does_cancelled_jobs": "DoesCancelledJobs",
    "has_no_cluster": "HasNoCluster",
}
REPORTERS = {
    "sound_reporter": "labels",
    "prints": "prints",
    "gives_bytes": "gives_bytes",
    "needs_metrics": "needs_metrics",
    "needs_a_table": "needs_a_table",
}


LINE: dict[str, Any] = {
    "metrics": (Metric("mse", higher_is_better=False), Metric("mae", higher_is_better=False)),
    "baselines": ("zero",),
    "renderer": "wrong_plugin_torch:LineRenderer",
}


@hookimpl
def inrbench_encodings() -> Any:
    for name, target in ENCODINGS.items():
        yield EncodingEntry(name, PlainSpec, f"wrong_plugin_torch:{target}", api=1)


@hookimpl
def inrbench_activations() -> Any:
    for name, target in ACTIVATIONS.items():
        yield ActivationEntry(name, PlainSpec, f"wrong_plugin_torch:{target}", api=1)
    yield ActivationEntry("undescribed", BareSpec, "wrong_plugin_torch:Sine", api=1)
    yield ActivationEntry("rounded", RoundedSpec, "wrong_plugin_torch:Sine", api=1)
    yield ActivationEntry("misspelt_training", PlainSpec, "wrong_plugin_torch:Sine", training={"rate": 1e-3}, api=1)
    yield ActivationEntry("no_target", PlainSpec, "wrong_plugin_torch:Nothing", api=1)


@hookimpl
def inrbench_bases() -> Any:
    for name, target in BASES.items():
        yield BasisEntry(name, ExpansionSpec, f"wrong_plugin_torch:{target}", api=1)


@hookimpl
def inrbench_fields() -> Any:
    for name, target in FIELDS.items():
        yield FieldEntry(name, NetworkSpec, f"wrong_plugin_torch:{target}", api=1)


@hookimpl
def inrbench_tasks() -> Any:
    for name, target in TASKS.items():
        yield TaskEntry(name, LineSpec, f"wrong_plugin_torch:{target}", **LINE, api=1)
    yield TaskEntry("no_such_option", LineSpec, "wrong_plugin_torch:Line", **LINE, signal_option="photo", api=1)


@hookimpl
def inrbench_optimizers() -> Any:
    for name, target in OPTIMIZERS.items():
        one = name in ("sound_optimizer", "two_gradients")
        yield OptimizerEntry(name, PlainSpec, f"wrong_plugin_runs:{target}", one_gradient=one, api=1)


@hookimpl
def inrbench_analyses() -> Any:
    for name, target in ANALYSES.items():
        yield AnalysisEntry(name, PlainSpec, f"wrong_plugin_runs:{target}", metrics=(Metric("size"),), api=1)


@hookimpl
def inrbench_executors() -> Any:
    for name, target in EXECUTORS.items():
        yield ExecutorEntry(name, PlainSpec, f"wrong_plugin_runs:{target}", api=1)


@hookimpl
def inrbench_reporters() -> Any:
    for name, target in REPORTERS.items():
        yield ReporterEntry(name, PlainSpec, f"wrong_plugin_runs:{target}", api=1)
