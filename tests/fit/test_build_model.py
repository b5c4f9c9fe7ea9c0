"""Building models and solving budgets."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from inrbench_core.api.components import FieldShape
from inrbench_core.api.errors import BudgetError
from inrbench_core.api.problem import SeedStreams
from inrbench_core.api.spec import ParameterBudget
from inrbench_core.fit import build, build_model, count_parameters

CPU = torch.device("cpu")
ONE = {"picture": FieldShape(2, 3)}
TWO = {"radius": FieldShape(3, 1), "colour": FieldShape(5, 3)}


def dense_parameters(width: int, shapes: dict[str, FieldShape]) -> int:
    return sum(
        (s.in_features + 1) * width + (width + 1) * width + (width + 1) * s.out_features for s in shapes.values()
    )


def test_count_takes_complex_twice_and_only_what_trains() -> None:
    module = nn.Module()
    module.real = nn.Parameter(torch.zeros(3, 4))
    module.complex = nn.Parameter(torch.zeros(5, dtype=torch.complex64))
    module.frozen = nn.Parameter(torch.zeros(100), requires_grad=False)
    module.register_buffer("fixed", torch.zeros(100))
    assert count_parameters(module) == 12 + 10


def test_one_shape_is_the_field_itself_and_several_go_by_name(stand_ins) -> None:
    field = stand_ins.component(stand_ins.Dense, stand_ins.DenseSpec(width=4))
    one = build_model(field, ONE, seeds=SeedStreams(0), device=CPU)
    assert type(one.model) is stand_ins.Dense
    assert one.width is None
    two = build_model(field, TWO, seeds=SeedStreams(0), device=CPU)
    assert set(two.model) == {"radius", "colour"}
    assert two.parameters == dense_parameters(4, TWO)


def test_initialisation_comes_from_its_own_stream_alone(stand_ins) -> None:
    field = stand_ins.component(stand_ins.Dense, stand_ins.DenseSpec(width=4))
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    first = build_model(field, ONE, seeds=SeedStreams(0), device=CPU).model
    assert torch.equal(torch.rand(3), expected), "the global generator was disturbed"
    torch.manual_seed(2)
    second = build_model(field, ONE, seeds=SeedStreams(0), device=CPU).model
    other = build_model(field, ONE, seeds=SeedStreams(1), device=CPU).model
    assert torch.equal(first[0].weight, second[0].weight)
    assert not torch.equal(first[0].weight, other[0].weight)


@pytest.mark.parametrize("target", [20_000, 50_000, 10_000_000])
@pytest.mark.parametrize("shapes", [ONE, TWO], ids=["one", "two"])
def test_the_budget_is_for_the_whole_model(stand_ins, target: int, shapes: dict[str, FieldShape]) -> None:
    field = stand_ins.component(stand_ins.Dense, stand_ins.DenseSpec(width=ParameterBudget(parameters=target)))
    built = build_model(field, shapes, seeds=SeedStreams(0), device=CPU)
    assert built.parameters == count_parameters(built.model) == dense_parameters(built.width, shapes)
    # No other width is nearer.
    for other in (built.width - 1, built.width + 1):
        assert abs(built.parameters - target) <= abs(dense_parameters(other, shapes) - target)
    assert abs(built.parameters - target) <= 0.02 * target


def test_a_field_that_cannot_be_built_without_values_is_counted_all_the_same(stand_ins, monkeypatch) -> None:
    monkeypatch.setattr(build, "META_FROM", 0)
    field = stand_ins.component(stand_ins.LooksAtValues, stand_ins.DenseSpec(width=ParameterBudget(parameters=5_000)))
    built = build_model(field, ONE, seeds=SeedStreams(0), device=CPU)
    assert abs(dense_parameters(built.width, ONE) - 5_000) <= 100


def test_a_budget_may_go_by_another_name(stand_ins) -> None:
    field = stand_ins.component(stand_ins.Ranked, stand_ins.RankSpec(rank=ParameterBudget(parameters=1_240)))
    assert build_model(field, ONE, seeds=SeedStreams(0), device=CPU).width == 74


@pytest.mark.parametrize("target", [20, 100, 450])
def test_a_budget_below_what_is_fixed_names_the_least(stand_ins, target: int) -> None:
    field = stand_ins.component(stand_ins.Ranked, stand_ins.RankSpec(rank=ParameterBudget(parameters=target)))
    with pytest.raises(BudgetError, match=r"nearest is rank 1 with 510$"):
        build_model(field, ONE, seeds=SeedStreams(0), device=CPU)


def test_steps_of_the_width_too_coarse_for_the_budget(stand_ins) -> None:
    # Widths 3 and 4 have 33 and 47 parameters.
    field = stand_ins.component(stand_ins.Dense, stand_ins.DenseSpec(width=ParameterBudget(parameters=42)))
    assert dense_parameters(3, ONE) == 33
    assert dense_parameters(4, ONE) == 47
    with pytest.raises(BudgetError, match=r"2 % of 42 parameters: nearest is width 3 with 33 and width 4 with 47"):
        build_model(field, ONE, seeds=SeedStreams(0), device=CPU)


def test_a_budget_may_count_the_values_of_the_signal_for_each_parameter(stand_ins) -> None:
    shapes = {"field": FieldShape(2, 3, (100, 200))}
    assert build.signal_values(shapes) == 60_000
    field = stand_ins.component(stand_ins.Dense, stand_ins.DenseSpec(width=ParameterBudget(values_per_parameter=4)))
    built = build_model(field, shapes, seeds=SeedStreams(0), device=CPU)
    assert abs(built.parameters - 15_000) <= 0.02 * 15_000
    both = {**shapes, "other": FieldShape(1, 1, (1_000,))}
    assert build.signal_values(both) == 61_000


def test_values_are_not_counted_where_one_signal_has_no_grid(stand_ins) -> None:
    shapes = {"field": FieldShape(2, 3, (100, 200)), "other": FieldShape(2, 1)}
    assert build.signal_values(shapes) == 0
    field = stand_ins.component(stand_ins.Dense, stand_ins.DenseSpec(width=ParameterBudget(values_per_parameter=4)))
    with pytest.raises(BudgetError, match=r"no grid of values; give \{parameters: N\}$"):
        build_model(field, shapes, seeds=SeedStreams(0), device=CPU)


def test_a_budget_may_be_missed_by_as_much_as_it_says(stand_ins) -> None:
    def build_of(tolerance: float) -> build.BuiltModel:
        width = ParameterBudget(parameters=42, tolerance=tolerance)
        field = stand_ins.component(stand_ins.Dense, stand_ins.DenseSpec(width=width))
        return build_model(field, ONE, seeds=SeedStreams(0), device=CPU)

    assert build_of(0.15).parameters == 47
    with pytest.raises(BudgetError, match="within 10 % of 42 parameters"):
        build_of(0.1)
