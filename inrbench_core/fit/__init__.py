"""Training one field on one problem."""

from inrbench_core.fit.build import BuiltModel, build_model, count_parameters
from inrbench_core.fit.loop import CurvePoint, FitResult, fit

__all__ = ["BuiltModel", "CurvePoint", "FitResult", "build_model", "count_parameters", "fit"]
