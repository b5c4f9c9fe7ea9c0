"""inrbench: which field represents this signal best, and by how much?

The names here are the public API, for users (`evaluate`, `load_results`, `load_field`) and for plugin authors; all
else may change. Importing this package does not import torch: the names that need it are loaded on first use.
"""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING, Any

# pydantic looks for plugins of its own in every installed distribution, and one malformed
# entry_points.txt of anybody's would then end us with a traceback from inside pydantic.
os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")

from inrbench_core.api.entries import (
    API_VERSION,
    ActivationEntry,
    AnalysisEntry,
    BasisEntry,
    EncodingEntry,
    ExecutorEntry,
    FieldEntry,
    Metric,
    OptimizerEntry,
    RecipeEntry,
    ReporterEntry,
    TaskEntry,
)
from inrbench_core.api.errors import BudgetError, DataError, InrbenchError, UnsupportedError
from inrbench_core.api.executor import Executor, ExecutorContext, ExecutorEvent, Job, Progress
from inrbench_core.api.frame import FieldFrame, Frame, Quantity, linear_frame
from inrbench_core.api.hookspecs import hookimpl
from inrbench_core.api.spec import (
    ActivationRef,
    AnalysisRef,
    BasisRef,
    BasisSpec,
    Component,
    ComponentSpec,
    EncodingRef,
    ExpansionSpec,
    OptimizerRef,
    TaskSpec,
    Width,
)

if TYPE_CHECKING:
    from inrbench_core.api.analysis import Analysis, FitState, Moment, Observation
    from inrbench_core.api.autocast import without_autocast
    from inrbench_core.api.basis import Basis, ExpansionBasis
    from inrbench_core.api.cache import cached_arrays
    from inrbench_core.api.components import Activation, Encoding, FieldShape, Position
    from inrbench_core.api.decibels import decibels
    from inrbench_core.api.native.expansion import NativeFunctions
    from inrbench_core.api.problem import (
        Batch,
        Evaluation,
        Index,
        Problem,
        Renderer,
        SeedStreams,
        grid_coords,
        predict,
    )
    from inrbench_core.results.compare import compare_fields, compare_folders
    from inrbench_core.results.evaluate import evaluate
    from inrbench_core.results.field import FittedField, load_field
    from inrbench_core.results.load import load_results
    from inrbench_core.results.results import Results
    from inrbench_core.results.samples import Samples, samples_of

# What imports torch, numpy or half of inrbench is imported when it is first used.
_LATE = {
    "Activation": "api.components",
    "Analysis": "api.analysis",
    "Basis": "api.basis",
    "Batch": "api.problem",
    "Encoding": "api.components",
    "Evaluation": "api.problem",
    "ExpansionBasis": "api.basis",
    "FieldShape": "api.components",
    "FitState": "api.analysis",
    "FittedField": "results.field",
    "Index": "api.problem",
    "Moment": "api.analysis",
    "NativeFunctions": "api.native.expansion",
    "Observation": "api.analysis",
    "Position": "api.components",
    "Problem": "api.problem",
    "Renderer": "api.problem",
    "Results": "results.results",
    "Samples": "results.samples",
    "SeedStreams": "api.problem",
    "cached_arrays": "api.cache",
    "compare_fields": "results.compare",
    "compare_folders": "results.compare",
    "decibels": "api.decibels",
    "evaluate": "results.evaluate",
    "grid_coords": "api.problem",
    "load_field": "results.field",
    "load_results": "results.load",
    "predict": "api.problem",
    "samples_of": "results.samples",
    "without_autocast": "api.autocast",
}

__version__ = "0.2.0"

__all__ = [
    "API_VERSION",
    "Activation",
    "ActivationEntry",
    "ActivationRef",
    "Analysis",
    "AnalysisEntry",
    "AnalysisRef",
    "Basis",
    "BasisEntry",
    "BasisRef",
    "BasisSpec",
    "Batch",
    "BudgetError",
    "Component",
    "ComponentSpec",
    "DataError",
    "Encoding",
    "EncodingEntry",
    "EncodingRef",
    "Evaluation",
    "Executor",
    "ExecutorContext",
    "ExecutorEntry",
    "ExecutorEvent",
    "ExpansionBasis",
    "ExpansionSpec",
    "FieldEntry",
    "FieldFrame",
    "FieldShape",
    "FitState",
    "FittedField",
    "Frame",
    "Index",
    "InrbenchError",
    "Job",
    "Metric",
    "Moment",
    "NativeFunctions",
    "Observation",
    "OptimizerEntry",
    "OptimizerRef",
    "Position",
    "Problem",
    "Progress",
    "Quantity",
    "RecipeEntry",
    "Renderer",
    "ReporterEntry",
    "Results",
    "Samples",
    "SeedStreams",
    "TaskEntry",
    "TaskSpec",
    "UnsupportedError",
    "Width",
    "cached_arrays",
    "compare_fields",
    "compare_folders",
    "decibels",
    "evaluate",
    "grid_coords",
    "hookimpl",
    "linear_frame",
    "load_field",
    "load_results",
    "predict",
    "samples_of",
    "without_autocast",
]


def __getattr__(name: str) -> Any:
    if name in _LATE:
        return getattr(importlib.import_module(f"inrbench_core.{_LATE[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
