"""Building the model of a run, and solving a width for a parameter budget."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

import torch
from torch import nn

from inrbench_core.api.components import FieldShape
from inrbench_core.api.errors import BudgetError
from inrbench_core.api.problem import SeedStreams
from inrbench_core.api.spec import Component, ParameterBudget

SMALLEST_STEPS = 4
# The meta device, where tensors take no memory, spares large models; its first use imports for seconds.
META_FROM = 5_000_000


@dataclass(frozen=True)
class BuiltModel:
    """A model ready to train.

    Args:
        model: the field, or an `nn.ModuleDict` of fields where the problem needs several.
        parameters: trainable parameters; a complex one counts as two.
        width: the width that a budget was solved to, or None.
    """

    model: nn.Module
    parameters: int
    width: int | None


def count_parameters(module: nn.Module) -> int:
    """Trainable parameters; a complex one counts as two."""
    return sum(p.numel() * (2 if p.is_complex() else 1) for p in module.parameters() if p.requires_grad)


def build_model(
    field: Component, shapes: Mapping[str, FieldShape], *, seeds: SeedStreams, device: torch.device
) -> BuiltModel:
    """Build a field for each shape, initialised from the stream "initialisation", on the CPU, then moved.

    Args:
        field: the field; one attribute of its spec may be a ParameterBudget, for all shapes together.
        shapes: what the problem needs, by name.
        seeds: the run's random streams.
        device: where the model goes.

    Raises:
        BudgetError: if no width comes within the tolerance of the budget, or it counts the values of a signal that
            has no grid.
    """
    width = None
    for name in type(field.spec).model_fields:
        budget = getattr(field.spec, name)
        if isinstance(budget, ParameterBudget):
            target = budget.target(signal_values(shapes))
            if not target:
                raise BudgetError("values_per_parameter: this problem has no grid of values; give {parameters: N}")
            width = _solve_width(field, name, target, budget.tolerance, shapes)
            field = field.with_spec(**{name: width})
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seeds.derive("initialisation"))
        model = _assemble(field, shapes)
    return BuiltModel(model.to(device), count_parameters(model), width)


def _assemble(field: Component, shapes: Mapping[str, FieldShape]) -> nn.Module:
    fields = {name: field.build(shape) for name, shape in shapes.items()}
    return next(iter(fields.values())) if len(fields) == 1 else nn.ModuleDict(fields)


def signal_values(shapes: Mapping[str, FieldShape]) -> int:
    """How many values the signals of all fields have together; 0 where one of them has no grid."""
    values = [shape.values for shape in shapes.values()]
    return sum(values) if all(values) else 0


def _solve_width(
    field: Component, attribute: str, target: int, tolerance: float, shapes: Mapping[str, FieldShape]
) -> int:
    """The width whose parameter count, which grows with the width, is nearest to the target."""

    @cache
    def count(width: int) -> int:
        return _count(field.with_spec(**{attribute: width}), shapes, on_meta=target > META_FROM)

    low, high = 1, 1
    # Some fields come in steps: the first widths of a complex one have the same count.
    while count(high) < target and (high <= SMALLEST_STEPS or count(high) > count(low)):
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if count(middle) < target else (low, middle)
    best = min((low, high), key=lambda width: abs(count(width) - target))
    if abs(count(best) - target) > tolerance * target:
        nearest = " and ".join(f"{attribute} {width} with {count(width):,}" for width in sorted({low, high}))
        asked = f"within {100 * tolerance:g} % of {target:,} parameters"
        raise BudgetError(f"no {attribute} gives {field.describe()} {asked}: nearest is {nearest}")
    return best


def _count(field: Component, shapes: Mapping[str, FieldShape], *, on_meta: bool) -> int:
    """The parameter count, from a model built to be thrown away."""
    with torch.random.fork_rng(devices=[]):
        if on_meta:
            try:
                with torch.device("meta"):
                    return count_parameters(_assemble(field, shapes))
            except (RuntimeError, NotImplementedError, TypeError, ValueError):
                pass  # Some initialisations look at values, which meta tensors have none of.
        return count_parameters(_assemble(field, shapes))
