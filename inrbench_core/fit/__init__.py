"""Training one field on one problem."""

from inrbench_core.fit.build import BuiltModel, build_model, count_parameters
from inrbench_core.fit.calibrate import flops_per_step, step_seconds
from inrbench_core.fit.hooks import set_progress
from inrbench_core.fit.loop import CurvePoint, FitResult, fit
from inrbench_core.fit.observers import AnalysisResult

__all__ = [
    "AnalysisResult",
    "BuiltModel",
    "CurvePoint",
    "FitResult",
    "build_model",
    "count_parameters",
    "fit",
    "flops_per_step",
    "set_progress",
    "step_seconds",
]
