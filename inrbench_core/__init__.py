"""inrbench: which field represents this signal best, and by how much?

The names here are the public API for plugin authors; all else may change. Importing this package
does not import torch: the names that need it are loaded on first use.
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
    BasisEntry,
    EncodingEntry,
    ExecutorEntry,
    FieldEntry,
    Metric,
    RecipeEntry,
    ReporterEntry,
    TaskEntry,
)
from inrbench_core.api.errors import BudgetError, DataError, InrbenchError, UnsupportedError
from inrbench_core.api.executor import Executor
from inrbench_core.api.hookspecs import hookimpl
from inrbench_core.api.spec import (
    ActivationRef,
    BasisRef,
    Component,
    ComponentSpec,
    EncodingRef,
    ExpansionSpec,
    TaskSpec,
    Width,
)

if TYPE_CHECKING:
    from inrbench_core.api.basis import Basis, ExpansionBasis
    from inrbench_core.api.components import Activation, Encoding, FieldShape, Position
    from inrbench_core.api.problem import Batch, Evaluation, Index, Problem, SeedStreams, grid_coords, predict

_NEEDS_TORCH = {
    "Activation": "components",
    "Basis": "basis",
    "Batch": "problem",
    "Encoding": "components",
    "Evaluation": "problem",
    "ExpansionBasis": "basis",
    "FieldShape": "components",
    "Index": "problem",
    "Position": "components",
    "Problem": "problem",
    "SeedStreams": "problem",
    "grid_coords": "problem",
    "predict": "problem",
}

__version__ = "0.1.0"

__all__ = [
    "API_VERSION",
    "Activation",
    "ActivationEntry",
    "ActivationRef",
    "Basis",
    "BasisEntry",
    "BasisRef",
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
    "ExecutorEntry",
    "ExpansionBasis",
    "ExpansionSpec",
    "FieldEntry",
    "FieldShape",
    "Index",
    "InrbenchError",
    "Metric",
    "Position",
    "Problem",
    "RecipeEntry",
    "ReporterEntry",
    "SeedStreams",
    "TaskEntry",
    "TaskSpec",
    "UnsupportedError",
    "Width",
    "grid_coords",
    "hookimpl",
    "predict",
]


def __getattr__(name: str) -> Any:
    if name in _NEEDS_TORCH:
        return getattr(importlib.import_module(f"inrbench_core.api.{_NEEDS_TORCH[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
